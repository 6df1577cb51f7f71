"""The CORS headers of answers and of preflights."""

from soketpy.protocol.origins import Origins

PREFLIGHT_AGE = "600"
"""Seconds for which browsers may remember a preflight."""


class CorsHeaders:
    """The origins whose pages may read answers. Raises BadOrigin for an origin that no browser can send."""

    __slots__ = ("_allow_headers", "_allow_methods", "_credentials", "_origins", "without_origin")

    def __init__(
        self,
        origins: tuple[str, ...] = ("*",),
        methods: tuple[str, ...] = ("GET", "POST", "OPTIONS"),
        headers: tuple[str, ...] = ("Content-Type",),
        credentials: bool = False,
    ) -> None:
        self._origins = Origins(origins)
        # Fetch: browsers send GET, POST, PUT, DELETE, OPTIONS and HEAD in capitals, and compare the rest as written.
        self._allow_methods = ", ".join(each.upper() for each in methods)
        self._allow_headers = ", ".join(headers)
        self._credentials = credentials
        self.without_origin = self.answer(None)
        """The headers of an answer to a request without Origin, where no app has origins of its own."""

    def answer(self, origin: str | None, of_app: Origins | None = None) -> dict[str, str]:
        """Return the headers of an answer to a page of ``origin``; an app's own origins replace the server's.

        The answer names at most one origin: the page's if it is allowed, otherwise the first one without a wildcard.
        """
        allowed = of_app if of_app is not None and of_app.patterns else self._origins
        if allowed.allows_any:
            return {"Access-Control-Allow-Origin": "*"}
        if not origin or not origin.isascii() or not allowed.match(origin):
            named = allowed.first
            return {"Vary": "Origin"} if named is None else {"Access-Control-Allow-Origin": named, "Vary": "Origin"}
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if self._credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers

    def preflight(self, origin: str | None, of_app: Origins | None = None) -> dict[str, str]:
        """Return the headers of the answer to an OPTIONS request."""
        return {
            **self.answer(origin, of_app),
            "Access-Control-Allow-Methods": self._allow_methods,
            "Access-Control-Allow-Headers": self._allow_headers,
            "Access-Control-Max-Age": PREFLIGHT_AGE,
        }
