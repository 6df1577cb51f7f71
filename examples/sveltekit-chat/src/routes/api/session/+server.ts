import { json } from "@sveltejs/kit";

import { LONGEST_NAME } from "$lib/chat";
import { issueToken } from "$lib/server/session";

import type { RequestHandler } from "./$types";

/** Sign in anybody, under any name. */
export const POST: RequestHandler = async ({ request }) => {
  const body: unknown = await request.json().catch(() => null);
  const given = (body as { name?: unknown } | null)?.name;
  const name = typeof given === "string" ? given.trim() : "";
  if (!name || name.length > LONGEST_NAME || !name.isWellFormed()) {
    return json({ error: `A name has 1 to ${LONGEST_NAME} characters.` }, { status: 400 });
  }
  return json(issueToken(name));
};
