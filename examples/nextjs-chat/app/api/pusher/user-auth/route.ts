import { withSmallBody } from "@/lib/body";
import { pusher } from "@/lib/pusher";
import { userOf } from "@/lib/session";

/** Sign the sign-in of a connection, so that events for the user reach it. */
export const POST = withSmallBody(async (request) => {
  const user = userOf(request);
  if (!user) return new Response("Forbidden", { status: 403 });
  const socketId = new URLSearchParams(await request.text()).get("socket_id") ?? "";
  if (!/^\d+\.\d+$/.test(socketId)) return new Response("No socket_id", { status: 400 });
  return Response.json(pusher.authenticateUser(socketId, { id: user.id, user_info: { name: user.name } }));
});
