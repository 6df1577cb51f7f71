"""Pings and pongs (Autobahn 2)."""

import pytest

from tests.web.rfc6455.wire import PING, PONG, TEXT, Exchange, Wire, frame, request

PAYLOADS = (b"", b"Hello, world!", bytes((0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF)), b"\xfe" * 125)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("chop", [None, 1])
async def test_a_ping_is_answered_with_its_payload(wire: Wire, payload: bytes, chop: int | None) -> None:
    await wire.send(frame(PING, payload), chop)
    assert await wire.hear() == (PONG, payload)


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_a_ping_or_pong_of_126_bytes_closes_1002(wire: Wire, opcode: int) -> None:
    await wire.send(frame(opcode, b"\xfe" * 126))
    assert await wire.failed() == 1002


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_pong_that_nobody_asked_for_is_not_answered(wire: Wire, payload: bytes) -> None:
    await wire.send(frame(PONG, payload))
    await wire.is_alive()


async def test_a_ping_behind_an_unsolicited_pong_is_answered(wire: Wire) -> None:
    await wire.send(frame(PONG, b"nobody asked") + frame(PING, b"but I do"))
    assert await wire.hear() == (PONG, b"but I do")


@pytest.mark.parametrize("chop", [None, 1])
async def test_ten_pings_are_answered_each_and_in_order(wire: Wire, chop: int | None) -> None:
    payloads = [b"payload-%d" % number for number in range(10)]
    await wire.send(b"".join(frame(PING, payload) for payload in payloads), chop)
    assert [await wire.hear() for _ in payloads] == [(PONG, payload) for payload in payloads]


async def test_a_refused_connection_gets_no_pong(exchange: Exchange) -> None:
    wire = await exchange.dial()
    await wire.send(request("/app/no-such-app?protocol=7") + frame(PING, b"anyone?"))
    assert (await wire.answer()).status == 101
    assert (await wire.hear())[0] == TEXT
    assert await wire.close_code() == 4001
