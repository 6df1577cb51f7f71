import { json, text } from "@sveltejs/kit";

import { pusher } from "$lib/server/pusher";
import { userOf } from "$lib/server/session";

import type { RequestHandler } from "./$types";

/** Sign the sign-in of a connection, so that events for the user reach it. */
export const POST: RequestHandler = async ({ request }) => {
  const user = userOf(request);
  if (!user) return text("Forbidden", { status: 403 });
  const socketId = new URLSearchParams(await request.text()).get("socket_id") ?? "";
  if (!/^\d+\.\d+$/.test(socketId)) return text("No socket_id", { status: 400 });
  return json(pusher.authenticateUser(socketId, { id: user.id, user_info: { name: user.name } }));
};
