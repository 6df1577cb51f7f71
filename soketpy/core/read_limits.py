"""The limits of ``soketpy:history``: how often a connection, and all of an app on this node, may read logs."""

from collections.abc import Callable
from functools import partial

from soketpy.core.connection import Connection
from soketpy.core.limits import Bucket, Pruned
from soketpy.core.steps import Future, Later

RATE, BURST = 10, 20
"""Reads of one connection in a second, and reads that it may make at once after a pause."""

APP_RATE = 100
"""Reads of all connections of one app on this node in a second."""

MARGIN = 0.01
"""Seconds that are added to each wait, so that there is a token after it."""


class ReadLimits:
    """Lets requests wait that come too fast. Those of one app are served in their order.

    A connection has at most one request that waits, because the server does not read further messages of it. So the
    connections of an app take turns.
    """

    def __init__(self, clock: Callable[[], float], later: Later) -> None:
        self._clock = clock
        self._later = later
        self._buckets = Pruned[str, Bucket](lambda bucket: bucket.full(clock()))
        self._waiting: dict[str, dict[Connection, Future[None]]] = {}

    async def wait(self, connection: Connection) -> bool:
        """Return when the connection may read a log: True, or False if it has ended meanwhile."""
        while (pause := self._pause(connection)) > 0:
            refilled: Future[None] = Future()
            self._later(pause, partial(refilled.set_result, None))
            await refilled
            if not connection.open:
                return False
        app_id = connection.app.id
        if app_id not in self._waiting:
            pause = self._app_pause(app_id)
            if not pause:
                return True
            self._waiting[app_id] = {}
            self._later(pause, partial(self._serve, app_id))
        served = self._waiting[app_id][connection] = Future()
        await served
        return connection.open

    def forget(self, connection: Connection) -> None:
        """End the wait of a connection that has ended."""
        waiting = self._waiting.get(connection.app.id) if self._waiting else None
        served = None if waiting is None else waiting.pop(connection, None)
        if served is not None:
            served.set_result(None)

    def _pause(self, connection: Connection) -> float:
        """Return the seconds until the connection may read again. If the result is 0, a token was taken."""
        now = self._clock()
        bucket = connection.reads = connection.reads or Bucket(RATE, BURST, now)
        return 0 if bucket.take(1, now) else bucket.wait(1) + MARGIN

    def _app_pause(self, app_id: str) -> float:
        """Return the seconds until the app may read again. If the result is 0, a token was taken."""
        now = self._clock()
        bucket = self._buckets.get(app_id)
        if bucket is None:
            bucket = self._buckets[app_id] = Bucket(APP_RATE, APP_RATE, now)
        return 0 if bucket.take(1, now) else bucket.wait(1) + MARGIN

    def _serve(self, app_id: str) -> None:
        """Serve the requests of an app as far as its limit allows now, and the others later."""
        waiting = self._waiting[app_id]
        while waiting:
            if pause := self._app_pause(app_id):
                self._later(pause, partial(self._serve, app_id))
                return
            waiting.pop(next(iter(waiting))).set_result(None)
        del self._waiting[app_id]
