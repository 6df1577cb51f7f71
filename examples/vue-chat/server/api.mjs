/** The API: signs requests and triggers events. Only it has the app's secret. */
import Pusher from "pusher";

import { isChannel, isRoom, LONGEST_NAME, LONGEST_TEXT, messagesChannel } from "../shared/chat.mjs";
import { issueToken } from "./session.mjs";

/**
 * @typedef {import("../src/utils/chat").Message} Message
 * @typedef {import("../src/utils/chat").User} User
 * @typedef {{ message: string, status?: number, error?: { code?: string } }} TriggerFault An error of npm pusher.
 */

const { env } = process;
const pusher = new Pusher({
  appId: env.PUSHER_APP_ID ?? "1",
  key: env.VITE_PUSHER_KEY ?? "app-key",
  secret: env.PUSHER_SECRET ?? "app-secret",
  host: env.PUSHER_HOST ?? "127.0.0.1",
  port: env.PUSHER_PORT ?? "6001",
  useTLS: env.PUSHER_TLS === "true",
  timeout: 5000,
});

const ID = /^[\w-]{1,64}$/;
const SOCKET_ID = /^\d+\.\d+$/;
const MOST_MENTIONS = 10;

/** @type {(value: unknown) => value is string} */
const isId = (value) => typeof value === "string" && ID.test(value);

/** @typedef {(user: User | undefined, body: string) => Response | Promise<Response>} Route */

/**
 * Sign in anybody, under any name.
 *
 * @type {Route}
 */
function session(_, body) {
  const given = parse(body).name;
  const name = typeof given === "string" ? given.trim() : "";
  if (!name || name.length > LONGEST_NAME || !name.isWellFormed()) {
    return refusal(400, `A name has 1 to ${LONGEST_NAME} characters.`);
  }
  return Response.json(issueToken(name));
}

/**
 * Sign a request to join a channel. pusher-js asks before it subscribes to a private or presence channel.
 *
 * @type {Route}
 */
function authorizeChannel(user, body) {
  const form = new URLSearchParams(body);
  const channel = form.get("channel_name") ?? "";
  const socketId = form.get("socket_id") ?? "";
  if (!user || !isChannel(channel)) return new Response("Forbidden", { status: 403 });
  if (!SOCKET_ID.test(socketId)) return new Response("No socket_id", { status: 400 });
  const member = channel.startsWith("presence-") ? { user_id: user.id, user_info: { name: user.name } } : undefined;
  return Response.json(pusher.authorizeChannel(socketId, channel, member));
}

/**
 * Sign the sign-in of a connection, so that events for the user reach it.
 *
 * @type {Route}
 */
function authenticateUser(user, body) {
  const socketId = new URLSearchParams(body).get("socket_id") ?? "";
  if (!user) return new Response("Forbidden", { status: 403 });
  if (!SOCKET_ID.test(socketId)) return new Response("No socket_id", { status: 400 });
  return Response.json(pusher.authenticateUser(socketId, { id: user.id, user_info: { name: user.name } }));
}

/**
 * Send a message to everyone in a room, and notify the users that it mentions.
 *
 * @param {User | undefined} author
 * @param {string} body
 */
async function messages(author, body) {
  if (!author) return refusal(401, "Sign in first.");
  const { id, room, text, mentions = [] } = parse(body);
  if (!isId(id) || !isRoom(room) || typeof text !== "string" || !text.trim() || text.length > LONGEST_TEXT) {
    return refusal(400, `A message has an id, a room and a text of 1 to ${LONGEST_TEXT} characters.`);
  }
  if (!Array.isArray(mentions) || mentions.length > MOST_MENTIONS || !mentions.every(isId)) {
    return refusal(400, `Mentions are a list of up to ${MOST_MENTIONS} ids of users.`);
  }

  /** @type {Message} */
  const message = { id, room, author, text, at: Date.now() };
  try {
    await pusher.trigger(messagesChannel(room), "message", message);
    await Promise.all(mentions.map((user) => pusher.sendToUser(user, "mention", message)));
  } catch (fault) {
    // The other fields contain the signed URL.
    const { message: what, status, error } = /** @type {TriggerFault} */ (fault);
    console.error("The message could not be published:", what, error?.code ?? "");
    if (status === 400 || status === 413) return refusal(status, "The realtime server refuses this message.");
    return refusal(502, "The realtime server cannot be reached.");
  }
  return Response.json(message);
}

/** @type {Map<string, Route>} */
export const routes = new Map([
  ["/api/session", session],
  ["/api/pusher/auth", authorizeChannel],
  ["/api/pusher/user-auth", authenticateUser],
  ["/api/messages", messages],
]);

/**
 * Return the fields of a JSON object, or no fields if the text is anything else.
 *
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** @type {(status: number, error: string) => Response} */
const refusal = (status, error) => Response.json({ error }, { status });
