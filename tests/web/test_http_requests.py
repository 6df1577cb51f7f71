"""Random requests in random pieces: the answers do not depend on how the network splits the bytes."""

import asyncio
import re
from http import HTTPStatus
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soketpy.web.answers import Answer, Reply, refused
from soketpy.web.deadlines import Deadlines
from soketpy.web.errors import RequestError
from soketpy.web.exchange import Ended, Exchange
from soketpy.web.http import HttpConnection
from soketpy.web.http_connections import HttpConnections
from soketpy.web.http_port import HttpPort
from tests.patience import attempts

BODY_SIZE = 1000


class Api:
    """Answers ``/now`` by the head alone, and ``/call`` with the body, at once or in a later event loop iteration."""

    body_size = BODY_SIZE
    leaving = False
    stopped = False

    def __init__(self, later: bool) -> None:
        self._later = later
        self.waiting = 0

    def open(self, method: str, target: str, headers: object, caller: object = None) -> Exchange:
        exchange = Exchange(method, target, None, None)
        if target == "/now":
            exchange.answer = Answer("now", HTTPStatus.UNAUTHORIZED)
        return exchange

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        self.waiting += 1

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        exchange.answer = Answer(body.decode())
        if self._later:
            asyncio.get_running_loop().call_soon(ended, exchange)
        return not self._later

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        exchange.answer = exchange.answer or refused(fault)

    def reply(self, exchange: Exchange) -> Reply:
        assert exchange.answer is not None
        return Reply(exchange.answer.status, {}, str(exchange.answer.value).encode())


class Transport:
    """Collects what is written. It delivers bytes only while the server reads."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed, "nothing is written to a closed connection"
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, _: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return 0


contents = st.text("\r\na0 ", max_size=40).map(str.encode)
heads = st.lists(st.sampled_from(["X: y", "TE: trailers", "Upgrade: h2c\r\nConnection: Upgrade"]), unique=True)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[bytes, int, bytes, bool]:
    """Draw a request, the status and the body of its answer, and whether the connection ends after it."""
    target, content = draw(st.sampled_from(["/now", "/call"])), draw(contents)
    fields = draw(heads)
    closes = draw(st.integers(0, 9)) == 0
    if closes:
        fields.append("Connection: close")
    version = draw(st.sampled_from(["1.1"] * 9 + ["1.0"]))
    if draw(st.booleans()):
        size = draw(st.integers(1, 5))
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        fields.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        body = content
        if content:
            fields.append(f"Content-Length: {len(content)}")
    lines = [f"POST {target} HTTP/{version}", "Host: a", *fields, "", ""]
    status, answer = (401, b"now") if target == "/now" else (200, content)
    return "\r\n".join(lines).encode() + body, status, answer, closes or version == "1.0"


async def serve(data: bytes, cuts: list[int], later: bool) -> Transport:
    """Return the transport of a connection that has received the data in pieces of these sizes, in turn."""
    transport = Transport()
    port = HttpPort(cast(Any, Api(later)), Deadlines(lambda: 0.0), HttpConnections(10), lambda: 0.0)
    connection = HttpConnection(cast(Any, transport), port)
    start = number = 0
    for _ in attempts():
        if start >= len(data) or transport.closed:
            break
        if transport.reading:
            end = start + cuts[number % len(cuts)]
            connection.data_received(data[start:end])
            start, number = end, number + 1
        await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    assert len(port.connections) == len(port.deadlines) == 0
    return transport


def answers(written: bytes) -> list[tuple[int, bytes]]:
    """Return the status and the body of each answer."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        assert length is not None
        size = int(length[1])
        found.append((int(head[9:12]), rest[:size]))
        written = rest[size:]
    return found


@given(
    st.lists(exchanges(), min_size=1, max_size=8), st.lists(st.integers(1, 300), min_size=1, max_size=30), st.booleans()
)
@settings(deadline=None)
def test_the_answers_do_not_depend_on_how_the_bytes_are_split(
    requests: list[tuple[bytes, int, bytes, bool]], cuts: list[int], later: bool
) -> None:
    transport = asyncio.run(serve(b"".join(request for request, *_ in requests), cuts, later))
    last = next((number for number, (*_, closes) in enumerate(requests) if closes), len(requests) - 1)
    assert answers(transport.written) == [(status, body) for _, status, body, _ in requests[: last + 1]]
    assert transport.closed == requests[last][3]


@given(st.lists(exchanges(), max_size=3), st.binary(min_size=1, max_size=60), st.lists(st.integers(1, 99), min_size=1))
@example([], b"POST /call HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", [1])
@example(
    [], b"POST /call HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n", [64]
)
@settings(deadline=None)
def test_bytes_that_are_no_request_end_the_connection_after_the_answers(
    requests: list[tuple[bytes, int, bytes, bool]], garbage: bytes, cuts: list[int]
) -> None:
    data = b"".join(request for request, *_ in requests)
    transport = asyncio.run(serve(data + garbage + b"\r\n\r\n", cuts, later=False))
    found = answers(transport.written)
    last = next((number for number, (*_, closes) in enumerate(requests) if closes), None)
    if last is None:
        assert [status for status, _ in found[: len(requests)]] == [status for _, status, *_ in requests]
        assert [status for status, _ in found[len(requests) :]] in ([], [400], [401], [200], [413])
    else:
        assert [status for status, _ in found] == [status for _, status, *_ in requests[: last + 1]]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_a_large_body_is_refused_and_the_connection_goes_on(size: int, later: bool) -> None:
    large = b"POST /call HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (BODY_SIZE + 1) + b"x" * (BODY_SIZE + 1)
    small = b"POST /call HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
    transport = asyncio.run(serve(large + small, [size], later))
    assert [status for status, _ in answers(transport.written)] == [413, 200]
