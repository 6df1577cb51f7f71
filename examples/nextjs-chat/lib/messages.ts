/** The browser's side of /api/messages. */
import type { Outcome } from "@/hooks/use-outbox";

import type { Message, Room } from "./chat";

export interface Draft {
  id: string;
  room: Room;
  text: string;
}

export interface Answer {
  outcome: Outcome;
  /** What was sent: the WebSocket may be gone without a word, and not bring it. */
  message?: Message;
  /** What is wrong with a message that was refused. */
  problem?: string;
  /** The token is not accepted: the message waits until its author has joined again. */
  sessionEnded?: boolean;
}

/** The most users whom the server tells of one message. */
export const MOST_MENTIONS = 10;

/**
 * Ask the server to send a message, and to tell the users whom it mentions, by their ids. What it cannot do now may be
 * tried again; what it refuses may not.
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
