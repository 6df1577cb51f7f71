/** The user of a request, from a signed token, so that the server needs no state. Put your own login here. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";

/**
 * @typedef {import("../src/utils/chat").Session} Session
 * @typedef {import("../src/utils/chat").User} User
 */

const VALID_FOR = 12 * 60 * 60 * 1000; // milliseconds
const PUBLIC_SECRET = "only-for-your-own-machine"; // the secret in .env
const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

const { HOST = "127.0.0.1", NODE_ENV, SESSION_SECRET: SECRET } = process.env;
if (!SECRET) throw new Error("SESSION_SECRET is not set");
if (SECRET === PUBLIC_SECRET && (NODE_ENV === "production" || !LOOPBACK.includes(HOST))) {
  console.warn("SESSION_SECRET is the one in .env, which everybody knows: set your own.");
}

/**
 * Sign with the secret for sessions. It must not be the app's secret, whose signatures open channels.
 *
 * @param {string} payload
 */
const sign = (payload) => createHmac("sha256", SECRET).update(payload).digest();

/**
 * @param {string} name
 * @returns {Session}
 */
export function issueToken(name) {
  const user = { id: randomUUID(), name };
  const payload = Buffer.from(JSON.stringify({ ...user, issuedAt: Date.now() })).toString("base64url");
  return { user, token: `${payload}.${sign(payload).toString("base64url")}` };
}

/**
 * Return the user of a request's token, or undefined if the token is missing, invalid or too old.
 *
 * @param {string | undefined} authorization
 * @returns {User | undefined}
 */
export function userOf(authorization) {
  const [, payload, signature] = /^Bearer ([\w-]+)\.([\w-]+)$/.exec(authorization ?? "") ?? [];
  if (!payload || !signature) return undefined;
  const expected = sign(payload);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { issuedAt, ...user } = JSON.parse(Buffer.from(payload, "base64url").toString());
  return Date.now() - issuedAt < VALID_FOR ? user : undefined;
}
