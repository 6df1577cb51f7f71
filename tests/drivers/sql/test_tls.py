"""TLS to database servers with a private certificate authority."""

import asyncio

import pytest

from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
from soketpy.drivers.sql.apps import SqlApps
from tests.authority import Authority
from tests.drivers.registries import nothing
from tests.drivers.sql.conftest import Place

VERIFY = "verify-full"

HASTY = 0.5
"""Seconds, for a server that is none."""


async def cipher(place: Place, registry: SqlApps) -> str:
    """Return the cipher of a connection, or an empty text if the connection is not encrypted."""
    postgres = place.server.quote == '"'
    query = "SHOW STATUS LIKE 'Ssl_cipher'"
    if postgres:
        query = "SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    async with registry.database.connection() as connection:
        found = (await connection.exec_driver_sql(query)).one()
    return str(found[-1] or "")


@pytest.mark.parametrize(
    ("tls", "trusted", "host", "encrypted"),
    [
        ("disable", False, "127.0.0.1", False),
        ("require", False, "127.0.0.1", True),
        (VERIFY, True, "127.0.0.1", True),
        (VERIFY, True, "localhost", True),
    ],
)
async def test_a_connection_is_encrypted(place: Place, tls: str, trusted: bool, host: str, encrypted: bool) -> None:
    registry = place.registry(tls=tls, ca=place.server.ca if trusted else None, host=host)
    await registry.initialise()
    assert bool(await cipher(place, registry)) is encrypted


async def test_a_certificate_of_an_unknown_authority_is_refused(place: Place) -> None:
    registry = place.registry(tls=VERIFY)
    with pytest.raises(RegistryUnavailable, match="certificate verify failed"):
        await registry.start(nothing)


async def test_a_certificate_of_another_authority_is_refused(place: Place) -> None:
    other = place.server.folder / "other.pem"
    other.write_bytes(Authority("Another authority").pem())
    registry = place.registry(tls=VERIFY, ca=str(other))
    with pytest.raises(RegistryUnavailable, match="certificate verify failed"):
        await registry.start(nothing)


async def test_a_certificate_of_another_host_is_refused(place: Place) -> None:
    """127.1 is a name of 127.0.0.1 that the certificate does not have."""
    registry = place.registry(tls=VERIFY, ca=place.server.ca, host="127.1")
    with pytest.raises(RegistryUnavailable, match=r"certificate verify failed.*127\.1"):
        await registry.start(nothing)


@pytest.mark.parametrize("tls", ["require", VERIFY])
async def test_a_server_without_tls_gets_no_password(place: Place, tls: str) -> None:
    """An attacker on the network could pretend that the server has no TLS."""
    received = bytearray()

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if place.server.quote == '"':
            received.extend(await reader.readexactly(8))
            writer.write(b"N")
        else:
            greeting = b"\x0a8.0.0\0" + bytes(4) + b"12345678\0" + b"\xff\xf7" + b"\x21\x02\0" + b"\xff\x81" + b"\x15"
            greeting += bytes(10) + b"123456789012\0" + b"mysql_native_password\0"
            writer.write(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        while data := await reader.read(1000):
            received.extend(data)
        writer.close()

    server = await asyncio.start_server(pretend, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        registry = place.registry(tls=tls, ca=place.server.ca, port=port, timeout=HASTY)
        with pytest.raises(RegistryUnavailable):
            await registry.start(nothing)
        await registry.stop()
    assert b"soketpy" not in received


async def test_the_notifications_are_encrypted(postgres: Place) -> None:
    registry = postgres.registry(tls=VERIFY, ca=postgres.server.ca)
    await registry.initialise()
    connected = asyncio.Event()
    await registry.start(lambda _: connected.set())
    await connected.wait()
    query = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'soketpy'"
    assert set(postgres.sql(query).split()) == {"t"}


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_authorities_that_cannot_be_read(place: Place, content: bytes | None) -> None:
    file = place.server.folder / "bad.pem"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)
    registry = place.registry(tls=VERIFY, ca=str(file))
    with pytest.raises(RegistryRefused, match=r"bad\.pem cannot be read: "):
        await registry.start(nothing)
