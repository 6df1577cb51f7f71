"""The heads of HTTP requests: what is parsed, what is refused, and that remembered fields change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol.requests import (
    HEAD_LIMIT,
    MOST_HEADERS,
    BadRequest,
    Fields,
    Head,
    head_end,
    parse_head,
    parse_query,
    parse_unusual_head,
)


@pytest.mark.parametrize(
    ("head", "parsed"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", Head("GET", "/", Fields({"host": "a"}))),
        (b"GET / HTTP/1.1", Head("GET", "/", Fields({}))),
        (b"HEAD /ready?x=1 HTTP/1.1\r\nhost:a", Head("HEAD", "/ready?x=1", Fields({"host": "a"}))),
        (
            b"POST /apps/1/events HTTP/1.1\r\nHOST: a\r\nContent-Length: 12\r\nX-Empty:\r\nX-Name:  \xe9 \t",
            Head(
                "POST",
                "/apps/1/events",
                Fields({"host": "a", "content-length": "12", "x-empty": "", "x-name": "\xe9"}, 12),
            ),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
            Head("GET", "/", Fields({"host": "a", "connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"})),
        ),
        (b"PUT http://a/b HTTP/1.1", Head("PUT", "http://a/b", Fields({}))),
        (b"OPTIONS * HTTP/1.1", Head("OPTIONS", "*", Fields({}))),
        (b"GET / HTTP/1.0", Head("GET", "/", Fields({}), True, "1.0")),
        (b"GET / HTTP/1.1\r\nA: b\r\na: c", Head("GET", "/", Fields({"a": "b, c"}))),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\nConnection: Close",
            Head(
                "POST",
                "/",
                Fields(
                    {"transfer-encoding": "chunked", "expect": "100-Continue", "connection": "Close"},
                    None,
                    closes=True,
                    expects_continue=True,
                ),
                closes=True,
            ),
        ),
        (
            b"GET / HTTP/1.1\r\nUpgrade: h2c, WebSocket\r\nConnection: Upgrade",
            Head("GET", "/", Fields({"upgrade": "h2c, WebSocket", "connection": "Upgrade"}, websocket=True)),
        ),
    ],
)
def test_a_head_is_parsed(head: bytes, parsed: Head) -> None:
    assert parse_head(head) == parsed
    assert parse_head(head) == parsed  # from what is remembered


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.1", False),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive", False),
        (b"GET / HTTP/1.1\r\nConnection: x, close", True),
        (b"GET / HTTP/1.0", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", True),
    ],
)
def test_a_head_tells_whether_the_connection_closes(head: bytes, closes: bool) -> None:
    assert parse_head(head).closes is closes


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /",
        b"GET / HTTP/0.9",
        b"GET / HTTP/2.0",
        b"PRI * HTTP/2.0",
        b"CONNECT a:1 HTTP/1.1",
        b"CONNECT /ready HTTP/1.0",
        b"GET / RTSP/1.0",
        b"SOURCE / ICE/1.0",
        b"GOT / HTTP/1.1\r\nHost: a",
        b"get / HTTP/1.1\r\nHost: a",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a",
        b"GET /\x00 HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1\r\nHost",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\n: a\r\nHost: a",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded",
        b"GET / HTTP/1.1\r\nHost: a\nX: b",
        b"GET / HTTP/1.1\r\nHost: a\rX: b",
        b"GET / HTTP/1.1\r\nHost: a\x00",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xa01",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\x85",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked",
        b"GET / HTTP/1.1\r\nOrigin: https://\x1b[2J",
    ],
)
def test_a_head_that_is_not_http_is_refused_with_a_reason(head: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_head(head)
    assert str(refused.value)


def test_a_length_may_have_any_number_of_leading_zeros() -> None:
    zeros = b"0" * 5_000
    for digits, length in ((zeros, 0), (zeros + b"12", 12)):
        assert parse_head(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + digits).fields.length == length


LINE = b"GET / HTTP/1.1\r\nHost: a"


@pytest.mark.parametrize("room", [0, 1])
def test_a_head_may_have_so_many_bytes_and_no_more(room: int) -> None:
    head = LINE + b"\r\nX: " + b"x" * (HEAD_LIMIT - len(LINE) - 5 + room)
    for cut in range(5):
        received = head + b"\r\n\r\n"[:cut]
        if room and len(received) > HEAD_LIMIT + 3:
            with pytest.raises(ValueError, match="16384 bytes"):
                head_end(received)
        else:
            assert head_end(received) == (HEAD_LIMIT if cut == 4 else -1)
    with pytest.raises(ValueError, match="16384 bytes"):
        head_end(head + b"xxxxx")


def test_a_head_may_have_so_many_headers_and_no_more() -> None:
    head = LINE + b"".join(b"\r\nX-%d: x" % number for number in range(MOST_HEADERS - 1))
    assert head_end(head + b"\r\n\r\n") == len(head)
    with pytest.raises(ValueError, match="128 headers"):
        head_end(head + b"\r\nX: x\r\n\r\n")


@pytest.mark.parametrize(
    ("query", "plus_is_space", "parameters"),
    [
        ("a=b+c", True, [("a", "b c")]),
        ("a=b+c", False, [("a", "b+c")]),
        ("a=b%2Bc+d", False, [("a", "b+c+d")]),
        ("a=b%20c=+", False, [("a", "b c=+")]),
        ("", False, []),
    ],
)
def test_a_plus_in_a_query_has_two_meanings(query: str, plus_is_space: bool, parameters: list[tuple[str, str]]) -> None:
    assert parse_query(query, plus_is_space=plus_is_space) == parameters


heads = st.binary() | st.text("GETPOS /H1.\r\n:aX-0").map(str.encode)


@given(heads)
def test_any_bytes_are_parsed_or_refused_alike_whether_fields_are_remembered_or_not(head: bytes) -> None:
    results: list[Head | None] = []
    for parse in (parse_head, parse_head, parse_unusual_head):
        try:
            results.append(parse(head))
        except BadRequest:
            results.append(None)
    assert results[0] == results[1] == results[2]
