import { type Handle, json } from "@sveltejs/kit";

const LARGEST_BODY = 16 * 1024; // bytes

/** Refuse a body without a length, or with a large length, without reading it. */
export const handle: Handle = ({ event, resolve }) => {
  const { headers, method } = event.request;
  const length = Number(headers.get("content-length") ?? NaN);
  if (method !== "POST" || length <= LARGEST_BODY) return resolve(event);
  return json({ error: "The body is too large." }, { status: 413, headers: { Connection: "close" } });
};
