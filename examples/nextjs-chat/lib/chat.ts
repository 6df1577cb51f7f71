// A copy of examples/shared/chat.ts, written by examples/shared/copy.py.
/** The rooms, their channels and the events on them, for the browser and the server. */

export const ROOMS = ["lobby", "random", "help"] as const;
export type Room = (typeof ROOMS)[number];

export const LONGEST_TEXT = 1000;
export const LONGEST_NAME = 40;

export interface User {
  id: string;
  name: string;
}

/** The user of a tab, and the token that proves it to the server. */
export interface Session {
  user: User;
  token: string;
}

export interface Message {
  /** Chosen by the author's page. A page shows each id once, even if the message was sent twice. */
  id: string;
  room: Room;
  author: User;
  text: string;
  /** Milliseconds since 1970, by the clock of the server. */
  at: number;
}

/** Events of the channel of a room. The channel has history: a new subscriber gets the last messages at once. */
export interface RoomEvents {
  message: Message;
  /** soketpy sends this to a tab that has reconnected, after the messages that the tab has missed. */
  "soketpy:recovered": { complete: boolean };
}

/** Events of the presence channel of a room. Events that begin with "client-" go from browser to browser. */
export interface PresenceEvents {
  "client-typing": Record<string, never>;
}

/** Events for one signed-in user, on all of the user's connections. */
export interface UserEvents {
  mention: Message;
}

export const messagesChannel = (room: Room) => `private-room-${room}`;
export const presenceChannel = (room: Room) => `presence-room-${room}`;

/** The presence channel of all users of the chat, so that a mention finds users in every room. */
export const EVERYONE = "presence-everyone";

export const isRoom = (value: unknown): value is Room => ROOMS.includes(value as Room);

/** Return true for a channel of the chat, which its users may join. */
export function isChannel(channel: string): boolean {
  return (
    channel === EVERYONE || ROOMS.some((room) => [messagesChannel(room), presenceChannel(room)].includes(channel))
  );
}
