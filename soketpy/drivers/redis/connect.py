"""Opens connections to Redis and logs in: to one Redis, to the master that Sentinels name, or to a cluster."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import hiredis

from soketpy.drivers.redis.session import Connect
from soketpy.drivers.redis.wire import Wire, reason

ADDRESS_PATIENCE = 0.5
"""Seconds that one of several Redis nodes or Sentinels has to answer, before the next one is asked."""

MOST_MOVES = 5
"""Redirections of a Redis Cluster to follow for one key, before the connection fails."""

NAME = "soketpy"
"""The name of the connection in CLIENT LIST."""

HostPort = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of Redis, and the login."""

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
    cluster_nodes: tuple[str, ...] = ()


def connector(address: Address, key: str) -> Connect:
    """Return a function that connects to the Redis with the key: other nodes of a Redis Cluster redirect to it."""
    nodes = deque(map(_parse, address.cluster_nodes))

    async def connect(make: Callable[[], Wire], patience: float) -> Wire:
        if address.sentinels:
            return await _reach(make, address, await _find_master(address), key, patience)
        faults = []
        for host_port in list(nodes):
            try:
                return await _reach(make, address, host_port, key, min(patience, ADDRESS_PATIENCE))
            except OSError as fault:
                faults.append(str(fault))
                nodes.rotate(-1)  # the next attempt begins with another one
        if nodes:
            raise ConnectionRefusedError("; ".join(faults))
        return await _reach(make, address, (address.host, address.port), key, patience)

    return connect


async def _reach(make: Callable[[], Wire], address: Address, host_port: HostPort, key: str, patience: float) -> Wire:
    """Connect to an address, or to where it redirects for the key. Raise OSError with the address and the reason."""
    unix_socket = address.unix_socket
    for _ in range(MOST_MOVES):
        shown = unix_socket or _shown(host_port)
        try:
            async with asyncio.timeout(patience):
                return await _open_and_greet(make, address, host_port, unix_socket, key)
        except hiredis.ReplyError as fault:
            moved = _moved(fault, host_port)
            if moved is None:
                said = _without_secrets(reason(fault), address) + _advice(fault, "redis.password")
                raise ConnectionRefusedError(f"{shown}: {said}") from None
            host_port, unix_socket = moved, None
        except UnicodeError:
            raise ConnectionRefusedError(f"{shown}: this cannot be the name of a host") from None
        except OSError as fault:
            raise ConnectionRefusedError(f"{shown}: {_without_secrets(reason(fault), address)}") from None
    raise ConnectionRefusedError(f"{shown}: the nodes of the Redis Cluster do not agree where the key is")


async def _open_and_greet(
    make: Callable[[], Wire], address: Address, host_port: HostPort, unix_socket: str | None, key: str
) -> Wire:
    wire = await _open(make, address, host_port, unix_socket)
    try:
        await _greet(wire, address)
        await wire.ask("EXISTS", key)
    except BaseException:
        wire.discard()
        raise
    wire.address = unix_socket or _shown(host_port)
    return wire


async def _open(make: Callable[[], Wire], address: Address, host_port: HostPort, unix_socket: str | None) -> Wire:
    loop = asyncio.get_running_loop()
    if unix_socket is not None:
        _, wire = await loop.create_unix_connection(make, unix_socket)
    else:
        tls = ssl.create_default_context() if address.tls else None
        _, wire = await loop.create_connection(make, *host_port, ssl=tls)
    return wire


async def _greet(wire: Wire, address: Address) -> None:
    """Log in, and switch to RESP3."""
    login: list[str] = []
    if address.password is not None:
        login = ["AUTH", address.username or "default", address.password]
    try:
        greeting = await wire.ask("HELLO", "3", *login, "SETNAME", NAME)
        major = int(greeting[b"version"].split(b".")[0])
    except hiredis.ReplyError as fault:
        if str(fault).startswith("ERR unknown command"):
            raise ConnectionRefusedError("it does not know HELLO: Redis must have version 6 or later") from None
        raise
    except (TypeError, LookupError, ValueError, AttributeError):
        raise ConnectionRefusedError("it does not answer HELLO as Redis does") from None
    if greeting.get(b"mode") == b"cluster" and major >= 7:
        wire.sharded, wire.publishes = True, "SPUBLISH"
    if address.db:
        await wire.ask("SELECT", address.db)
    if address.sentinels and (await wire.ask("ROLE"))[0] != b"master":
        raise ConnectionRefusedError("the Sentinels name it as the master, but it is not a master")


def _moved(fault: hiredis.ReplyError, former: HostPort) -> HostPort | None:
    """Return the address to which a Redis Cluster redirects; without a host, the same one. None for another error."""
    match str(fault).split():
        case ["MOVED", _, moved]:
            host, _, port = moved.rpartition(":")
            return (host if host not in ("", "?") else former[0], int(port))
    return None


def _advice(fault: Exception, setting: str) -> str:
    """Return what to do about a refused login, as the end of a sentence, or an empty text for another fault."""
    code = str(fault).partition(" ")[0]
    return {"NOAUTH": f": set {setting}", "WRONGPASS": f": correct {setting}"}.get(code, "")


def _without_secrets(text: str, address: Address) -> str:
    """Return a text of Redis without passwords, which an error may repeat."""
    for secret in (address.password, address.sentinel_password):
        text = text.replace(secret, "***") if secret else text
    return text


def _shown(host_port: HostPort) -> str:
    """Return host and port, for people to read."""
    host, port = host_port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse(text: str) -> HostPort:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


async def _find_master(address: Address) -> HostPort:
    """Ask one Sentinel after the other. Raise OSError if none of them knows the master."""
    faults = []
    for sentinel in address.sentinels:
        try:
            async with asyncio.timeout(ADDRESS_PATIENCE):
                return await _ask_sentinel(address, sentinel)
        except (OSError, UnicodeError, hiredis.ReplyError) as fault:
            said = _without_secrets(reason(fault), address) + _advice(fault, "redis.sentinel_password")
            faults.append(f"{sentinel}: {said}")
    raise ConnectionRefusedError(f"no Sentinel knows where {address.sentinel_master} is ({'; '.join(faults)})")


async def _ask_sentinel(address: Address, sentinel: str) -> HostPort:
    lost = asyncio.Event()
    wire = await _open(lambda: Wire(lambda *_: None, lost.set), address, _parse(sentinel), None)
    try:
        if address.sentinel_password is not None:
            await wire.ask("AUTH", address.sentinel_password)
        found = await wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.sentinel_master)
    finally:
        wire.discard()
    match found:
        case [bytes(host), bytes(port)] if port.isdigit():
            return host.decode(), int(port)
        case None:
            raise ConnectionRefusedError("it knows no master of this name")
    raise ConnectionRefusedError("it does not answer as a Sentinel does")
