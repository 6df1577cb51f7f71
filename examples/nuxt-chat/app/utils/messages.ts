/** The browser's side of /api/messages. */
import type { FetchError } from "ofetch";

export interface Draft {
  id: string;
  room: Room;
  text: string;
  /** Ids of the users whom it mentions. */
  mentions: string[];
}

/** Ask the server to send a message. What it cannot do now may be tried again; what it refuses may not. */
export async function post(draft: Draft, token: string): Promise<{ outcome: Outcome; problem?: string }> {
  try {
    await $fetch("/api/messages", { method: "POST", headers: { Authorization: `Bearer ${token}` }, body: draft });
    return { outcome: "sent" };
  } catch (fault) {
    const { status = 500, data } = fault as FetchError<{ error: string }>; // no status: no answer came
    return status >= 500 ? { outcome: "later" } : { outcome: "refused", problem: data?.error };
  }
}
