"""One HTTP request, from its head to its answer."""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic

import msgspec

from soketpy.core.apps import App
from soketpy.core.histograms import Calls
from soketpy.web.answers import Answer
from soketpy.web.authentication import Call
from soketpy.web.endpoints import Operation


class Exchange(msgspec.Struct, eq=False):
    """One request and its state: it has an answer, or it is a call that waits for its body or for other nodes."""

    method: str
    path: str
    origin: str | None
    app: App | None
    caller: asyncio.BaseTransport | None = None
    headers: Mapping[str, str] | None = None
    answer: Answer | None = None
    call: Call | None = None
    operation: Operation | None = None
    began: float = msgspec.field(default_factory=monotonic)
    """The time at which the head was complete or, if the client sent the body later, the body."""
    calls: Calls | None = None
    """The counters of the endpoint. None stands for those of all requests without one."""
    opening: Callable[["Ended"], bool] | None = None
    """Continues with the head of a request whose app is not loaded, as soon as the app has been looked up.

    It returns whether that is done; if not, it calls its argument later. It is None for all other requests.
    """


Ended = Callable[[Exchange], None]
"""Is called with a request that had to wait, when it has its answer or, if its app was looked up, is open."""
