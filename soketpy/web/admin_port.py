"""The admin port: the admin API of apps over HTTP, for callers with a token."""

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus

import msgspec

from soketpy.core.containment import attempt, contain
from soketpy.core.refusals import Lines, ip_of, one_line
from soketpy.core.steps import Later
from soketpy.registry.administration import FIELDS, Administration, Done, Input, RequestRefused
from soketpy.web.answers import JSON, SOFTWARE, Answer, Reply, failed, refused
from soketpy.web.errors import RequestError, stopping
from soketpy.web.exchange import Ended, Exchange
from soketpy.web.peers import Peers

log = logging.getLogger("soketpy.admin")

BODY_SIZE = 64 * 1024
"""Most bytes of a body."""

AT_ONCE = 8
"""Requests that use the registry at the same time. Further ones wait; the number of connections is their bound."""

STOP_PATIENCE = 5.0
"""Seconds for which the stop waits for requests that are being served."""

LONGEST = 300
"""Most characters of a path in a log line."""

_encode = msgspec.json.encode


class AdminPort:
    """Serves the admin API. Each request needs one of the tokens (RFC 6750, section 2.1).

    A token is checked before the body is read, against all tokens and in constant time. Answers allow no other origin
    (no CORS) and are not stored by caches. Each change is one line in the log, which never has a value in it.
    """

    body_size = BODY_SIZE
    leaving = False

    def __init__(
        self,
        administration: Administration,
        tokens: Sequence[str],
        clock: Callable[[], float],
        later: Later,
        peers: Peers | None = None,
    ) -> None:
        self._administration = administration
        self._tokens = [_digest(token) for token in tokens]
        self._lines = Lines(clock, later)
        self._peers = peers or Peers()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def stopped(self) -> bool:
        """Return whether ``stop`` has ended, so that no request waits."""
        return self._stopping and not self._tasks

    async def stop(self) -> None:
        """Refuse new requests, and wait for those that are being served, but at most ``STOP_PATIENCE`` seconds."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_PATIENCE)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # HTTP; ``soketpy.web.http_port.Api`` documents these methods

    def open(
        self, method: str, target: str, headers: Mapping[str, str], caller: asyncio.BaseTransport | None = None
    ) -> Exchange:
        """Open a request by its head. A request that is refused has its answer, and its body is not read."""
        exchange = Exchange(method, target, None, None, caller, headers)
        try:
            self._check(headers)
            self._administration.find(method, _path(target))
            _check_type(headers)
        except RequestRefused as fault:
            self._refuse(exchange, fault)
        except Exception as fault:
            self._fail(exchange, fault)
        return exchange

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        """Do nothing: a request whose body is incomplete uses nothing but its connection."""

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        """Serve a request in a task, which calls ``ended``. Return False."""
        task = asyncio.get_running_loop().create_task(self._serve(exchange, body))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._end(task, exchange, ended))
        return False

    def _end(self, task: asyncio.Task[None], exchange: Exchange, ended: Ended) -> None:
        self._tasks.discard(task)
        exchange.answer = exchange.answer or refused(stopping())
        ended(exchange)

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        """Answer a request with an error, unless it has an answer."""
        exchange.answer = exchange.answer or refused(fault)

    def reply(self, exchange: Exchange) -> Reply:
        """Return the answer in the form in which it is sent."""
        answer = exchange.answer or failed()
        headers = {"Cache-Control": "no-store", "Server": SOFTWARE} | answer.headers
        if answer.value is None:
            return Reply(answer.status, headers)
        return Reply(answer.status, headers | {"Content-Type": JSON}, _encode(answer.value))

    # A request

    def _check(self, headers: Mapping[str, str]) -> None:
        """Raise RequestRefused without a token."""
        if self._stopping:
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, stopping().message)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        found, digest = False, _digest(given.strip())
        for token in self._tokens:  # all of them, so that the time does not tell which one is close
            found |= hmac.compare_digest(token, digest)
        if not found or scheme.lower() != "bearer":
            reason = "Send one of admin.tokens in the header Authorization: Bearer TOKEN."
            raise RequestRefused(HTTPStatus.UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})

    async def _serve(self, exchange: Exchange, body: bytes) -> None:
        try:
            operation = self._administration.find(exchange.method, _path(exchange.path))
            async with self._slots:
                done = await operation(Input(exchange.path.partition("?")[2], body))
            exchange.answer = Answer(done.document, done.status)
            if done.change:
                attempt(log, self._log_change, exchange, done)
        except RequestRefused as fault:
            self._refuse(exchange, fault)
        except Exception as fault:
            self._fail(exchange, fault)

    def _refuse(self, exchange: Exchange, fault: RequestRefused) -> None:
        exchange.answer = refused(RequestError(fault.status, fault.reason, fault.headers))
        attempt(log, self._log_refusal, exchange, fault)

    def _log_refusal(self, exchange: Exchange, fault: RequestRefused) -> None:
        """Log a request that was refused, without the reason, which may have a value of the request in it."""
        if level := self._lines.level("the admin API"):
            name = fault.reason.partition(":")[0]
            log.log(
                level,
                "Admin API: refused %(method)s %(path)s from %(caller)s: %(status)d%(named)s",
                {
                    "event": "admin_refused",
                    "method": one_line(exchange.method[:LONGEST]),
                    "path": one_line(_path(exchange.path)[:LONGEST]),
                    "caller": self._peers.name(exchange.caller, exchange.headers),
                    "ip": ip_of(self._peers.name(exchange.caller, exchange.headers)),
                    "status": int(fault.status),
                    "named": f" ({name})" if name in FIELDS else "",
                },
            )

    def _log_change(self, exchange: Exchange, done: Done) -> None:
        log.info(
            "Admin API: %(change)s (from %(caller)s)",
            {
                "event": "admin_change",
                "change": one_line(done.change),
                "caller": self._peers.name(exchange.caller, exchange.headers),
                "ip": ip_of(self._peers.name(exchange.caller, exchange.headers)),
                "method": exchange.method,
            },
        )

    def _fail(self, exchange: Exchange, fault: Exception) -> None:
        contain(log, fault, "A request of the admin API could not be served: %s", exchange.method)
        exchange.answer = failed()


def _digest(token: str) -> bytes:
    """Return a hash of a token. The hashes have the same length, so that a comparison does not tell the token's."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _path(target: str) -> str:
    return target.partition("?")[0]


def _check_type(headers: Mapping[str, str]) -> None:
    """Raise RequestRefused for a body that is not JSON."""
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise RequestRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send the body as JSON, with Content-Type: {JSON}.")
