"""Connections to Redis, greeted and logged in."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import hiredis

from soketpy.drivers.redis.session import Connect
from soketpy.drivers.redis.wire import Wire

NAME = "soketpy"
"""What CLIENT LIST shows."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and as whom to log in."""

    host: str = "127.0.0.1"
    port: int = 6379
    unix_socket: str | None = None
    tls: bool = False
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def connector(address: Address) -> Connect:
    """Connects to one Redis."""

    async def connect(make: Callable[[], Wire]) -> Wire:
        loop = asyncio.get_running_loop()
        if address.unix_socket is not None:
            _, wire = await loop.create_unix_connection(make, address.unix_socket)
        else:
            tls = ssl.create_default_context() if address.tls else None
            _, wire = await loop.create_connection(make, address.host, address.port, ssl=tls)
        try:
            await _greet(wire, address)
        except BaseException:
            wire.close()
            raise
        return wire

    return connect


async def _greet(wire: Wire, address: Address) -> None:
    """Log in, and ask for RESP3."""
    login: list[str] = []
    if address.password is not None:
        login = ["AUTH", address.username or "default", address.password]
    await _ask(wire, "HELLO", "3", *login, "SETNAME", NAME)
    if address.db:
        await _ask(wire, "SELECT", address.db)


async def _ask(wire: Wire, *arguments: str | int) -> None:
    answer = asyncio.get_running_loop().create_future()
    wire.send(*arguments, then=lambda reply: None if answer.done() else answer.set_result(reply))
    reply = await answer
    if isinstance(reply, hiredis.ReplyError):
        raise ConnectionRefusedError(str(reply))
