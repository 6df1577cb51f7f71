// A copy of examples/shared/messages.ts, written by examples/shared/copy.py.
/** The browser's side of /api/messages. */
import type { Message, Room } from "./chat";
import type { Outcome } from "./outbox";

export interface Draft {
  id: string;
  room: Room;
  text: string;
}

export interface Answer {
  outcome: Outcome;
  /** The message that was sent. The page shows it at once, even while its WebSocket is broken. */
  message?: Message;
  /** The reason for a refusal. */
  problem?: string;
  /** The API does not accept the token: the message waits until its author has joined again. */
  sessionEnded?: boolean;
}

/** The most users that one message may mention. */
export const MOST_MENTIONS = 10;

/**
 * Ask the server to send a message, and to notify the users that it mentions, by their ids.
 *
 * The outcome is `later` if another attempt may succeed, and `refused` if it cannot.
 */
export async function post(draft: Draft, mentions: string[], token: string): Promise<Answer> {
  const response = await fetch("/api/messages", {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ...draft, mentions }),
  });
  if (response.ok) return { outcome: "sent", message: (await response.json()) as Message };
  if (response.status === 401) return { outcome: "later", sessionEnded: true };
  if (response.status >= 500) return { outcome: "later" };
  const { error } = (await response.json()) as { error: string };
  return { outcome: "refused", problem: error };
}
