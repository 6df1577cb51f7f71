const LARGEST_BODY = 16 * 1024; // bytes

type Handler = (request: Request) => Promise<Response>;

/** The same handler, but for a body without a length, or with too great a one: that is not read at all. */
export function withSmallBody(handler: Handler): Handler {
  return async (request) => {
    const length = Number(request.headers.get("content-length") ?? NaN);
    if (length <= LARGEST_BODY) return handler(request);
    return Response.json({ error: "That is too large." }, { status: 413, headers: { Connection: "close" } });
  };
}
