/** What is said, and the events that carry it. */
import type { Room } from "../../shared/chat.mjs";

export * from "../../shared/chat.mjs";

export interface User {
  id: string;
  name: string;
}

/** Who somebody is, and what proves it to the server. */
export interface Session {
  user: User;
  token: string;
}

export interface Message {
  /** Made by its author, so that a message that was sent twice is shown once. */
  id: string;
  room: Room;
  author: User;
  text: string;
  /** Milliseconds since 1970, by the clock of the server. */
  at: number;
}

/** Events of the cache channel of a room: who subscribes is given the last one at once. */
export interface RoomEvents {
  message: Message;
}

/** Events of the presence channel of a room; those that begin with "client-" go from browser to browser. */
export interface PresenceEvents {
  "client-typing": Record<string, never>;
}

/** Events for one signed-in user, wherever they are. */
export interface UserEvents {
  mention: Message;
}
