import { json, text } from "@sveltejs/kit";

import { isChannel } from "$lib/chat";
import { pusher } from "$lib/server/pusher";
import { userOf } from "$lib/server/session";

import type { RequestHandler } from "./$types";

/** Sign a request to join a channel. pusher-js asks before it subscribes to a private or presence channel. */
export const POST: RequestHandler = async ({ request }) => {
  const user = userOf(request);
  if (!user) return text("Forbidden", { status: 403 });
  const form = new URLSearchParams(await request.text());
  const channel = form.get("channel_name") ?? "";
  const socketId = form.get("socket_id") ?? "";
  if (!isChannel(channel)) return text("Forbidden", { status: 403 });
  if (!/^\d+\.\d+$/.test(socketId)) return text("No socket_id", { status: 400 });
  const member = { user_id: user.id, user_info: { name: user.name } };
  return json(pusher.authorizeChannel(socketId, channel, channel.startsWith("presence-") ? member : undefined));
};
