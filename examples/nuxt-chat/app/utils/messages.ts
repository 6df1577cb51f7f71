/** The browser's side of /api/messages. */
import type { FetchError } from "ofetch";

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
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const message = await $fetch<Message>("/api/messages", { method: "POST", headers, body: { ...draft, mentions } });
    return { outcome: "sent", message };
  } catch (fault) {
    const { status = 500, data } = fault as FetchError<{ error: string }>; // no status: no answer came
    if (status === 401) return { outcome: "later", sessionEnded: true };
    return status >= 500 ? { outcome: "later" } : { outcome: "refused", problem: data?.error };
  }
}
