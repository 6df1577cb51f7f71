/** The rooms and the names of their channels, for the browser and the server. */

export const ROOMS = ["lobby", "random", "help"] as const;

export const LONGEST_TEXT = 1000;
export const LONGEST_NAME = 40;

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
