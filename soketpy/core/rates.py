"""The rate limits of apps while the other nodes cannot be reached."""

import logging
from collections.abc import Callable

from soketpy.core.ports import Allowance, RateLimiter, Unavailable

log = logging.getLogger("soketpy.limits")

SETTING = "rate_limits.when_unavailable"


class Rates:
    """A rate limiter with a defined effect while ``limiter``, which all nodes share, raises Unavailable.

    With a ``fallback``, which counts the points of this node alone, the fallback decides. Without one, the methods
    raise Unavailable, with a text for the client. A warning says when that begins, and another line when it has ended.
    ``connected`` returns whether this node is connected to the other nodes.
    """

    def __init__(self, limiter: RateLimiter, fallback: RateLimiter | None, connected: Callable[[], bool]) -> None:
        self._limiter = limiter
        self._fallback = fallback
        self._connected = connected
        self._alone = False

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``."""
        try:
            allowance = await self._limiter.take(app_id, what, cost, limit)
        except Unavailable:
            return await self._without_others().take(app_id, what, cost, limit)
        self._note_success()
        return allowance

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        """Take one point for something frequent."""
        try:
            allowance = await self._limiter.take_one(app_id, what, limit)
        except Unavailable:
            return await self._without_others().take_one(app_id, what, limit)
        self._note_success()
        return allowance

    def _without_others(self) -> RateLimiter:
        """Return the fallback. Raise Unavailable if there is none."""
        if not self._alone and not self._connected():  # otherwise the driver has logged a single fault
            self._alone = True
            if self._fallback is None:
                log.warning(
                    "Rate limits cannot be checked while Redis is unavailable: this node refuses what has a limit"
                    " (%(setting)s: refuse)",
                    {"event": "rate_limits_refusing", "setting": SETTING},
                )
            else:
                log.warning(
                    "Rate limits hold for each node alone while Redis is unavailable (%(setting)s: allow)",
                    {"event": "rate_limits_alone", "setting": SETTING},
                )
        if self._fallback is None:
            raise Unavailable("The rate limit of the app cannot be checked now; try again.") from None
        return self._fallback

    def _note_success(self) -> None:
        if self._alone and self._connected():
            self._alone = False
            log.info("Rate limits hold for all nodes together again", {"event": "rate_limits_shared"})
