/** The user of a request, from a signed token, instead of Laravel's Sanctum. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";

const LIFETIME = 12 * 60 * 60 * 1000; // milliseconds

if (process.env.APP_KEY === "only-for-your-own-machine") {
  console.warn("APP_KEY is the example's, which everybody knows: for your own machine only.");
}

function sign(payload) {
  // Never sign with the app's secret: its signatures open channels.
  return createHmac("sha256", process.env.APP_KEY).update(payload).digest();
}

export function issueToken(name) {
  const user = { id: randomUUID(), name };
  const payload = Buffer.from(JSON.stringify({ ...user, expires: Date.now() + LIFETIME })).toString("base64url");
  return { user, token: `${payload}.${sign(payload).toString("base64url")}` };
}

/** Return the user of a token, or undefined if the token is invalid or has expired. */
export function userOf(authorization = "") {
  const [, payload, signature] = /^Bearer ([\w-]+)\.([\w-]+)$/.exec(authorization) ?? [];
  if (!payload) return undefined;
  const expected = sign(payload);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { expires, ...user } = JSON.parse(Buffer.from(payload, "base64url").toString());
  return Date.now() < expires ? user : undefined;
}
