"""A receiver of webhooks: a real HTTP server that stores each request, and answers as the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from soketpy.protocol import signatures
from tests.patience import until

Answer = Callable[["Request"], Awaitable[web.StreamResponse]]


@dataclass
class Request:
    """One request that has arrived."""

    path: str
    headers: Any
    body: bytes
    peer: web.Request

    @property
    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads(self.body)["events"]
        return events

    @property
    def delivery(self) -> str:
        return str(self.headers["X-Soketpy-Delivery"])

    def is_signed_by(self, key: str, secret: str) -> bool:
        signature = self.headers["X-Pusher-Signature"]
        return self.headers["X-Pusher-Key"] == key and signatures.holds(secret, self.body.decode(), signature)


async def accept(request: Request) -> web.StreamResponse:
    return web.Response()


class Receiver:
    """Stores requests in their order. ``answer`` may be replaced at any time."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Answer = accept
        self.port = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events of all requests."""
        return [event for request in self.requests for event in request.events]

    @property
    def names(self) -> list[str]:
        return [event["name"] for event in self.events]

    async def wait_for(self, number: int) -> list[Request]:
        """Wait until so many requests have arrived. Return them."""
        await until(lambda: len(self.requests) >= number)
        return self.requests

    async def wait_for_events(self, *names: str) -> list[dict[str, Any]]:
        """Wait until each of these events has arrived. Return all events."""
        await until(lambda: set(names) <= set(self.names))
        return self.events

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        arrived = Request(request.path, request.headers, await request.read(), request)
        self.requests.append(arrived)
        return await self.answer(arrived)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of the loopback address."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver._serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()


def answer_with(*statuses: int, **headers: str) -> Answer:
    """Return an answer that has these statuses one after the other, and then the last one."""
    left = list(statuses)

    async def answer(request: Request) -> web.StreamResponse:
        status = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def never(request: Request) -> web.StreamResponse:
    """Hang until the sender disconnects."""
    await asyncio.Event().wait()
    raise AssertionError
