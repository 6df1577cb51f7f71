"""The access log (``log.access``): a line for each REST call, and for the begin and the end of each connection."""

import logging
from collections.abc import Callable

from soketpy.core.refusals import ip_of, one_line, shown

log = logging.getLogger("soketpy.access")


class AccessLog:
    """The lines about all calls and connections of one process. It exists only while they are wanted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` returns seconds, of which the durations of connections are computed."""
        self._clock = clock
        self._open: dict[tuple[str, str], tuple[float, str]] = {}  # begin and client of each connection

    def call(
        self,
        app_id: str | None,
        peer: str,
        method: str,
        path: str,
        status: int,
        size: int,
        seconds: float,
        trace_id: str | None = None,
    ) -> None:
        """Log the answer to a request of the client at ``peer``. ``size`` is that of the body in bytes.

        A call whose span is exported has a ``trace_id``.
        """
        log.info(
            "%(method)s %(path)s %(status)d %(bytes)d in %(duration_ms).1f ms from %(who)s",
            {
                "event": "call",
                "app": app_id,
                "ip": ip_of(peer),
                "who": one_line(peer),
                "method": shown(method),
                "path": shown(path),
                "status": status,
                "bytes": size,
                "duration_ms": round(seconds * 1000, 3),
                **({} if trace_id is None else {"trace_id": trace_id}),
            },
        )

    def opened(self, app_id: str, socket_id: str, peer: str) -> None:
        """Log a client that is connected now."""
        self._open[app_id, socket_id] = self._clock(), peer
        log.info(
            "App %(app)s: %(who)s opened the connection %(socket_id)s",
            {
                "event": "connection_opened",
                "app": app_id,
                "socket_id": socket_id,
                "ip": ip_of(peer),
                "who": one_line(peer),
            },
        )

    def ended(self, app_id: str, socket_id: str, code: int) -> None:
        """Log that a connection has ended, with the close code of the side that closed it."""
        began, peer = self._open.pop((app_id, socket_id), (self._clock(), "an unknown address"))
        seconds = self._clock() - began
        log.info(
            "App %(app)s: the connection %(socket_id)s of %(who)s ended after %(seconds).1f s: %(code)d",
            {
                "event": "connection_ended",
                "app": app_id,
                "socket_id": socket_id,
                "ip": ip_of(peer),
                "who": one_line(peer),
                "code": code,
                "seconds": seconds,
                "duration_ms": round(seconds * 1000, 3),
            },
        )
