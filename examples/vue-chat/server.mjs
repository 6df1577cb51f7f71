/** Serves the built page and the API. The server holds no connection and no state. */
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, relative, sep } from "node:path";
import { text } from "node:stream/consumers";

import { routes } from "./server/api.mjs";
import { userOf } from "./server/session.mjs";

const HOST = process.env.HOST ?? "127.0.0.1";
const PORT = Number(process.env.PORT ?? 3000);
const DIST = join(import.meta.dirname, "dist");
const LARGEST_BODY = 16 * 1024; // bytes

/** @type {Record<string, string>} */
const CONTENT_TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Return all files of the page by their URL paths. The server serves no other file, whatever path a request has.
 *
 * @typedef {{ body: Uint8Array<ArrayBuffer>, headers: Record<string, string> }} File
 * @returns {Promise<Map<string, File>>}
 */
async function readFiles() {
  const files = new Map();
  for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(DIST, file).replaceAll(sep, "/")}`;
    const headers = {
      "Content-Type": CONTENT_TYPES[extname(file)] ?? "application/octet-stream",
      "X-Content-Type-Options": "nosniff",
      // Vite puts a hash of the content into the names in assets/.
      "Cache-Control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    };
    files.set(path === "/index.html" ? "/" : path, { body: await readFile(file), headers });
  }
  return files;
}

const files = await readFiles();

/**
 * @param {import("node:http").IncomingMessage} request
 * @returns {Promise<Response>}
 */
async function answer(request) {
  const { method, headers, url = "/" } = request;
  const [path = "/"] = url.split("?");
  const route = routes.get(path);
  if (route) {
    if (method !== "POST") return new Response("Method Not Allowed", { status: 405, headers: { Allow: "POST" } });
    // Refuse a body without a length, or with a large length, without reading it.
    if (!(Number(headers["content-length"]) <= LARGEST_BODY)) {
      return new Response("Content Too Large", { status: 413, headers: { Connection: "close" } });
    }
    const body = await text(request).catch(() => ""); // an aborted request: nobody waits for the response
    return route(userOf(headers.authorization), body);
  }
  const file = files.get(path);
  if (!file) return new Response("Not Found", { status: 404 });
  if (method === "GET" || method === "HEAD") return new Response(file.body, file);
  return new Response("Method Not Allowed", { status: 405, headers: { Allow: "GET, HEAD" } });
}

const server = createServer({ requestTimeout: 10_000 }, async (request, response) => {
  const answered = await answer(request).catch((fault) => {
    console.error(fault);
    return new Response("Internal Server Error", { status: 500 });
  });
  response.statusCode = answered.status;
  response.setHeaders(answered.headers);
  response.end(Buffer.from(await answered.arrayBuffer())); // Node omits the body in the response to HEAD
});

server.listen(PORT, HOST, () => console.log(`Listening on http://${HOST}:${PORT}`));
