/** Who a request comes from: a signed token, so that the server needs to remember nobody. Put your own login here. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";

import type { H3Event } from "h3";

function sign(payload: string): Buffer {
  const { sessionSecret } = useRuntimeConfig();
  if (!sessionSecret) throw new Error("NUXT_SESSION_SECRET is not set");
  // Never the app's secret: what that has signed opens channels.
  return createHmac("sha256", String(sessionSecret)).update(payload).digest();
}

export function issueToken(name: string): Session {
  const user = { id: randomUUID(), name };
  const payload = Buffer.from(JSON.stringify(user)).toString("base64url");
  return { user, token: `${payload}.${sign(payload).toString("base64url")}` };
}

/** The user whose token a request carries; undefined if there is none, or it was not issued here. */
export function userOf(event: H3Event): User | undefined {
  const authorization = getHeader(event, "authorization") ?? "";
  const [, payload, signature] = /^Bearer ([\w-]+)\.([\w-]+)$/.exec(authorization) ?? [];
  if (!payload || !signature) return undefined;
  const expected = sign(payload);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return JSON.parse(Buffer.from(payload, "base64url").toString()) as User;
}
