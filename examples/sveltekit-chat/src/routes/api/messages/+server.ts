import { json } from "@sveltejs/kit";

import { isRoom, LONGEST_TEXT, type Message, messagesChannel } from "$lib/chat";
import { pusher, type TriggerFault } from "$lib/server/pusher";
import { userOf } from "$lib/server/session";

import type { RequestHandler } from "./$types";

const ID = /^[\w-]{1,64}$/;
const MOST_MENTIONS = 10;

const isId = (value: unknown): value is string => typeof value === "string" && ID.test(value);

/** Send a message to everyone in a room, and notify the users that it mentions. */
export const POST: RequestHandler = async ({ request }) => {
  const author = userOf(request);
  if (!author) return json({ error: "Sign in first." }, { status: 401 });

  const body = (await request.json().catch(() => null)) as Record<string, unknown> | null;
  const { id, room, text, mentions = [] } = body ?? {};
  if (!isId(id) || !isRoom(room) || typeof text !== "string" || !text.trim() || text.length > LONGEST_TEXT) {
    return json({ error: "A message has an id, a room and a text of 1 to 1000 characters." }, { status: 400 });
  }
  if (!Array.isArray(mentions) || mentions.length > MOST_MENTIONS || !mentions.every(isId)) {
    return json({ error: "Mentions are a list of up to 10 ids of users." }, { status: 400 });
  }

  const message: Message = { id, room, author, text, at: Date.now() };
  try {
    await pusher.trigger(messagesChannel(room), "message", message);
    await Promise.all(mentions.map((user) => pusher.sendToUser(user, "mention", message)));
  } catch (fault) {
    const { message: what, status, error } = fault as TriggerFault; // the other fields contain the signed URL
    console.error("The message could not be published:", what, error?.code ?? "");
    if (status === 400 || status === 413) {
      return json({ error: "The realtime server refuses this message." }, { status });
    }
    return json({ error: "The realtime server cannot be reached." }, { status: 502 });
  }
  return json(message);
};
