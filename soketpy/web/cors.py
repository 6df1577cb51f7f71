"""Cross-origin answers: which origin an answer names, and preflight."""

from dataclasses import dataclass

from soketpy.admission import origin_allowed

PREFLIGHT_AGE = "600"
"""Seconds for which browsers may remember a preflight."""


@dataclass(frozen=True, slots=True)
class Cors:
    """Which pages may read answers."""

    origins: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ("GET", "POST", "OPTIONS")
    headers: tuple[str, ...] = ("Content-Type",)
    credentials: bool = False

    def answer(self, origin: str | None, of_app: tuple[str, ...] = ()) -> dict[str, str]:
        """The headers of an answer to a page of ``origin``; an app's own origins go before the server's.

        One origin at most is named: the page's where it is allowed, else the first that is named as a whole.
        """
        allowed = of_app or self.origins
        if "*" in allowed:
            return {"Access-Control-Allow-Origin": "*"}
        if not origin or not origin.isascii() or not origin_allowed(origin, allowed):
            named = next((whole for whole in allowed if "://" in whole and "*" not in whole), None)
            return {"Vary": "Origin"} if named is None else {"Access-Control-Allow-Origin": named, "Vary": "Origin"}
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers

    def preflight(self, origin: str | None, of_app: tuple[str, ...] = ()) -> dict[str, str]:
        """The headers of the answer to an OPTIONS request."""
        return {
            **self.answer(origin, of_app),
            "Access-Control-Allow-Methods": ", ".join(self.methods),
            "Access-Control-Allow-Headers": ", ".join(self.headers),
            "Access-Control-Max-Age": PREFLIGHT_AGE,
        }
