"""Framing (Autobahn 1 and 10): every form of length, each at its edges, whole and chopped."""

import pytest

from soketpy.protocol.frames import unmask
from tests.web.rfc6455.wire import (
    BINARY,
    CLOSE,
    MASK,
    PING,
    TEXT,
    Echo,
    Wire,
    event_of_size,
    fragments,
    frame,
    header,
    slices,
)

EDGES = (125, 126, 127, 128, 65535, 65536)


@pytest.mark.parametrize("size", EDGES)
async def test_a_text_message_arrives_byte_for_byte(echo: Echo, size: int) -> None:
    text = event_of_size(size)
    assert len(text) == size
    await echo.send(frame(TEXT, text))
    await echo.returns(text)


@pytest.mark.parametrize(
    ("size", "chop"),
    [*((size, 1) for size in EDGES[:4]), *((size, chop) for size in EDGES[4:] for chop in (997, 2048))],
)
async def test_a_chopped_text_message_arrives_byte_for_byte(echo: Echo, size: int, chop: int) -> None:
    text = event_of_size(size)
    await echo.send(frame(TEXT, text), chop)
    await echo.returns(text)


async def test_an_empty_text_message_is_answered_and_the_connection_stays(wire: Wire) -> None:
    await wire.send(frame(TEXT))
    message = await wire.message()
    assert (message["event"], message["data"]["code"]) == ("pusher:error", 4300)
    await wire.is_alive()


@pytest.mark.parametrize("chop", [None, 997])
@pytest.mark.parametrize("size", [0, *EDGES])
async def test_a_binary_message_closes_1003_with_an_orderly_handshake(wire: Wire, size: int, chop: int | None) -> None:
    await wire.send(frame(BINARY, b"\xfe" * size), chop)
    assert await wire.close_code() == 1003
    await wire.send(frame(CLOSE, (1003).to_bytes(2, "big")))
    await wire.end()


async def test_a_binary_message_in_fragments_closes_1003(wire: Wire) -> None:
    await wire.send(fragments(BINARY, b"one", b"two"))
    assert await wire.close_code() == 1003


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
@pytest.mark.parametrize("chop", [None, 1])
async def test_a_frame_without_a_mask_closes_1002(wire: Wire, opcode: int, chop: int | None) -> None:
    await wire.send(frame(opcode, b"", mask=None), chop)
    assert await wire.failed() == 1002


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1"])
async def test_any_mask_will_do(echo: Echo, mask: bytes) -> None:
    text = event_of_size(131)
    await echo.send(frame(TEXT, text, mask=mask))
    await echo.returns(text)


# Section 5.2 asks senders for the shortest form; receivers everywhere, soketi's too, take any.
@pytest.mark.parametrize(("size", "wide"), [(100, 2), (100, 8), (200, 8)])
async def test_a_length_that_takes_more_bytes_than_it_needs_is_understood(echo: Echo, size: int, wide: int) -> None:
    text = event_of_size(size)
    await echo.send(header(TEXT, size, wide=wide) + unmask(text, MASK))
    await echo.returns(text)


@pytest.mark.parametrize("part", [1300, 4096])
async def test_a_message_that_was_fragmented_on_the_way_arrives_as_one_frame(echo: Echo, part: int) -> None:
    text = event_of_size(65536)
    await echo.send(fragments(TEXT, *slices(text, part)))
    await echo.returns(text)
