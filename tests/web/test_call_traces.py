"""The routes of the spans of REST calls."""

from typing import Any, cast

from soketpy.core.apps import StaticApps
from soketpy.drivers.local.limits import LocalRateLimiter
from soketpy.web.call_traces import ROUTES
from soketpy.web.cors import CorsHeaders
from soketpy.web.rest import Rest


def test_each_operation_has_a_route() -> None:
    rest = Rest(cast(Any, None), StaticApps(), LocalRateLimiter(lambda: 0.0), CorsHeaders())
    assert set(ROUTES) == rest.calls.keys() - {"health", "other"}
