/** Serves the page and signs requests to join a board. The server holds no connection, no text and no cursor. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import Pusher from "pusher";

// The default app of `soketpy start`, for your own machine: everybody knows its secret. Elsewhere, set the variables.
const { env } = process;
const KEY = env.PUSHER_KEY ?? "app-key";
const pusher = new Pusher({
  appId: env.PUSHER_APP_ID ?? "1",
  key: KEY,
  secret: env.PUSHER_SECRET ?? "app-secret",
  host: "127.0.0.1", // not used: this client only signs
});

// For browsers: the host and port of the realtime server. Without a host, the host of the page.
const SETTINGS = {
  key: KEY,
  host: env.PUBLIC_PUSHER_HOST ?? null,
  port: env.PUBLIC_PUSHER_PORT ? Number(env.PUBLIC_PUSHER_PORT) : null,
};

const BOARD = /^presence-board-[\w-]{1,40}$/;
const LONGEST_NAME = 40;
const LONGEST_FORM = 4096; // bytes
const LONGEST_READ = 15_000; // milliseconds until a request must be complete

const FILES = new Map([
  ["/", ["index.html", "text/html; charset=utf-8"]],
  ["/style.css", ["style.css", "text/css; charset=utf-8"]],
  ["/app.js", ["app.js", "text/javascript; charset=utf-8"]],
]);

const limits = { requestTimeout: LONGEST_READ, connectionsCheckingInterval: 1000 };
const server = createServer(limits, async (request, response) => {
  const { status, type, body } = await answer(request).catch((fault) => {
    console.error(fault);
    return refuse(500, "The request failed.");
  });
  if (!request.complete) response.setHeader("Connection", "close"); // do not read the rest of the request
  response.writeHead(status, { "Content-Type": type, "X-Content-Type-Options": "nosniff" }).end(body);
});

async function answer(request) {
  const path = request.url.split("?")[0];
  if (request.method === "POST" && path === "/api/pusher/auth") {
    // Refuse a form without a length, or with a large length, without reading it.
    if (!(Number(request.headers["content-length"]) <= LONGEST_FORM)) return refuse(413, "The form is too long.");
    const form = await text(request).catch(() => ""); // an aborted request: nobody waits for the response
    return authorize(new URLSearchParams(form));
  }
  if (!["GET", "HEAD"].includes(request.method)) return refuse(405, "Method not allowed.");
  if (path === "/api/settings") return json(SETTINGS);
  if (!FILES.has(path)) return refuse(404, "Not found.");
  const [file, type] = FILES.get(path);
  return { status: 200, type, body: await readFile(new URL(`public/${file}`, import.meta.url)) };
}

/** Let anybody join a board under any name. Put your own login here: it must supply the `user_id`. */
function authorize(fields) {
  const name = fields.get("name")?.trim() ?? "";
  const channel = fields.get("channel_name") ?? "";
  const socketId = fields.get("socket_id") ?? "";
  if (!/^\d+\.\d+$/.test(socketId)) return refuse(400, "No socket_id.");
  if (!name || name.length > LONGEST_NAME) return refuse(400, `A name has 1 to ${LONGEST_NAME} characters.`);
  if (!BOARD.test(channel)) return refuse(403, "There is no such board.");
  return json(pusher.authorizeChannel(socketId, channel, { user_id: randomUUID(), user_info: { name } }));
}

const json = (value) => ({ status: 200, type: "application/json", body: JSON.stringify(value) });
const refuse = (status, body) => ({ status, type: "text/plain; charset=utf-8", body });

const host = env.HOST ?? "127.0.0.1";
server.listen(Number(env.PORT ?? 3000), host, () => console.log(`Ready at http://${host}:${server.address().port}`));
