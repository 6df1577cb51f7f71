/** Laravel's broadcasting: signs requests to join a channel, and sends events under the names that Echo expects. */
import Pusher from "pusher";

import { Refusal } from "./refusal.js";

const { env } = process;

const pusher = new Pusher({
  appId: env.PUSHER_APP_ID,
  key: env.PUSHER_APP_KEY,
  secret: env.PUSHER_APP_SECRET,
  host: env.PUSHER_HOST || "127.0.0.1",
  port: env.PUSHER_PORT || 6001,
  useTLS: env.PUSHER_SCHEME === "https",
  timeout: 5000,
});

/**
 * The rules of Laravel's routes/channels.php. A rule returns false if the user may not join. For a presence channel it
 * returns the data that the other members get.
 */
const channels = [
  [/^private-user\.(?<id>[\w-]+)$/, (user, { id }) => user.id === id],
  [/^presence-room$/, ({ id, name }) => ({ id, name })],
];

const SOCKET_ID = /^\d+\.\d+$/;

/** Return the response to POST /broadcasting/auth. */
export function authorize(user, channel, socketId) {
  const [rule, found] = channels.map(([name, rule]) => [rule, name.exec(channel)]).find(([, found]) => found) ?? [];
  const info = user && rule?.(user, found.groups ?? {});
  if (!info) throw new Refusal(403, "You may not join this channel.");
  if (!SOCKET_ID.test(socketId)) throw new Refusal(400, "The socket_id is missing.");
  const member = channel.startsWith("presence-") ? { user_id: user.id, user_info: info } : undefined;
  return pusher.authorizeChannel(socketId, channel, member);
}

/** Return the name of an event without broadcastAs(): the name of its class. */
export const eventClass = (name) => `App\\Events\\${name}`;

/** Work like `broadcast(new Event(...))`; with the id of a connection, like `->toOthers()`, which skips that connection. */
export async function broadcast(channel, event, data, exceptFor = "") {
  if (exceptFor && !SOCKET_ID.test(exceptFor)) throw new Refusal(400, "The X-Socket-ID is invalid.");
  try {
    await pusher.trigger(channel, event, data, exceptFor ? { socket_id: exceptFor } : {});
  } catch (fault) {
    // Do not log the whole error: it contains the signed URL.
    console.error("The event could not be broadcast:", fault.message, fault.error?.code ?? "");
    throw new Refusal(502, "The realtime server cannot be reached. Try again.");
  }
}
