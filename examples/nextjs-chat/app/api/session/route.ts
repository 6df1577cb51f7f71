import { withSmallBody } from "@/lib/body";
import { LONGEST_NAME } from "@/lib/chat";
import { remember } from "@/lib/people";
import { issueToken } from "@/lib/session";

/** Sign in anybody, under any name. */
export const POST = withSmallBody(async (request) => {
  const body: unknown = await request.json().catch(() => null);
  const given = (body as { name?: unknown } | null)?.name;
  const name = typeof given === "string" ? given.trim() : "";
  if (!name || name.length > LONGEST_NAME || !name.isWellFormed()) {
    return Response.json({ error: `A name has 1 to ${LONGEST_NAME} characters.` }, { status: 400 });
  }
  const session = issueToken(name);
  remember(session.user);
  return Response.json(session);
});
