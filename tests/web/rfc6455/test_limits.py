"""Sizes (Autobahn 9): what is in the limit arrives however it is cut, what is over it is refused unread."""

import pytest

from soketpy.config.settings import Bounds
from tests.web.rfc6455.wire import (
    CONTINUATION,
    TEXT,
    Echo,
    Exchange,
    Wire,
    event_of_size,
    fragments,
    frame,
    header,
    slices,
)

LIMIT = 256 * 1024


@pytest.mark.parametrize("chop", [None, 512, 1024, 2048])
async def test_a_message_of_the_limit_arrives_byte_for_byte(echo: Echo, chop: int | None) -> None:
    text = event_of_size(LIMIT)
    await echo.send(frame(TEXT, text), chop)
    await echo.returns(text)


@pytest.mark.parametrize("part", [64, 256, 1024, 4096, 16384, 65536, LIMIT - 1])
async def test_a_message_of_the_limit_arrives_in_fragments_of_any_size(echo: Echo, part: int) -> None:
    text = event_of_size(LIMIT)
    await echo.send(fragments(TEXT, *slices(text, part)))
    await echo.returns(text)


@pytest.mark.parametrize("chop", [64, 128, 256])
async def test_a_message_arrives_in_chops_of_any_size(echo: Echo, chop: int) -> None:
    text = event_of_size(65536)
    await echo.send(frame(TEXT, text), chop)
    await echo.returns(text)


@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 20, 1 << 32, (1 << 63) - 1])
async def test_a_message_over_the_limit_closes_1009_before_its_payload_was_sent(wire: Wire, size: int) -> None:
    await wire.send(header(TEXT, size))
    assert await wire.failed() == 1009


@pytest.mark.parametrize(("held", "more"), [(LIMIT, 1), (LIMIT - 1, 2), (1, LIMIT), (10, 1 << 40)])
async def test_a_fragment_that_takes_a_message_over_the_limit_closes_1009_before_it_was_sent(
    wire: Wire, held: int, more: int
) -> None:
    await wire.send(frame(TEXT, b"x" * held, last=False) + header(CONTINUATION, more, last=False))
    assert await wire.failed() == 1009


async def test_fragments_within_the_limit_one_by_one_but_not_together_close_1009(wire: Wire) -> None:
    await wire.send(frame(TEXT, b"x" * 60_000, last=False) + frame(CONTINUATION, b"x" * 60_000, last=False) * 4)
    assert await wire.failed() == 1009


async def test_a_length_whose_highest_bit_is_set_closes_1002(wire: Wire) -> None:
    await wire.send(header(TEXT, 1 << 63))
    assert await wire.failed() == 1002


async def test_the_limit_is_that_of_each_message_not_of_all(echo: Echo) -> None:
    text = event_of_size(LIMIT)
    for _ in range(5):
        await echo.send(frame(TEXT, text))
        await echo.returns(text)


async def test_the_limit_is_a_setting(exchange: Exchange) -> None:
    await exchange.start(bounds=Bounds(message_size_in_kb=1))
    echo = await exchange.echo()
    text = event_of_size(1024)
    await echo.send(frame(TEXT, text))
    await echo.returns(text)
    await echo.send(header(TEXT, 1025))
    assert await echo.sender.failed() == 1009


@pytest.mark.parametrize("size", [64, 1024, 4096])
async def test_hundreds_of_messages_go_to_and_fro(echo: Echo, size: int) -> None:
    text = event_of_size(max(size, 80))
    for _ in range(300):
        await echo.send(frame(TEXT, text))
        await echo.returns(text)


async def test_hundreds_of_messages_in_one_packet_arrive_in_their_order(echo: Echo) -> None:
    texts = [event_of_size(80 + number) for number in range(500)]
    await echo.send(b"".join(frame(TEXT, text) for text in texts))
    for text in texts:
        await echo.returns(text)
