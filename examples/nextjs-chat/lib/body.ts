const LARGEST_BODY = 16 * 1024; // bytes

type Handler = (request: Request) => Promise<Response>;

/** Return a handler that refuses a body without a length, or with a large length, without reading it. */
export function withSmallBody(handler: Handler): Handler {
  return async (request) => {
    const length = Number(request.headers.get("content-length") ?? NaN);
    if (length <= LARGEST_BODY) return handler(request);
    return Response.json({ error: "The body is too large." }, { status: 413, headers: { Connection: "close" } });
  };
}
