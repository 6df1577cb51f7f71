/** The people in the chat, for visitors who have not joined. The server tells them whenever a webhook says so. */

/** A public cache channel: a new subscriber gets the last list at once. */
export const ONLINE = "cache-online";

export interface Online {
  /** Names in the order of the alphabet, at most `MOST_NAMES`. */
  names: string[];
  /** The number of all people in the chat. */
  count: number;
}

export const MOST_NAMES = 20;
