/** What both sides know: the rooms, and the names of their channels. */

export const ROOMS = ["lobby", "random", "help"] as const;

export const LONGEST_TEXT = 1000;
export const LONGEST_NAME = 40;

export const messagesChannel = (room: Room) => `private-cache-room-${room}`;
export const presenceChannel = (room: Room) => `presence-room-${room}`;

export const isRoom = (value: unknown): value is Room => ROOMS.includes(value as Room);

/** The room whose channel this is, if any. */
export function roomOf(channel: string): Room | undefined {
  return ROOMS.find((room) => channel === messagesChannel(room) || channel === presenceChannel(room));
}
