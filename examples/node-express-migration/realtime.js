// The shared part of the two new servers: npm pusher, and the routes that their pages need.
import { createServer } from "node:http";

import Pusher from "pusher";

import { listen, serve } from "./site.js";

const { PUSHER_APP_ID = "1", PUSHER_KEY = "app-key", PUSHER_SECRET = "app-secret" } = process.env;
const { PUSHER_HOST = "127.0.0.1", PUSHER_PORT = "6001", PUBLIC_PUSHER_HOST, PUBLIC_PUSHER_PORT = PUSHER_PORT } = process.env;

export const pusher = new Pusher({
  appId: PUSHER_APP_ID,
  key: PUSHER_KEY,
  secret: PUSHER_SECRET,
  host: PUSHER_HOST,
  port: PUSHER_PORT,
  useTLS: false,
  timeout: 5000,
});

/** Let pages load pusher-js, read the address of soketpy, and send requests. */
export function serveRealtime(app) {
  serve(app, "/post.js", new URL("post.js", import.meta.url));
  serve(app, "/pusher.js", import.meta.resolve("pusher-js/dist/web/pusher.js"));
  app.get("/realtime.json", ({ hostname, secure }, response) => {
    const port = Number(PUBLIC_PUSHER_PORT);
    const options = { wsHost: PUBLIC_PUSHER_HOST ?? hostname, wsPort: port, wssPort: port, forceTLS: secure, cluster: "" };
    response.json({ key: PUSHER_KEY, options: { ...options, enabledTransports: ["ws", "wss"] } });
  });
}

/** Listen. Answer 4xx for a malformed request, and 502 for every other error, which comes from the realtime server. */
export function listenRealtime(app) {
  app.use((fault, _request, response, _next) => {
    if (!fault.expose) console.error("A trigger failed:", fault.message, fault.error?.code ?? "");
    const error = fault.expose ? fault.message : "The realtime server cannot be reached.";
    response.status(fault.expose ? fault.status : 502).json({ error });
  });
  // Node's default limit for an incomplete request is five minutes.
  listen(createServer({ requestTimeout: 15_000, connectionsCheckingInterval: 1000 }, app));
}
