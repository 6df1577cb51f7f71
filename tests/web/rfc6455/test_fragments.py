"""Fragmentation (Autobahn 5)."""

import pytest

from tests.web.rfc6455.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Wire,
    close_frame,
    event,
    fragments,
    frame,
    slices,
)

CHOPS = (None, 1)
MESSAGE = event(b"fragment1fragment2")
FIRST, SECOND = MESSAGE[:50], MESSAGE[50:]
START, MIDDLE, END = frame(TEXT, FIRST, last=False), frame(CONTINUATION, last=False), frame(CONTINUATION, SECOND)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("chop", CHOPS)
async def test_a_control_frame_in_fragments_closes_1002(wire: Wire, opcode: int, chop: int | None) -> None:
    await wire.send(fragments(opcode, b"\x03\xe8frag", b"ment"), chop)
    assert await wire.failed() == 1002


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "parts",
    [
        (FIRST, SECOND),
        (FIRST, b"", SECOND),
        (b"", MESSAGE),
        (MESSAGE, b""),
        (b"", b"", MESSAGE, b"", b""),
        tuple(slices(MESSAGE, 1)),
        tuple(slices(MESSAGE, 7)),
    ],
    ids=["two", "empty between", "empty first", "empty last", "empty around", "octets", "sevens"],
)
async def test_a_message_in_fragments_arrives_as_one(echo: Echo, parts: tuple[bytes, ...], chop: int | None) -> None:
    await echo.send(fragments(TEXT, *parts), chop)
    await echo.returns(MESSAGE)


async def test_fragments_that_are_all_empty_make_an_empty_message(wire: Wire) -> None:
    await wire.send(fragments(TEXT, b"", b"", b""))
    assert (await wire.message())["event"] == "pusher:error"
    await wire.is_alive()


@pytest.mark.parametrize("chop", CHOPS)
async def test_a_ping_between_fragments_is_answered_at_once(echo: Echo, chop: int | None) -> None:
    await echo.send(START + frame(PING, b"between"), chop)
    assert await echo.sender.hear() == (PONG, b"between")
    await echo.send(END, chop)
    await echo.returns(MESSAGE)


@pytest.mark.parametrize("chop", CHOPS)
async def test_pings_between_many_fragments_are_all_answered(echo: Echo, chop: int | None) -> None:
    await echo.send(START + frame(PING, b"1") + MIDDLE + frame(PING, b"2") + frame(PONG, b"?") + MIDDLE + END, chop)
    assert [await echo.sender.hear() for _ in range(2)] == [(PONG, b"1"), (PONG, b"2")]
    await echo.returns(MESSAGE)


async def test_a_close_between_fragments_is_answered_and_the_message_dropped(echo: Echo) -> None:
    await echo.send(START + close_frame(1000) + END)
    assert await echo.sender.failed() == 1000
    await echo.receiver.is_alive()


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("payload", [b"", b"non-continuation payload"])
async def test_a_continuation_of_nothing_closes_1002(wire: Wire, payload: bytes, last: bool, chop: int | None) -> None:
    await wire.send(frame(CONTINUATION, payload, last=last) + frame(TEXT, MESSAGE), chop)
    assert await wire.failed() == 1002


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("last", [True, False])
async def test_a_continuation_behind_a_finished_message_closes_1002(echo: Echo, last: bool, chop: int | None) -> None:
    await echo.send(START + END + frame(CONTINUATION, b"too much", last=last) + frame(TEXT, MESSAGE), chop)
    await echo.returns(MESSAGE)
    assert await echo.sender.failed() == 1002


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("last", [True, False])
async def test_a_new_message_inside_an_unfinished_one_closes_1002(
    wire: Wire, opcode: int, last: bool, chop: int | None
) -> None:
    await wire.send(START + frame(opcode, SECOND, last=last), chop)
    assert await wire.failed() == 1002


async def test_messages_in_fragments_follow_each_other(echo: Echo) -> None:
    texts = [event(b"message %d" % number) for number in range(20)]
    await echo.send(b"".join(fragments(TEXT, *slices(text, 11)) for text in texts))
    for text in texts:
        await echo.returns(text)
