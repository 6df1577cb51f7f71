"""Health checks: ``/``, ``/ready``, ``/serving`` and ``/accept-traffic``."""

from collections.abc import Callable
from http import HTTPStatus

from soketpy.web.answers import Answer, readiness
from soketpy.web.errors import RequestError, stopping
from soketpy.web.memory import memory

PATHS = frozenset({"/", "/ready", "/serving", "/accept-traffic"})


class HealthChecks:
    """The answers to health checks; the same for every method, because a load balancer may use any."""

    def __init__(self, memory_percent: float, available: Callable[[], bool]) -> None:
        self._memory_percent = memory_percent
        self._available = available

    def answer(self, path: str, draining: bool) -> Answer:
        """Return the answer to the health check at ``path``, one of PATHS. Raises RequestError (503)."""
        match path:
            case "/ready":
                return readiness(draining, self._available())
            case "/serving":
                return readiness(draining, available=True)
            case "/accept-traffic":
                return self._accept_traffic(draining)
        return Answer("OK")

    def _accept_traffic(self, draining: bool) -> Answer:
        if draining:
            raise stopping()
        now = memory()
        if now.percent > self._memory_percent:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is low on memory; choose another.")
        used = {"usedSize": now.used, "totalSize": now.total, "percentUsage": now.percent}
        return Answer({"memory": used})
