/** Replaces a Laravel application: serves the page, answers /broadcasting/auth, and broadcasts events. */
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { text } from "node:stream/consumers";

import { authorize, broadcast, eventClass } from "./broadcasting.js";
import { Refusal } from "./refusal.js";
import { issueToken, userOf } from "./tokens.js";

const LONGEST_BODY = 16 * 1024; // bytes
const LONGEST_READ = 15_000; // milliseconds until a request must be complete
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

/** All files that Vite built, by path. The server serves no other file. */
const dist = join(import.meta.dirname, "../dist");
const files = new Map(
  readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [
      path.slice(dist.length).replaceAll("\\", "/"),
      { type: TYPES[extname(path)] ?? "application/octet-stream", body: readFileSync(path) },
    ]),
);
files.set("/", files.get("/index.html"));

const routes = {
  "/login"({ body }) {
    const name = textOf(json(body).name, 40, "A name");
    return issueToken(name);
  },

  "/broadcasting/auth"({ body, user }) {
    const form = new URLSearchParams(body);
    return authorize(user, form.get("channel_name") ?? "", form.get("socket_id") ?? "");
  },

  async "/news"({ user }) {
    await broadcast("news", eventClass("NewsPublished"), { title: `${signedIn(user).name} has news` });
    return {};
  },

  async "/orders"({ user }) {
    const order = Date.now() % 10000;
    await broadcast(`private-user.${signedIn(user).id}`, "order.shipped", { order });
    return {};
  },

  async "/messages"({ user, body, socketId }) {
    const author = signedIn(user);
    const text = textOf(json(body).text, 1000, "A message");
    await broadcast("presence-room", eventClass("MessageSent"), { user: author, text }, socketId);
    return {};
  },
};

function signedIn(user) {
  if (!user) throw new Refusal(401, "Unauthenticated.");
  return user;
}

function json(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    throw new Refusal(400, "The body is not JSON.");
  }
}

function textOf(value, longest, what) {
  // Half of a surrogate pair is not text: the realtime server would refuse it.
  const text = typeof value === "string" && value.isWellFormed() ? value.trim() : "";
  if (!text || text.length > longest) throw new Refusal(400, `${what} has 1 to ${longest} characters.`);
  return text;
}

/** Return the body. Refuse a body without a length, or with a large length, without reading it. */
async function read(request) {
  if (!(Number(request.headers["content-length"]) <= LONGEST_BODY)) throw new Refusal(413, "The body is too long.");
  return await text(request).catch(() => {
    throw new Refusal(400, "The body ends too early.");
  });
}

async function answer(request) {
  const { method, headers, url } = request;
  const [path] = url.split("?");
  const file = ["GET", "HEAD"].includes(method) && files.get(path);
  if (file) return file;
  const route = method === "POST" && Object.hasOwn(routes, path) && routes[path];
  if (!route) throw new Refusal(404, "Not found.");
  const { authorization, "x-socket-id": socketId } = headers;
  const answered = await route({ body: await read(request), user: userOf(authorization), socketId });
  return { type: "application/json", body: JSON.stringify(answered) };
}

const limits = { requestTimeout: LONGEST_READ, connectionsCheckingInterval: 1000 };
const server = createServer(limits, async (request, response) => {
  response.setHeader("X-Content-Type-Options", "nosniff");
  try {
    const { type, body } = await answer(request);
    response.setHeader("Content-Type", type).end(body);
  } catch (fault) {
    if (!(fault instanceof Refusal)) console.error(fault);
    const [status, message] = fault instanceof Refusal ? [fault.status, fault.message] : [500, "Server Error"];
    if (!request.complete) response.setHeader("Connection", "close"); // do not read the rest of the request
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ message }));
  }
});

const { HOST = "127.0.0.1", PORT = "8000" } = process.env;
server.listen(Number(PORT), HOST, () => console.log(`Listening on http://${HOST}:${server.address().port}`));
