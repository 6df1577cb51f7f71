"""Which requests are plain, and which are left to a full parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol.requests import HEAD_LIMIT, MOST_HEADERS, Request, head_end, parse_query, parse_request


@pytest.mark.parametrize(
    ("head", "request_"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", Request("GET", "/", {"host": "a"}, 0)),
        (b"HEAD /ready?x=1 HTTP/1.1\r\nhost:a", Request("HEAD", "/ready?x=1", {"host": "a"}, 0)),
        (
            b"POST /apps/1/events HTTP/1.1\r\nHOST: a\r\nContent-Length: 12\r\nX-Empty:\r\nX-Name:  \xe9 \t",
            Request(
                "POST",
                "/apps/1/events",
                {"host": "a", "content-length": "12", "x-empty": "", "x-name": "\xe9"},
                12,
            ),
        ),
        (b"OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive", Request("OPTIONS", "/", {"host": "a"}, 0)),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
            Request("GET", "/", {"host": "a", "upgrade": "h2c"}, 0),
        ),
    ],
)
def test_a_plain_request_is_read(head: bytes, request_: Request) -> None:
    assert parse_request(head) == request_


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.0\r\nHost: a",
        b"GET  / HTTP/1.1\r\nHost: a",
        b"PUT / HTTP/1.1\r\nHost: a",
        b"get / HTTP/1.1\r\nHost: a",
        b"GET http://a/ HTTP/1.1\r\nHost: a",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a",
        b"GET /\x00 HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\n: a\r\nHost: a",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded",
        b"GET / HTTP/1.1\r\nHost: a\nX: b",
        b"GET / HTTP/1.1\r\nHost: a\rX: b",
        b"GET / HTTP/1.1\r\nHost: a\x00",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xa01",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\x85",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket",
    ],
)
def test_what_is_not_plain_is_left_to_a_full_parser(head: bytes) -> None:
    assert parse_request(head) is None


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


@given(st.binary() | st.text("GETPOS /H1.\r\n:aX-0").map(str.encode))
def test_no_bytes_raise(head: bytes) -> None:
    found = parse_request(head)
    assert found is None or found.target.startswith("/")
