/** Serves the page, and signs who may join a board. It holds no connection, no text and no cursor. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import Pusher from "pusher";

// The default app of `soketpy start`, which everybody knows: for your own machine. Elsewhere, set the environment.
const { env } = process;
const KEY = env.PUSHER_KEY ?? "app-key";
const pusher = new Pusher({
  appId: env.PUSHER_APP_ID ?? "app-id",
  key: KEY,
  secret: env.PUSHER_SECRET ?? "app-secret",
  host: "127.0.0.1", // never asked: it only signs
});

// What browsers are told: the host and port of the realtime server as they reach it. No host means the page's own.
const SETTINGS = {
  key: KEY,
  host: env.PUBLIC_PUSHER_HOST ?? null,
  port: env.PUBLIC_PUSHER_PORT ? Number(env.PUBLIC_PUSHER_PORT) : null,
};

const BOARD = /^presence-board-[\w-]{1,40}$/;
const LONGEST_NAME = 40;
const LONGEST_FORM = 4096; // bytes
const LONGEST_READ = 15_000; // milliseconds that a request may take to arrive

const FILES = new Map([
  ["/", ["index.html", "text/html; charset=utf-8"]],
  ["/style.css", ["style.css", "text/css; charset=utf-8"]],
  ["/app.js", ["app.js", "text/javascript; charset=utf-8"]],
]);

const limits = { requestTimeout: LONGEST_READ, connectionsCheckingInterval: 1000 };
const server = createServer(limits, async (request, response) => {
  const { status, type, body } = await answer(request).catch((fault) => {
    console.error(fault);
    return refuse(500, "That did not work.");
  });
  if (!request.complete) response.setHeader("Connection", "close"); // rather than read the rest of it
  response.writeHead(status, { "Content-Type": type, "X-Content-Type-Options": "nosniff" }).end(body);
});

async function answer(request) {
  const path = request.url.split("?")[0];
  if (request.method === "POST" && path === "/api/pusher/auth") {
    // A form without a length, or with too great a one, is not read at all.
    if (!(Number(request.headers["content-length"]) <= LONGEST_FORM)) return refuse(413, "The form is too long.");
    const form = await text(request).catch(() => ""); // cut off: then nobody waits for the answer either
    return authorize(new URLSearchParams(form));
  }
  if (!["GET", "HEAD"].includes(request.method)) return refuse(405, "There is nothing to do that to.");
  if (path === "/api/settings") return json(SETTINGS);
  if (!FILES.has(path)) return refuse(404, "There is nothing here.");
  const [file, type] = FILES.get(path);
  return { status: 200, type, body: await readFile(new URL(`public/${file}`, import.meta.url)) };
}

/** Let anybody join a board under the name they choose. Put your own login here: it says who `user_id` is. */
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
