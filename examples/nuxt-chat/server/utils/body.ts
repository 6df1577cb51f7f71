import type { H3Event } from "h3";

const LARGEST_BODY = 16 * 1024; // bytes

/** Return the body as text. Refuse a body without a length, or with a large length, without reading it. */
async function textOf(event: H3Event): Promise<string> {
  const length = Number(getHeader(event, "content-length"));
  if (!(length <= LARGEST_BODY)) {
    setHeader(event, "connection", "close");
    throw createError({ statusCode: 413, statusMessage: "Content Too Large" });
  }
  return (await readRawBody(event)) ?? "";
}

/** Return the fields of a form. */
export const formOf = async (event: H3Event) => new URLSearchParams(await textOf(event));

/** Return the fields of a JSON object, or no fields if the body is anything else. */
export async function fieldsOf(event: H3Event): Promise<Record<string, unknown>> {
  const text = await textOf(event);
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Respond with a status and a text, which the page shows. */
export function refuse(event: H3Event, status: number, error: string) {
  setResponseStatus(event, status);
  return { error };
}
