/** What both sides know: the rooms, the names of their channels, and what is said on them. */

export const ROOMS = ["lobby", "random", "help"] as const;
export type Room = (typeof ROOMS)[number];

export const LONGEST_TEXT = 1000;
export const LONGEST_NAME = 40;

export interface User {
  id: string;
  name: string;
}

/** What signing in gives. */
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
  /** Milliseconds since 1970, by the clock of the API route. */
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

export const messagesChannel = (room: Room) => `private-cache-room-${room}`;
export const presenceChannel = (room: Room) => `presence-room-${room}`;

/** The presence channel of all who are in the chat, whichever room they look at: a mention finds them there. */
export const EVERYONE = "presence-everyone";

export const isRoom = (value: unknown): value is Room => ROOMS.includes(value as Room);

/** Return whether this is a channel of the chat, which its users may join. */
export function isChannel(channel: string): boolean {
  return (
    channel === EVERYONE || ROOMS.some((room) => [messagesChannel(room), presenceChannel(room)].includes(channel))
  );
}
