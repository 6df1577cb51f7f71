"""One HTTP request, from its head to its answer."""

import asyncio
from collections.abc import Callable

import msgspec

from soketpy.core.apps import App
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
    answer: Answer | None = None
    call: Call | None = None
    operation: Operation | None = None


Ended = Callable[[Exchange], None]
"""Is called with a call that had to wait, when the call has its answer."""
