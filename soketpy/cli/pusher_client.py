"""A client of the Pusher protocol for the commands, on aiohttp. It works with any Pusher server."""

import asyncio
import errno
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from soketpy import __version__
from soketpy.cli import bounded_answer, call
from soketpy.cli.bounded_answer import TooLarge
from soketpy.cli.call import Target, expects_header, missing_tls, reason_of, tls_of
from soketpy.cli.faults import Failure
from soketpy.cli.refusals import redirect_hint
from soketpy.protocol.errors import Code
from soketpy.protocol.forwarded import UNIX_PEER

LARGEST = 16 * 1024 * 1024
"""Bytes of the largest message that is read. A larger one closes the connection."""

ACTIVITY_TIMEOUT = 120.0
"""Seconds without a message after which the client sends a ping, if the server names no shorter time."""

LEAST_ACTIVITY_TIMEOUT = 1.0
"""Seconds of the shortest activity timeout that a server can choose, so that no server gets a flood of pings."""

PONG_TIMEOUT = 30.0
"""Seconds that the server has to answer a ping (Pusher Channels Protocol, "Recommendations for client libraries")."""

BACK_OFF = 1.0
"""Seconds before the next attempt, after a close that allows no immediate one. pusher-js waits as long."""

MOST_BACK_OFF = 10.0
"""Most seconds between two attempts while the server cannot be reached."""

ABNORMAL = 1006
"""The close code of a connection that ended without a close frame (RFC 6455, section 7.4.1)."""


class Closed(Exception):
    """The server closed a connection: the code of the close frame, and the reason of the ``pusher:error`` before it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code

    @property
    def hint(self) -> str:
        """Return what to do about the reason, as the end of a sentence, or an empty text."""
        about_origin = self.code == Code.UNAUTHORIZED and "origin" in str(self).lower()
        return "; give one of its allowed_origins with --origin" if about_origin else ""

    @property
    def delay(self) -> float | None:
        """Return the seconds before a new attempt, or None if the client must not reconnect.

        The ranges are those of Pusher's protocol page ("Connection closure").
        """
        if 4000 <= self.code <= 4099:
            return None
        return 0.0 if 4200 <= self.code <= 4299 else BACK_OFF


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the server. ``data`` is as the server sent it: a text, usually of JSON, or another JSON value."""

    event: str
    channel: str | None = None
    data: Any = None
    user_id: str | None = None

    @property
    def decoded(self) -> Any:
        """Return the data, decoded if it is a text of JSON."""
        if not isinstance(self.data, str):
            return self.data
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return self.data


class PusherConnection:
    """One open connection. It answers the server's pings, and pings a silent server."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.activity_timeout = ACTIVITY_TIMEOUT
        self._error = ""
        self.socket_id = ""

    async def greet(self, patience: float) -> None:
        """Wait for ``pusher:connection_established``. Raise Closed, or TimeoutError after ``patience`` seconds."""
        async with asyncio.timeout(patience):
            message = await self._next()
            while message.event != "pusher:connection_established":
                message = await self._next()
        data = message.decoded
        if not isinstance(data, dict) or not isinstance(data.get("socket_id"), str):
            raise Closed(ABNORMAL, "the server sent no socket id")
        self.socket_id = data["socket_id"]
        named = data.get("activity_timeout")
        if isinstance(named, int | float) and named > 0:
            self.activity_timeout = min(max(named, LEAST_ACTIVITY_TIMEOUT), ACTIVITY_TIMEOUT)

    async def close(self) -> None:
        """Close the connection, and wait at most a second for the server's close frame."""
        await self._socket.close()

    async def send(self, event: str, data: object) -> None:
        """Send a message. Raise Closed if the connection has ended."""
        try:
            await self._socket.send_str(json.dumps({"event": event, "data": data}))
        except (ConnectionError, aiohttp.ClientError):
            raise Closed(ABNORMAL, "the connection was lost") from None

    async def receive(self) -> Message:
        """Return the next message that is not a ping or a pong. Raise Closed if the connection has ended."""
        while True:
            message = await self._alive()
            if message.event == "pusher:ping":
                await self.send("pusher:pong", {})
            elif message.event != "pusher:pong":
                return message

    async def _alive(self) -> Message:
        """Return the next message. Ping a silent server, and raise Closed if it stays silent."""
        try:
            async with asyncio.timeout(self.activity_timeout):
                return await self._next()
        except TimeoutError:
            await self.send("pusher:ping", {})
        try:
            async with asyncio.timeout(PONG_TIMEOUT):
                return await self._next()
        except TimeoutError:
            raise Closed(ABNORMAL, f"no answer to a ping within {PONG_TIMEOUT:g} s") from None

    async def _next(self) -> Message:
        """Return the next message. Messages that are not those of Pusher's protocol are dropped."""
        while True:
            frame = await self._socket.receive()
            if frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
                raise Closed(self._socket.close_code or ABNORMAL, self._error or str(frame.extra or ""))
            if frame.type is aiohttp.WSMsgType.ERROR:
                raise Closed(self._socket.close_code or ABNORMAL, str(frame.data))
            if frame.type is aiohttp.WSMsgType.TEXT and (message := _parse(frame.data)) is not None:
                if message.event == "pusher:error" and isinstance(message.decoded, dict):
                    self._error = str(message.decoded.get("message") or "")
                return message


