/** The user of a request, from a signed token, so that the routes need no state. Put your own login here. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";

import { env } from "$env/dynamic/private";
import type { User } from "$lib/chat";

const VALID_FOR = 12 * 60 * 60 * 1000; // milliseconds
const PUBLIC_SECRET = "only-for-your-own-machine"; // the secret in .env
const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

let secret = "";

/** Return the secret for sessions. It must not be the app's secret, whose signatures open channels. */
function secretOf(): string {
  if (secret) return secret;
  secret = env.SESSION_SECRET ?? "";
  if (!secret) throw new Error("SESSION_SECRET is not set");
  const { HOST = "127.0.0.1", NODE_ENV } = process.env;
  if (secret === PUBLIC_SECRET && (NODE_ENV === "production" || !LOOPBACK.includes(HOST))) {
    console.warn("SESSION_SECRET is the one in .env, which everybody knows: set your own.");
  }
  return secret;
}

const sign = (payload: string) => createHmac("sha256", secretOf()).update(payload).digest();

export function issueToken(name: string): { user: User; token: string } {
  const user = { id: randomUUID(), name };
  const payload = Buffer.from(JSON.stringify({ ...user, issuedAt: Date.now() })).toString("base64url");
  return { user, token: `${payload}.${sign(payload).toString("base64url")}` };
}

/** Return the user of a request's token, or undefined if the token is missing, invalid or too old. */
export function userOf(request: Request): User | undefined {
  const [, payload, signature] = /^Bearer ([\w-]+)\.([\w-]+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
  if (!payload || !signature) return undefined;
  const expected = sign(payload);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { issuedAt, ...user } = JSON.parse(Buffer.from(payload, "base64url").toString()) as User & { issuedAt: number };
  return Date.now() - issuedAt < VALID_FOR ? user : undefined;
}
