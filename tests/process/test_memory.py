"""Objects that end are freed at once, without the garbage collector. Free memory is returned to the system."""

import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from queue import Empty

import pytest
from httptools import HttpRequestParser

from soketpy.core.connection import Connection
from soketpy.process import memory
from soketpy.protocol.bodies import ChunkedBody
from soketpy.protocol.frames import FrameReader
from soketpy.web import http
from soketpy.web.exchange import Exchange
from soketpy.web.first_request import FirstRequest
from soketpy.web.http import HttpConnection
from soketpy.web.request_bodies import IncompleteRequest
from soketpy.web.websocket import WebSocket
from tests.conftest import Peers, StartServer
from tests.patience import until
from tests.web.wire import HANDSHAKE, Wire, request, signed, wire

MADE_FOR_A_CLIENT = (
    FirstRequest,
    WebSocket,
    Connection,
    FrameReader,
    HttpConnection,
    IncompleteRequest,
    ChunkedBody,
    HttpRequestParser,
    Exchange,
    BaseException,
)
HELLO = request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE)
SUBSCRIBE = b'{"event":"pusher:subscribe","data":{"channel":"public"}}'
MASK = b"\0\0\0\0"
SUBSCRIBE_FRAME = bytes((0x81, 0x80 | len(SUBSCRIBE))) + MASK + SUBSCRIBE
PING_FRAME = b"\x89\x80" + MASK
CLOSE_FRAME = b"\x88\x82" + MASK + b"\x03\xe8"
BODY = b'{"name":"e","channel":"c","data":"{}"}'


def chunked() -> bytes:
    """Return the head of a call with a chunked body. It is signed now, because a signature is valid for ten minutes."""
    return request("POST", signed("POST", "/apps/app-id/events", BODY), b"", "Transfer-Encoding: chunked")


def expecting() -> bytes:
    return chunked().replace(b"Host:", b"Expect: 100-continue\r\nHost:")


UNSIGNED = request("POST", "/apps/app-id/events", b"", "Transfer-Encoding: chunked")
LARGE = b'{"name":"e","channel":"c","data":"%s"}' % (b"z" * 300_000)


def trigger() -> bytes:
    return request("POST", signed("POST", "/apps/app-id/events", BODY), BODY)


def alive() -> Counter[type]:
    """Return the number of objects that exist for each client.

    Each idle thread of an executor keeps an ``Empty`` of its queue, from Python 3.14 on.
    """
    found = (each for each in gc.get_objects() if isinstance(each, MADE_FOR_A_CLIENT))
    return Counter(type(each) for each in found if not isinstance(each, Empty))


@pytest.fixture
async def peers(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peers]:
    """Start a server in a process without garbage collection. It waits only shortly for the rest of a body."""
    monkeypatch.setattr(http, "LINGER", 0.01)
    gc.collect()
    gc.disable()
    try:
        yield await start_server()
    finally:
        gc.enable()


async def leaves_at_once(client: Wire) -> None:
    """Send nothing."""


async def leaves_in_the_midst_of_a_head(client: Wire) -> None:
    client.send(b"GET / HT")


async def closes_a_websocket(client: Wire) -> None:
    client.send(HELLO + SUBSCRIBE_FRAME + CLOSE_FRAME)
    await client.rest()


async def drops_a_websocket(client: Wire) -> None:
    client.send(HELLO + SUBSCRIBE_FRAME)
    await client.find(b'"data":"{}"}')


async def is_refused(client: Wire) -> None:
    client.send(HELLO.replace(b"app-key", b"no-key") + CLOSE_FRAME)
    await client.rest()


async def breaks_the_rules(client: Wire) -> None:
    client.send(HELLO + SUBSCRIBE_FRAME + b"\xff\xff\xff\xff")
    await client.rest()


async def triggers_events(client: Wire) -> None:
    client.send(trigger() * 3)
    for _ in range(3):
        assert (await client.answer()).status == 200


async def leaves_before_its_body_is_whole(client: Wire) -> None:
    client.send(trigger()[:-5])


async def triggers_once(client: Wire) -> None:
    client.send(trigger().replace(b"Host:", b"Connection: close\r\nHost:"))
    assert b" 200 OK" in await client.rest()


async def sends_garbage(client: Wire) -> None:
    client.send(b"GARBAGE / HTTP/1.1\r\nHost\r\n\r\n")
    await client.rest()


async def upgrades_a_connection_that_has_served(client: Wire) -> None:
    client.send(request("GET", "/", b"", "Connection: keep-alive"))
    assert (await client.answer()).status == 200
    client.send(HELLO + CLOSE_FRAME)
    await client.rest()


async def is_served_twice(client: Wire) -> None:
    client.send(request("GET", "/", b"", "TE: trailers") * 2)
    assert [(await client.answer()).status for _ in range(2)] == [200, 200]


async def ends_in_the_midst_of_a_chunk(client: Wire) -> None:
    client.send(chunked() + b"28\r\n{")
    client.writer.write_eof()
    assert b" 400 Bad" in await client.rest()


async def breaks_off_a_chunk(client: Wire) -> None:
    client.send(expecting())
    assert (await client.answer()).status == 100
    client.send(b"28\r\n{")


async def breaks_off_a_large_body(client: Wire) -> None:
    client.send(request("POST", signed("POST", "/apps/app-id/events", LARGE), LARGE)[:-5])


async def sends_a_chunk_without_size(client: Wire) -> None:
    client.send(chunked() + b"zz\r\n")
    await client.rest()


