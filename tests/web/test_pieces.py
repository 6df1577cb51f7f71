"""Bytes that are cut behind requests with an Upgrade header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.web.pieces import Pieces

HEAD = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"x\r\n\r\nx"])
@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"Upgrade", b"uPGRADE"), b"G\r\nUpgrade:\r\n\r\n"])
def test_a_piece_ends_with_the_head_wherever_it_is_cut(before: bytes, head: bytes) -> None:
    stream = before + head + head + b"rest"
    for place in range(len(stream) + 1):
        pieces, ends, seen = Pieces(), set(), 0
        for part in (stream[:place], stream[place:]):
            for piece in pieces.cut(part):
                seen += len(piece)
                ends.add(seen)
        assert {len(before + head), len(before + head + head), len(stream)} <= ends


def test_a_piece_ends_with_a_body() -> None:
    pieces = Pieces()
    pieces.expect_body(5)
    assert list(pieces.cut(b"abc")) == [b"abc"]
    assert list(pieces.cut(b"deGET")) == [b"de", b"GET"]


def test_a_piece_ends_with_an_empty_line() -> None:
    pieces = Pieces()
    pieces.expect_chunks()
    assert list(pieces.cut(b"1\r\na\r\n0\r\n\r\nGET\r\n\r\n")) == [b"1\r\na\r\n0\r\n\r\n", b"GET\r\n\r\n"]


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"upgrade:", b"\r\nUpgrade: x", b"\r\n\r\n", b"a", b"GET / HTTP/1.1"]))
)
def test_no_byte_is_lost(parts: list[bytes]) -> None:
    pieces = Pieces()
    assert b"".join(piece for part in parts for piece in pieces.cut(part)) == b"".join(parts)
