/** The rooms and the names of their channels, for the browser and the server. */

export const ROOMS = /** @type {const} */ (["lobby", "random", "help"]);
/** @typedef {typeof ROOMS[number]} Room */

export const LONGEST_TEXT = 1000;
export const LONGEST_NAME = 40;

/** @param {Room} room */
export const messagesChannel = (room) => `private-room-${room}`;

/** @param {Room} room */
export const presenceChannel = (room) => `presence-room-${room}`;

/** The presence channel of all users of the chat, so that a mention finds users in every room. */
export const EVERYONE = "presence-everyone";

/** @type {(value: unknown) => value is Room} */
export const isRoom = (value) => ROOMS.some((room) => room === value);

/**
 * Return true for a channel of the chat, which its users may join.
 *
 * @param {string} channel
 */
export const isChannel = (channel) =>
  channel === EVERYONE || ROOMS.some((room) => [messagesChannel(room), presenceChannel(room)].includes(channel));
