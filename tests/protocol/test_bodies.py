"""The bodies of HTTP requests, however their bytes are cut."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soketpy.protocol.bodies import BadBody, BodyTooLarge, ChunkedBody, SizedBody

pieces = st.lists(st.text("\r\na0;").map(str.encode).filter(bool), max_size=5)
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=20)
followers = st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])


def feed(body: SizedBody | ChunkedBody, data: bytes, cuts: list[int]) -> bytes | None:
    """Feed the data cut in pieces of these sizes, in turn. Return what follows the body; None if it is incomplete."""
    start = number = 0
    while start < len(data):
        end = start + cuts[number % len(cuts)]
        rest = body.feed(data[start:end])
        if rest is not None:
            return rest + data[end:]
        start, number = end, number + 1
    return None


@given(st.binary(min_size=1), cuts, followers)
def test_a_body_of_a_stated_length_ends_where_it_says(content: bytes, cuts: list[int], follower: bytes) -> None:
    body = SizedBody(len(content))
    assert feed(body, content + follower, cuts) == follower
    assert body.whole() == content


@given(pieces, st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"]), cuts, followers)
@example([b"\r\n\r\n\r\n\r\n"], b"", [1], b"\r\n\r\n")
def test_a_chunked_body_ends_where_its_last_chunk_does(
    pieces: list[bytes], trailer: bytes, cuts: list[int], follower: bytes
) -> None:
    body = ChunkedBody(1000)
    chunks = b"".join(b"%x;name=value\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    assert feed(body, chunks + b"0\r\n" + trailer + b"\r\n" + follower, cuts) == follower
    assert body.whole() == b"".join(pieces)


@given(pieces, cuts)
def test_a_body_that_is_discarded_still_tells_its_end(pieces: list[bytes], cuts: list[int]) -> None:
    content = b"".join(pieces)
    for body, data in (
        (SizedBody(len(content) + 1), content + b"x"),
        (ChunkedBody(0), b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"),
    ):
        body.discard()
        assert feed(body, data + b"next", cuts) == b"next"
        assert body.whole() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"1\na\n",
        b"1\r\nab\r\n",
        b"\r\n\r\n",
        b"1\r\na\r\n\r\n",
        b"f" * 17 + b"\r\n",
    ],
)
def test_chunks_that_break_the_rules_are_refused(data: bytes) -> None:
    with pytest.raises(BadBody):
        ChunkedBody(1000).feed(data)


def test_a_chunked_body_over_its_limit_is_refused() -> None:
    body = ChunkedBody(5)
    assert body.feed(b"5\r\nabcde\r\n") is None
    with pytest.raises(BodyTooLarge):
        body.feed(b"1\r\nf")


@pytest.mark.parametrize("body", [SizedBody(400_000), ChunkedBody(400_000)], ids=["sized", "chunked"])
def test_a_body_in_tiny_pieces_takes_little_more_memory_than_its_content(body: SizedBody | ChunkedBody) -> None:
    data = b"ab" if isinstance(body, SizedBody) else b"2\r\nab\r\n"
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100_000):
            assert body.feed(data) is None
        assert tracemalloc.get_traced_memory()[0] - before < 400_000
    finally:
        tracemalloc.stop()
