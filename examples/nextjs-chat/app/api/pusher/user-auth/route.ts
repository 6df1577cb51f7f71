import { pusher } from "@/lib/pusher";
import { userOf } from "@/lib/session";

/** Say who a connection belongs to, so that events can be sent to that user. */
export async function POST(request: Request) {
  const user = userOf(request);
  const socketId = new URLSearchParams(await request.text()).get("socket_id") ?? "";
  if (!user) return new Response("Forbidden", { status: 403 });
  if (!/^\d+\.\d+$/.test(socketId)) return new Response("No socket_id", { status: 400 });
  return Response.json(pusher.authenticateUser(socketId, { id: user.id, user_info: { name: user.name } }));
}
