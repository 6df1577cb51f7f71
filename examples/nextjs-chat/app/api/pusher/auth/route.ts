import { withSmallBody } from "@/lib/body";
import { isChannel } from "@/lib/chat";
import { remember } from "@/lib/people";
import { pusher } from "@/lib/pusher";
import { userOf } from "@/lib/session";

/** Sign a request to join a channel. pusher-js asks before it subscribes to a private or presence channel. */
export const POST = withSmallBody(async (request) => {
  const user = userOf(request);
  if (!user) return new Response("Forbidden", { status: 403 });
  const form = new URLSearchParams(await request.text());
  const channel = form.get("channel_name") ?? "";
  const socketId = form.get("socket_id") ?? "";
  if (!isChannel(channel)) return new Response("Forbidden", { status: 403 });
  if (!/^\d+\.\d+$/.test(socketId)) return new Response("No socket_id", { status: 400 });
  remember(user); // this process may be another one than at the sign-in
  const member = { user_id: user.id, user_info: { name: user.name } };
  return Response.json(pusher.authorizeChannel(socketId, channel, channel.startsWith("presence-") ? member : undefined));
});
