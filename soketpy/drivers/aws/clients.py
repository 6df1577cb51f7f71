"""The clients of AWS in one process, and the words for their faults.

A fault of AWS is described by its code only. The message of AWS may repeat parts of a request, such as a session token.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ConnectionError, HTTPClientError

from soketpy.core.aws_options import AwsOptions

AwsFault = (BotoCoreError, ClientError, OSError, ValueError)
"""The exceptions of a call to AWS."""

MOST_READ = 64 * 1024
"""Bytes of an answer with an error that are read."""

LONGEST_REASON = 200
"""Characters of the description of a fault, at most."""

CONNECTIONS = 4096
"""Connections of one client, at most. A smaller pool would let one slow endpoint delay the others."""


class _BoundedSession(AIOHTTPSession):  # type: ignore[misc]
    """An HTTP session that reads only the beginning of an answer with an error."""

    async def send(self, request: Any) -> Any:
        """Send a request. The content of an answer with an error has at most ``MOST_READ`` bytes."""
        streams, request.stream_output = request.stream_output, True
        response = await super().send(request)
        try:
            if response.status_code >= 300:
                response._content = await read_at_most(response.raw.content, MOST_READ)
                response.raw.release()
            elif not streams:
                await response.content
        except aiohttp.ClientError as fault:
            response.raw.close()
            raise ConnectionClosedError(error=fault, endpoint_url=request.url) from None
        return response


async def read_at_most(stream: Any, most: int) -> bytes:
    """Return the beginning of a stream: all of it, or its first ``most`` bytes."""
    read = b""
    while len(read) < most and (piece := await stream.read(most - len(read))):
        read += piece
    return read


class Clients:
    """The clients of one process. Calls with the same options share a client and its connections.

    Timeouts are in seconds. A call that fails is repeated until there were ``attempts``.
    """

    def __init__(self, *, connect_timeout: float, read_timeout: float, attempts: int = 1) -> None:
        self._session = AioSession()
        self._config = AioConfig(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            http_session_cls=_BoundedSession,
            warm_up_loader_caches=True,
        )
        self._clients: dict[tuple[str, str, AwsOptions], Any] = {}
        self._locks: dict[tuple[str, str, AwsOptions], asyncio.Lock] = {}
        self._running = AsyncExitStack()

    async def get(self, service: str, region: str, options: AwsOptions) -> Any:
        """Return a client, which is created at the first call. Raises an ``AwsFault``."""
        key = service, region, options
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._clients:
                self._clients[key] = await self._running.enter_async_context(
                    self._session.create_client(
                        service,
                        region_name=region,
                        endpoint_url=options.endpoint,
                        aws_access_key_id=options.access_key_id,
                        aws_secret_access_key=options.secret_access_key,
                        aws_session_token=options.session_token,
                        config=self._config,
                    )
                )
            return self._clients[key]

    async def close(self) -> None:
        """Close all clients. The next call creates new ones."""
        self._clients.clear()
        await self._running.aclose()


def reason_of(fault: BaseException) -> str:
    """Return the description of a fault, without anything that could be secret."""
    if isinstance(fault, ClientError):
        return f"AWS answered {code_of(fault)} (HTTP {status_of(fault)})"[:LONGEST_REASON]
    name = type(fault).__name__
    return f"{name}: {fault}"[:LONGEST_REASON] if isinstance(fault, HTTPClientError | ConnectionError) else name


def code_of(fault: ClientError) -> str:
    """Return the code of an error of AWS, such as ResourceNotFoundException."""
    return str(fault.response.get("Error", {}).get("Code", ""))


def status_of(fault: ClientError) -> int:
    """Return the HTTP status of an error of AWS."""
    return int(fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
