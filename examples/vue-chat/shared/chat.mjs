/** What both sides know: the rooms, and the names of their channels. */

export const ROOMS = /** @type {const} */ (["lobby", "random", "help"]);
/** @typedef {typeof ROOMS[number]} Room */

export const LONGEST_TEXT = 1000;
export const LONGEST_NAME = 40;

/** @param {Room} room */
export const messagesChannel = (room) => `private-cache-room-${room}`;

/** @param {Room} room */
export const presenceChannel = (room) => `presence-room-${room}`;

/** @type {(value: unknown) => value is Room} */
export const isRoom = (value) => ROOMS.some((room) => room === value);

/**
 * The room whose channel this is, if any.
 *
 * @param {string} channel
 */
export const roomOf = (channel) =>
  ROOMS.find((room) => channel === messagesChannel(room) || channel === presenceChannel(room));
