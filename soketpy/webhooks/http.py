"""The target of webhooks with a URL: an HTTP client on aiohttp."""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp

from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.retries import seconds_of
from soketpy.core.webhook_ports import NO_HEADERS, Outcome
from soketpy.core.webhooks import Webhook
from soketpy.protocol import webhooks
from soketpy.webhooks.addresses import is_public
from soketpy.webhooks.network_faults import BlockedAddress, describe, is_blocked
from soketpy.webhooks.resolver import Resolver

USER_AGENT = "soketpy-webhooks"

MOST_READ = 64 * 1024
"""Bytes of an answer's body that are read. The connection of a longer answer is closed."""

MOST_STALE = 8
"""Idle connections that one attempt may find closed by the receiver. Then the attempt fails."""


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """Seconds for the phases of one attempt.

    ``connect`` is for the name, the connection and TLS; ``answer`` for the request until all headers of the answer have
    arrived; ``body`` for the body of the answer.
    """

    connect: float = 5
    answer: float = 10
    body: float = 5


class _Attempt:
    """One request, and the timeout of its phase. ``reused`` is true if its connection has served another request."""

    def __init__(self, timeouts: HttpTimeouts) -> None:
        self.deadline = asyncio.timeout(timeouts.connect)
        self.overdue = f"no connection within {timeouts.connect:g} s"
        self.reused = False
        self._timeouts = timeouts

    def connected(self) -> None:
        """Begin to wait for an answer."""
        self.overdue = f"no answer within {self._timeouts.answer:g} s"
        self._wait(self._timeouts.answer)

    def answered(self) -> None:
        """Begin to wait for the body."""
        self._wait(self._timeouts.body)

    def _wait(self, seconds: float) -> None:
        if not self.deadline.expired():
            self.deadline.reschedule(asyncio.get_running_loop().time() + seconds)


class HttpTarget:
    """Posts deliveries to URLs.

    Redirects are not followed, there are no cookies and no proxies, and the certificates of TLS are verified. ``tls``
    is the context of TLS connections. Without ``private_addresses``, only servers on the internet are connected to: the
    address is checked when its socket is opened, so that no answer of a name server can bypass the check.

    The lanes of a webhook bound its requests in flight, and so its connections: idle ones are used again, or closed
    after 15 s.
    """

    def __init__(
        self,
        *,
        timeouts: HttpTimeouts | None = None,
        tls: ssl.SSLContext | None = None,
        private_addresses: bool = True,
    ) -> None:
        self._timeouts = timeouts or HttpTimeouts()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=Resolver(),
                ssl=True if tls is None else tls,
                socket_factory=None if private_addresses else _public_socket,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"User-Agent": USER_AGENT},
            skip_auto_headers=("Accept-Encoding",),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_tracing()],
        )

    async def send(
        self, delivery: Delivery, app: App, webhook: Webhook, trace: Mapping[str, str] = NO_HEADERS
    ) -> Outcome:
        """Make one attempt. Only an answer with a status from 200 to 299 accepts the delivery.

        The status decides: the body of the answer is read only so that the connection can be used again. If the
        receiver has closed an idle connection, the request is repeated at once on another one.
        """
        assert webhook.url is not None  # noqa: S101 - the sender chooses the target
        key = app.keys[0]
        ours = webhooks.headers(delivery.body, key.key, key.secret, delivery.id)
        headers = {**webhook.headers, **trace, **ours}  # no header is replaced: a webhook cannot have the names of ours
        for _ in range(MOST_STALE):
            attempt = _Attempt(self._timeouts)
            try:
                return await self._post(webhook.url, delivery.body, headers, attempt)
            except TimeoutError:
                return Outcome(attempt.overdue)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as fault:
                outcome = Outcome(describe(fault), blocked=is_blocked(fault))
                if not attempt.reused:
                    break
            except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as fault:  # uvloop raises the last one too
                return Outcome(describe(fault))
        return outcome

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], attempt: _Attempt) -> Outcome:
        outcome = None
        try:
            async with (
                attempt.deadline,
                self._session.post(
                    url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=attempt
                ) as answer,
            ):
                outcome = _outcome(answer.status, answer.headers)
                attempt.answered()
                await _read(answer.content)
        except (TimeoutError, aiohttp.ClientError, OSError):
            if outcome is None:
                raise
        return outcome

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await asyncio.sleep(0)


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address, which must be public. The client connects the socket to this very address."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise BlockedAddress
    return socket.socket(family, kind, protocol)


def _tracing() -> aiohttp.TraceConfig:
    """Return trace hooks that call ``connected`` of an attempt when its connection is ready."""

    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected()

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.reused = True
        context.trace_request_ctx.connected()

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(reused)
    return tracing


def _outcome(status: int, headers: Mapping[str, str]) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status=status)
    pause = seconds_of(headers.get("Retry-After", ""), time.time())
    return Outcome(f"HTTP {status}", pause, gone=status == 410, status=status)


async def _read(content: aiohttp.StreamReader) -> None:
    """Read a body to its end or to the limit. The connection of an answer that was not read to its end is closed."""
    left = MOST_READ
    while left > 0 and (chunk := await content.read(left)):
        left -= len(chunk)
