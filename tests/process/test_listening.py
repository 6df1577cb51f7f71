"""The addresses that a server listens on: IPv4, IPv6, both, and several addresses."""

import asyncio
import errno
import logging
import socket
from typing import Any

import pytest

from soketpy import Server
from soketpy.config.addresses import Host, hosts, listing, reachable
from soketpy.config.settings import Metrics
from soketpy.process import listening
from soketpy.process.listening import open_sockets
from tests.conftest import StartServer


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


async def ready(host: str, port: int | None) -> bool:
    """Return whether a server answers at the address."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.write(b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


CASES: list[tuple[Host, set[str]]] = [
    ("127.0.0.1", {"127.0.0.1"}),
    ("0.0.0.0", {"127.0.0.1"}),
    ("::", {"127.0.0.1", "::1"}),
    ("[::]", {"127.0.0.1", "::1"}),
    ("0:0:0:0:0:0:0:0", {"127.0.0.1", "::1"}),
    ("::1", {"::1"}),
    (("127.0.0.1",), {"127.0.0.1"}),
    (("127.0.0.1", "::1"), {"127.0.0.1", "::1"}),
    (("0.0.0.0", "127.0.0.1"), {"127.0.0.1"}),
    (("0.0.0.0", "::1"), {"127.0.0.1", "::1"}),
    (("0.0.0.0", "::"), {"127.0.0.1", "::1"}),
    (("::", "127.0.0.1", "::1"), {"127.0.0.1", "::1"}),
]


@needs_ipv6
@pytest.mark.parametrize(("host", "answers"), CASES, ids=[str(host) for host, _ in CASES])
async def test_a_server_listens_on_its_addresses_and_on_no_other(
    start_server: StartServer, host: Host, answers: set[str]
) -> None:
    peers = await start_server(host=host, metrics=Metrics(enabled=True, host=host, port=0))
    for port in (peers.port, peers.server.metrics_port):
        assert {each for each in ("127.0.0.1", "::1") if await ready(each, port)} == answers


async def test_all_addresses_get_the_same_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        bound, asked = listening._bound, list[int]()

        def first_takes_the_other(family: Any, address: Any, *options: Any) -> socket.socket:
            asked.append(address[1])
            return bound(family, (address[0], port) if len(asked) == 1 else address, *options)

        monkeypatch.setattr(listening, "_bound", first_takes_the_other)
        sockets = await open_sockets(("127.0.0.1", "127.0.0.2"), 0)
        assert asked[:2] == [0, port]
        assert len({each.getsockname()[1] for each in sockets} - {port}) == 1
        for each in sockets:
            each.close()


@pytest.mark.parametrize("fault", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_without_ipv6_all_addresses_are_those_of_ipv4(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: int
) -> None:
    bound = listening._bound

    def without_ipv6(family: Any, *options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(fault, "no IPv6 on this machine")
        return bound(family, *options)

    monkeypatch.setattr(listening, "_bound", without_ipv6)
    caplog.set_level(logging.WARNING)
    peers = await start_server(host="::")
    assert await ready("127.0.0.1", peers.port)
    assert "This machine has no IPv6: listening on 0.0.0.0 instead of ::" in caplog.text
    with pytest.raises(OSError, match=r"cannot listen on \[::1\]:0: "):
        await Server(host="::1", port=0).start()


@pytest.mark.parametrize("ipv6_first", [False, True])
async def test_a_name_of_ipv6_and_ipv4_is_that_of_ipv4_on_a_machine_without_ipv6(
    monkeypatch: pytest.MonkeyPatch, ipv6_first: bool
) -> None:
    found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)), (socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0))]
    if ipv6_first:
        found.reverse()

    async def resolve(*_: object, **__: object) -> list[Any]:
        return found

    bound = listening._bound

    def without_ipv6(family: Any, *options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6 on this machine")
        return bound(family, *options)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(listening, "_bound", without_ipv6)
    sockets = await open_sockets("name", 0)
    assert [each.family for each in sockets] == [socket.AF_INET]
    for each in sockets:
        each.close()


async def test_where_one_of_several_addresses_is_taken_nothing_is_left_open() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.2:{port}: address already in use"):
            await open_sockets(("127.0.0.1", "127.0.0.2"), port)
        with socket.create_server(("127.0.0.1", port)):
            pass


@needs_ipv6
async def test_a_port_that_is_taken_in_ipv4_alone_is_taken_for_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on \[::\]:{port}: address already in use"):
            await open_sockets("::", port)


async def test_an_unknown_host_name_is_an_error_that_names_it() -> None:
    with pytest.raises(OSError, match=r"cannot listen on nobody\.invalid:1: "):
        await open_sockets("nobody.invalid", 1)


@pytest.mark.parametrize(
    ("host", "each", "shown", "by"),
    [
        ("0.0.0.0", ("0.0.0.0",), "0.0.0.0:1", "127.0.0.1"),
        ("::", ("::",), "[::]:1", "127.0.0.1"),
        ("[::]", ("::",), "[::]:1", "127.0.0.1"),
        ("::0", ("::0",), "[::0]:1", "127.0.0.1"),
        ("::1", ("::1",), "[::1]:1", "::1"),
        ("example.com", ("example.com",), "example.com:1", "example.com"),
        (("127.0.0.1", "::1"), ("127.0.0.1", "::1"), "127.0.0.1:1, [::1]:1", "127.0.0.1"),
        (("[::1]", "::"), ("::1", "::"), "[::1]:1, [::]:1", "::1"),
    ],
)
def test_addresses_are_shown_and_reached(host: Host, each: tuple[str, ...], shown: str, by: str) -> None:
    assert (hosts(host), listing(host, 1), reachable(host)) == (each, shown, by)


async def test_the_log_names_every_address(start_server: StartServer) -> None:
    peers = await start_server(host=("127.0.0.1", "127.0.0.2"))
    assert peers.server.address == f"http://127.0.0.1:{peers.port}, http://127.0.0.2:{peers.port}"


async def test_an_ipv4_client_of_a_socket_for_both_is_logged_by_its_own_address(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peers = await start_server(host="::")
    socket = await peers.socket("/app/nobody")
    await socket.closed()
    assert "No app: refused a connection from 127.0.0.1: 4001" in caplog.text
