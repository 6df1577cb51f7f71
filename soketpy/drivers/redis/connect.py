"""Connections to Redis, greeted and logged in."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import hiredis

from soketpy.drivers.redis.session import Connect
from soketpy.drivers.redis.wire import Wire

SENTINEL_PATIENCE = 0.5
"""Seconds that one Sentinel has to say where Redis is, before the next is asked."""

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
    sentinels: tuple[str, ...] = ()
    sentinel_master: str = "mymaster"
    sentinel_password: str | None = field(default=None, repr=False)


def connector(address: Address) -> Connect:
    """Connects to one Redis or, through Sentinels, to the one that is the master now."""

    async def connect(make: Callable[[], Wire]) -> Wire:
        loop = asyncio.get_running_loop()
        if address.unix_socket is not None:
            _, wire = await loop.create_unix_connection(make, address.unix_socket)
        else:
            tls = ssl.create_default_context() if address.tls else None
            host, port = await _find_master(address) if address.sentinels else (address.host, address.port)
            _, wire = await loop.create_connection(make, host, port, ssl=tls)
        try:
            await _greet(wire, address)
        except hiredis.ReplyError as fault:
            wire.close()
            raise ConnectionRefusedError(str(fault)) from None
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
    await wire.ask("HELLO", "3", *login, "SETNAME", NAME)
    if address.db:
        await wire.ask("SELECT", address.db)
    if address.sentinels and (await wire.ask("ROLE"))[0] != b"master":
        raise ConnectionRefusedError("what the Sentinels take for the master is none")


async def _find_master(address: Address) -> tuple[str, int]:
    """Ask one Sentinel after the other. Raises OSError where none knows."""
    faults = []
    for sentinel in address.sentinels:
        try:
            async with asyncio.timeout(SENTINEL_PATIENCE):
                return await _ask_sentinel(address, sentinel)
        except (OSError, TimeoutError, hiredis.ReplyError) as fault:
            faults.append(f"{sentinel}: {fault or 'no answer'}")
    raise ConnectionRefusedError(f"no Sentinel knows where {address.sentinel_master} is ({'; '.join(faults)})")


async def _ask_sentinel(address: Address, sentinel: str) -> tuple[str, int]:
    host, _, port = sentinel.rpartition(":")
    tls = ssl.create_default_context() if address.tls else None
    lost = asyncio.Event()
    _, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(lambda *_: None, lost.set), host.strip("[]"), int(port), ssl=tls
    )
    try:
        if address.sentinel_password is not None:
            await wire.ask("AUTH", address.sentinel_password)
        found = await wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.sentinel_master)
    finally:
        wire.close()
    if found is None:
        raise ConnectionRefusedError("it knows none of this name")
    return found[0].decode(), int(found[1])
