"""The subscriptions that wait because all connections of their app together subscribe too fast."""

from functools import partial

from soketpy.core import steps
from soketpy.core.authorization import limit_reached
from soketpy.core.connection import Connection
from soketpy.core.ports import RateLimiter, Unavailable
from soketpy.core.steps import Future, Later
from soketpy.protocol.errors import Code

LEAST_PAUSE = 0.02
"""Seconds between two attempts to serve the subscriptions of an app that wait, at least."""

MOST_AT_ONCE = 200
"""Subscriptions of an app that are served together, at most, so that other clients do not wait for them."""

LONGEST_PAUSE = 1.0
"""Seconds between two such attempts, at most. A limit that was changed applies within this time."""


class SubscribeQueue:
    """Serves the waiting subscriptions of each app in their order, as fast as the limit of the app allows.

    A connection has at most one subscription that waits, because the server does not read further messages of it.
    """

    def __init__(self, limiter: RateLimiter, later: Later) -> None:
        self._limiter = limiter
        self._later = later
        self._waiting: dict[str, dict[Connection, Future[None]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def wait(self, connection: Connection, limit: int) -> None:
        """Return when the app of a connection, which has a ``limit``, may have one more subscription.

        Return early if the connection ends. Raise SubscriptionRefused if the limit cannot be checked.
        """
        app_id = connection.app.id
        try:
            if app_id not in self._waiting:
                allowance = await self._limiter.take_one(app_id, "subscribes", limit)
                if allowance.allowed:
                    return
                if app_id not in self._waiting:
                    self._waiting[app_id] = {}
                    self._serve_later(app_id, allowance.retry_after)
            served = self._waiting[app_id][connection] = Future()
            await served
        except Unavailable as fault:
            raise limit_reached(str(fault), Code.OVER_CAPACITY) from None

    def forget(self, connection: Connection) -> None:
        """End the wait of a connection that has ended."""
        waiting = self._waiting.get(connection.app.id) if self._waiting else None
        served = None if waiting is None else waiting.pop(connection, None)
        if served is not None:
            served.set_result(None)

    def _serve_later(self, app_id: str, seconds: float) -> None:
        self._later(min(max(seconds, LEAST_PAUSE), LONGEST_PAUSE), partial(self._begin_serving, app_id))

    def _begin_serving(self, app_id: str) -> None:
        steps.begin(self._serve(app_id))

    async def _serve(self, app_id: str) -> None:
        """Serve the subscriptions of an app as far as its limit allows now, and the others later."""
        waiting = self._waiting[app_id]
        for _ in range(MOST_AT_ONCE):
            if not waiting:
                del self._waiting[app_id]
                return
            limit = next(iter(waiting)).app.max_total_subscribes_per_second
            fault: Exception | None = None
            try:
                if limit is not None:
                    allowance = await self._limiter.take_one(app_id, "subscribes", limit)
                    if not allowance.allowed:
                        self._serve_later(app_id, allowance.retry_after)
                        return
            except Exception as caught:  # the operation that waits handles it
                fault = caught
            if waiting:  # the first one may have left during the wait
                served = waiting.pop(next(iter(waiting)))
                if fault is None:
                    served.set_result(None)
                else:
                    served.set_exception(fault)
        self._serve_later(app_id, LEAST_PAUSE)