async def sends_a_second_chunk_without_size(client: Wire) -> None:
    client.send(expecting())
    assert (await client.answer()).status == 100
    client.send(b"1\r\n{\r\nzz\r\n")
    assert b" 400 Bad" in await client.rest()


async def sends_an_unsigned_chunk_without_size(client: Wire) -> None:
    client.send(UNSIGNED)
    assert (await client.answer()).status == 401
    client.send(b"zz\r\n")
    await client.rest()


async def sends_an_unsigned_chunk_that_is_too_long(client: Wire) -> None:
    client.send(UNSIGNED + b"2\r\nabc")
    await client.rest()


async def breaks_off_an_unsigned_body(client: Wire) -> None:
    client.send(UNSIGNED + b"5\r\nab")
    assert (await client.answer()).status == 401


async def sends_garbage_behind_a_request(client: Wire) -> None:
    client.send(request("GET", "/", b"", "TE: trailers"))
    assert (await client.answer()).status == 200
    client.send(b"GARB\x00AGE\r\n\r\n")
    await client.rest()


async def sends_too_much(client: Wire) -> None:
    target = signed("POST", "/apps/app-id/events", BODY)
    client.send(request("POST", target, b"", "Content-Length: 999999999"))
    assert (await client.answer()).status == 413


async def does_not_read_its_answers(client: Wire) -> None:
    client.send(request("GET", "/" + "p" * 4000, b"", "TE: trailers") * 60)
    await client.writer.drain()


async def sends_frames_right_behind_an_upgrade(client: Wire) -> None:
    client.send(request("GET", "/", b"", "TE: trailers") + HELLO + PING_FRAME * 20_000)


@pytest.mark.parametrize(
    "visit",
    [
        leaves_at_once,
        leaves_in_the_midst_of_a_head,
        closes_a_websocket,
        drops_a_websocket,
        is_refused,
        breaks_the_rules,
        triggers_events,
        leaves_before_its_body_is_whole,
        triggers_once,
        sends_garbage,
        upgrades_a_connection_that_has_served,
        is_served_twice,
        ends_in_the_midst_of_a_chunk,
        breaks_off_a_chunk,
        breaks_off_a_large_body,
        sends_a_chunk_without_size,
        sends_a_second_chunk_without_size,
        sends_an_unsigned_chunk_without_size,
        sends_an_unsigned_chunk_that_is_too_long,
        breaks_off_an_unsigned_body,
        sends_garbage_behind_a_request,
        sends_too_much,
        does_not_read_its_answers,
        sends_frames_right_behind_an_upgrade,
    ],
)
async def test_a_client_that_has_gone_leaves_nothing_behind(
    peers: Peers, visit: Callable[[Wire], Awaitable[None]]
) -> None:
    before = alive()
    for _ in range(3):
        async with wire(peers.port) as client:
            await visit(client)
    await until(lambda: not alive() - before)


@pytest.fixture
def short_collections() -> Iterator[None]:
    """Run the test with frozen survivors of full collections, and without automatic collections."""
    callbacks, thresholds = gc.callbacks[:], gc.get_threshold()
    try:
        memory.keep_collections_short()
        gc.disable()
        yield
    finally:
        gc.enable()
        gc.callbacks[:] = callbacks
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@pytest.mark.usefixtures("short_collections")
def test_objects_that_survive_a_full_collection_are_frozen() -> None:
    callbacks = len(gc.callbacks)
    memory.keep_collections_short()
    assert len(gc.callbacks) == callbacks
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    new = [[] for _ in range(100)]  # type: list[list[object]]
    gc.collect(1)
    assert gc.get_freeze_count() == frozen
    gc.collect()
    assert gc.get_freeze_count() >= frozen + len(new)


class Cycle:
    """An object with a reference to itself."""

    def __init__(self) -> None:
        self.me: Cycle | None = self


@pytest.mark.usefixtures("short_collections")
def test_frozen_cycles_are_freed_once_the_frozen_objects_have_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROWTH", 0)
    upkeep = memory.Upkeep()
    one = Cycle()
    gc.collect()
    gone = weakref.ref(one)
    del one
    upkeep.check(0)
    assert gone() is not None
    many = [Cycle() for _ in range(2 * gc.get_freeze_count())]
    upkeep.check(0)
    assert gone() is not None
    gc.collect()
    del many
    upkeep.check(0)
    assert gone() is None


@pytest.mark.parametrize(
    ("clients", "given_back"),
    [
        ([], 0),
        ([500, 0], 0),
        ([1000, 0], 0),
        ([3000, 1500], 0),
        ([3000, 1499], 1),
        ([3000, 1400, 1300, 1200], 1),
        ([3000, 1400, 600, 100, 0], 2),
        ([3000, 0, 3000, 0, 3000, 0], 3),
    ],
)
def test_memory_is_returned_each_time_that_half_of_many_clients_have_gone(clients: list[int], given_back: int) -> None:
    calls: list[None] = []
    upkeep = memory.Upkeep(lambda: calls.append(None))
    for count in clients:
        upkeep.check(count)
    assert len(calls) == given_back


def test_memory_is_given_back_where_the_c_library_can_do_so_and_else_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory.give_back()
    monkeypatch.setattr(memory, "_malloc_trim", lambda: None)
    memory.give_back()


@pytest.mark.parametrize("fault", [OSError, TypeError])
def test_a_system_whose_c_library_cannot_be_loaded_gives_nothing_back(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    def fail(_: object) -> None:
        raise fault

    monkeypatch.setattr("ctypes.CDLL", fail)
    memory.give_back()
