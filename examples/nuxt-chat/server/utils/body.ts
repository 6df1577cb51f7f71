import type { H3Event } from "h3";

const LARGEST_BODY = 16 * 1024; // bytes

/** The body as text. One without a length, or with too great a one, is not read at all. */
async function textOf(event: H3Event): Promise<string> {
  const length = Number(getHeader(event, "content-length"));
  if (!(length <= LARGEST_BODY)) {
    setHeader(event, "connection", "close");
    throw createError({ statusCode: 413, statusMessage: "Content Too Large" });
  }
  return (await readRawBody(event)) ?? "";
}

/** The fields of a form. */
export const formOf = async (event: H3Event) => new URLSearchParams(await textOf(event));

/** The fields of a JSON object; none if the body is something else. */
export async function fieldsOf(event: H3Event): Promise<Record<string, unknown>> {
  const text = await textOf(event);
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Answers with a status and the words for it, which the page shows. */
export function refuse(event: H3Event, status: number, error: string) {
  setResponseStatus(event, status);
  return { error };
}
