"""The end of a connection (Autobahn 7): who closes, with which code, and that the other side learns of it."""

import pytest

from tests.web.rfc6455.wire import (
    CLOSE,
    PING,
    PING_TEXT,
    TEXT,
    Echo,
    Exchange,
    Wire,
    close_frame,
    event,
    event_of_size,
    frame,
    header,
    request,
)

VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
INVALID = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
REASONS = (b"", b"Hello World!", b"*" * 123, "κόσμε".encode())
MEGABYTE = b"x" * (1 << 20)


# The client closes


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("code", VALID)
async def test_a_close_is_answered_with_its_code_and_the_connection_ends(wire: Wire, code: int, reason: bytes) -> None:
    await wire.send(close_frame(code, reason))
    assert await wire.failed() == code


@pytest.mark.parametrize("chop", [None, 1])
async def test_a_close_without_a_code_is_answered_with_1000(wire: Wire, chop: int | None) -> None:
    await wire.send(frame(CLOSE), chop)
    assert await wire.failed() == 1000


@pytest.mark.parametrize("reason", ["", "Going away"])
@pytest.mark.parametrize("code", INVALID)
async def test_a_close_with_a_code_that_must_not_be_sent_closes_1002(wire: Wire, code: int, reason: str) -> None:
    await wire.send(close_frame(code, reason.encode()))
    assert await wire.failed() == 1002


@pytest.mark.parametrize("payload", [b"\x03", (1000).to_bytes(2, "big") + b"*" * 124])
async def test_a_close_of_half_a_code_or_of_126_bytes_closes_1002(wire: Wire, payload: bytes) -> None:
    await wire.send(frame(CLOSE, payload))
    assert await wire.failed() == 1002


async def test_a_close_with_a_reason_that_is_not_utf8_closes_1007(wire: Wire) -> None:
    await wire.send(close_frame(1000, "κόσμε".encode() + b"\xed\xa0\x80edited"))
    assert await wire.failed() == 1007


BEHIND = {
    "close": close_frame(1001),
    "ping": frame(PING, b"still there?"),
    "text": frame(TEXT, PING_TEXT),
    "malformed text": frame(TEXT, b"{"),
    "broken frame": frame(TEXT, b"x", reserved=7),
    "garbage": b"\xff" * 1000,
    "megabytes": MEGABYTE * 4,
}


@pytest.mark.parametrize("chop", [None, 65536])
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
async def test_what_comes_behind_a_close_is_not_heard_and_does_not_harm_the_answer(
    wire: Wire, behind: bytes, chop: int | None
) -> None:
    await wire.send(close_frame(1000) + behind, chop)
    assert await wire.failed() == 1000


async def test_what_comes_in_front_of_a_close_is_served(echo: Echo) -> None:
    text = event_of_size(100_000)
    await echo.send(frame(TEXT, text) + close_frame(4242) + frame(TEXT, event(b"too late")))
    await echo.returns(text)
    assert await echo.sender.failed() == 4242
    await echo.receiver.is_alive()


async def test_a_client_that_ends_its_stream_without_a_close_frame_gets_the_end_of_the_servers(wire: Wire) -> None:
    wire.writer.write_eof()
    await wire.end()


# The server closes


async def refused(exchange: Exchange, behind: bytes = b"") -> Wire:
    """Return a connection that has received the reason for its close."""
    wire = await exchange.dial()
    await wire.send(request("/app/no-such-app?protocol=7") + behind)
    assert (await wire.answer()).status == 101
    message = await wire.message()
    assert (message["event"], message["data"]["code"]) == ("pusher:error", 4001)
    assert await wire.close_code() == 4001
    return wire


@pytest.mark.parametrize("answer", [close_frame(4001), close_frame(1000), frame(CLOSE)])
async def test_the_connection_ends_once_the_client_has_answered(exchange: Exchange, answer: bytes) -> None:
    wire = await refused(exchange)
    await wire.send(answer)
    await wire.end()


@pytest.mark.parametrize("answer", [close_frame(1005), frame(CLOSE, b"1"), frame(TEXT, b"x", mask=None), b"\xff" * 99])
async def test_the_connection_ends_where_the_answer_breaks_the_rules(exchange: Exchange, answer: bytes) -> None:
    wire = await refused(exchange)
    await wire.send(answer)
    await wire.end()


async def test_what_a_client_says_before_it_answers_is_not_heard(exchange: Exchange) -> None:
    wire = await refused(exchange, frame(TEXT, PING_TEXT) + frame(PING, b"anyone?"))
    await wire.send(frame(TEXT, PING_TEXT) + frame(PING, b"anyone?") + close_frame(4001))
    await wire.end()


async def test_a_client_that_never_answers_is_dropped(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.web.websocket.CLOSING_TIMEOUT", 0)
    wire = await refused(exchange)
    await wire.end()


async def test_a_client_that_breaks_the_rules_and_never_goes_is_dropped(exchange: Exchange) -> None:
    wire = await exchange.connect()
    await wire.send(frame(TEXT, b"x", mask=None))
    assert await wire.failed() == 1002
    exchange.let_all_deadlines_come()
    await wire.dropped()


async def test_the_code_reaches_a_client_that_is_still_sending(wire: Wire) -> None:
    await wire.send(header(TEXT, len(MEGABYTE) * 8))
    for _ in range(8):
        await wire.send(MEGABYTE)
    assert await wire.failed() == 1009


async def test_the_code_reaches_a_client_whose_messages_are_in_flight(exchange: Exchange) -> None:
    wire = await refused(exchange, frame(TEXT, event_of_size(200_000)) * 20)
    await wire.send(close_frame(4001))
    await wire.end()
