/** The browser's side of /api/messages. */
import type { FetchError } from "ofetch";

export interface Draft {
  id: string;
  room: Room;
  text: string;
}

export interface Answer {
  outcome: Outcome;
  /** The message that was sent. A broken WebSocket may never deliver it, so the page shows this one. */
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
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const message = await $fetch<Message>("/api/messages", { method: "POST", headers, body: { ...draft, mentions } });
    return { outcome: "sent", message };
  } catch (fault) {
    const { status = 500, data } = fault as FetchError<{ error: string }>; // without a response there is no status
    if (status === 401) return { outcome: "later", sessionEnded: true };
    return status >= 500 ? { outcome: "later" } : { outcome: "refused", problem: data?.error };
  }
}
