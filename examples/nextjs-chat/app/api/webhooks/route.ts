import { withSmallBody } from "@/lib/body";
import { EVERYONE } from "@/lib/chat";
import { MOST_NAMES, ONLINE, type Online } from "@/lib/online";
import { nameOf } from "@/lib/people";
import { pusher, type TriggerFault } from "@/lib/pusher";

/**
 * Receive a webhook of soketpy: somebody has come or left, or a visitor asks and the cache is empty.
 *
 * The events only say that something has changed; the realtime server knows who is there now. So a repeated or a late
 * webhook does no harm. An answer other than 2xx makes soketpy send the webhook again.
 */
export const POST = withSmallBody(async (request) => {
  const webhook = pusher.webhook({ headers: Object.fromEntries(request.headers), rawBody: await request.text() });
  if (!request.headers.has("x-pusher-signature") || !webhook.isValid()) {
    return Response.json({ error: "The signature is wrong." }, { status: 401 });
  }
  try {
    await pusher.trigger(ONLINE, "people", await online());
  } catch (fault) {
    const { message, status, error } = fault as TriggerFault; // the other fields contain the signed URL
    console.error("Who is online could not be published:", message, status ?? error?.code ?? "");
    return Response.json({ error: "The realtime server cannot be reached." }, { status: 502 });
  }
  return new Response(null, { status: 204 });
});

async function online(): Promise<Online> {
  const response = await pusher.get({ path: `/channels/${EVERYONE}/users` });
  const { users } = (await response.json()) as { users: { id: string }[] };
  const names = users.flatMap(({ id }) => nameOf(id) ?? []).sort((a, b) => a.localeCompare(b));
  return { names: names.slice(0, MOST_NAMES), count: users.length };
}