def _address_of(target: Target) -> str:
    """Return the address from which this machine probably reaches the server."""
    if target.unix_socket is not None:
        return UNIX_PEER
    return "127.0.0.1" if target.host == "localhost" else target.host


async def _body_of(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer. Raise TooLarge."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > bounded_answer.LARGEST:
            raise TooLarge
    return bytes(body)


def _parse(text: str) -> Message | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("event"), str):
        return None
    channel, user_id = found.get("channel"), found.get("user_id")
    return Message(
        found["event"],
        channel if isinstance(channel, str) else None,
        found.get("data"),
        user_id if isinstance(user_id, str) else None,
    )


class PusherServer:
    """A server and one of its keys. ``session`` has the connections, and must be closed by the caller.

    The connections name ``origin`` as that of their page.
    """

    def __init__(
        self, target: Target, prefix: str, key: str, session: aiohttp.ClientSession, origin: str | None = None
    ) -> None:
        if expects_header(target, _address_of(target)):
            problem = "it expects a PROXY header (proxy_protocol), which this command does not send"
            raise Failure(f"cannot use {target}: {problem}; give the address of the proxy with --host")
        self.target = target
        self.session = session
        self._page_origin = origin
        self._origin = str(target) if target.unix_socket is None else f"http{'s' if target.tls else ''}://localhost"
        self._path = f"{prefix}/app/{quote(key, safe='')}?protocol=7&client=soketpy&version={__version__}"
        self._tls = tls_of(target) if target.tls else True

    async def connect(self) -> PusherConnection:
        """Open a connection, which the caller closes. Raise Failure without a WebSocket, and Closed if refused."""
        try:
            async with asyncio.timeout(call.PATIENCE):
                socket = await self._open()
        except TimeoutError:
            raise Failure(f"no answer from {self.target} within {call.PATIENCE:g} s") from None
        connection = PusherConnection(socket)
        try:
            await connection.greet(call.PATIENCE)
        except TimeoutError:
            await connection.close()
            raise Failure(f"{self.target} does not speak the Pusher protocol: it sent no greeting") from None
        except BaseException:
            await connection.close()
            raise
        return connection

    async def post(self, path: str, body: bytes) -> tuple[int, str]:
        """Send a request with a body of JSON. Return the status and the text of the answer.

        Raise Failure if there is no complete answer in time, or if it is too large.
        """
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        try:
            async with asyncio.timeout(call.PATIENCE):
                async with self.session.post(
                    URL(self._origin + path, encoded=True),
                    data=body,
                    headers=headers,
                    ssl=self._tls,
                    allow_redirects=False,  # another server must not get this load
                ) as answer:
                    return answer.status, (await _body_of(answer)).decode("utf-8", "replace")
        except TimeoutError:
            raise Failure(f"no complete answer from {self.target} within {call.PATIENCE:g} s") from None
        except TooLarge as error:
            raise Failure(f"no usable answer from {self.target}: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self.session.ws_connect(
                URL(self._origin + self._path, encoded=True),
                ssl=self._tls,
                origin=self._page_origin,
                max_msg_size=LARGEST,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except aiohttp.WSServerHandshakeError as error:
            # Proxies answer 400 to a request without TLS on their port with TLS.
            if error.status == HTTPStatus.BAD_REQUEST and (missing := missing_tls(self.target)) is not None:
                raise Failure(f"cannot reach {self.target}: {missing}") from None
            raise self._refused(error.status) from None
        except _Redirected as error:
            raise self._refused(error.status) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from None

    def _refused(self, status: int) -> Failure:
        """Return the failure of a handshake that got another status than 101."""
        return Failure(f"{self.target} opens no WebSocket: HTTP {status}{redirect_hint(self.target, status)}")

    def _unreachable(self, error: Exception) -> Failure:
        """Return the failure of a request that got no answer."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = str(error.certificate_error)
        elif isinstance(error, aiohttp.ClientConnectorError):
            reason = reason_of(self.target, error.os_error)
        elif isinstance(error, aiohttp.ServerDisconnectedError):
            reason = reason_of(self.target, ConnectionResetError(errno.ECONNRESET, ""))
        elif isinstance(error, OSError):
            reason = reason_of(self.target, error)
        else:
            reason = str(error) or type(error).__name__
        return Failure(f"cannot reach {self.target}: {reason}")


class _Redirected(Exception):
    """The server redirects a request. No redirect is followed: it may name another server."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def _refuse_redirect(_session: object, _context: object, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    redirect.response.close()
    raise _Redirected(redirect.response.status)


@asynccontextmanager
async def opened(target: Target, prefix: str, key: str, origin: str | None = None) -> AsyncIterator[PusherServer]:
    """Make the client of a server, and close all its connections at the end."""
    unlimited = 0  # the commands limit the connections themselves
    connector = (
        aiohttp.TCPConnector(limit=unlimited)
        if target.unix_socket is None
        else aiohttp.UnixConnector(target.unix_socket, limit=unlimited)
    )
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)  # ws_connect cannot turn off redirects
    # The commands report each failure themselves, and aiohttp leaves futures of a refused TLS connection unread.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with aiohttp.ClientSession(
        connector=connector,
        trace_configs=[trace],
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,  # a small answer must not become a large one
        trust_env=False,
    ) as session:
        yield PusherServer(target, prefix, key, session, origin)
