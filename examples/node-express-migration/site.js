// The shared part of all four: an Express application with one page, on HOST and PORT.
import { fileURLToPath } from "node:url";

import express from "express";

/** Return an application that serves the page in the folder of its server. */
export function site(server) {
  const app = express();
  app.disable("x-powered-by");
  serve(app, "/style.css", new URL("style.css", import.meta.url));
  serve(app, "/page.js", new URL("page.js", server));
  serve(app, "/", new URL("index.html", server));
  return app;
}

/** Let an application serve a file. */
export function serve(app, path, url) {
  app.get(path, (_, response) => response.sendFile(fileURLToPath(url)));
}

/** Listen, and print the address. */
export function listen(server) {
  const { HOST: host = "127.0.0.1", PORT: port = "3000" } = process.env;
  server.listen(Number(port), host, () => console.log(`Listening on http://${host}:${port}`));
}
