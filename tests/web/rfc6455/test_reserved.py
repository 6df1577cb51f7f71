"""Reserved bits and reserved opcodes (Autobahn 3 and 4), and extensions, of which there are none (12 and 13)."""

import zlib

import pytest

from tests.web.rfc6455.wire import BINARY, CLOSE, PING, PONG, TEXT, Echo, Exchange, Wire, event, frame, request

OPCODES = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("reserved", range(1, 8))
async def test_a_reserved_bit_closes_1002(wire: Wire, opcode: int, reserved: int) -> None:
    await wire.send(frame(opcode, b"\x03\xe8", reserved=reserved))
    assert await wire.failed() == 1002


@pytest.mark.parametrize("payload", [b"", b"payload"])
@pytest.mark.parametrize("opcode", OPCODES)
async def test_a_reserved_opcode_closes_1002(wire: Wire, opcode: int, payload: bytes) -> None:
    await wire.send(frame(opcode, payload))
    assert await wire.failed() == 1002


@pytest.mark.parametrize("chop", [None, 1])
@pytest.mark.parametrize("bad", [frame(TEXT, b"x", reserved=2), *(frame(opcode, b"x") for opcode in OPCODES)])
async def test_a_message_in_front_of_a_reserved_frame_is_served_and_a_ping_behind_is_not(
    echo: Echo, bad: bytes, chop: int | None
) -> None:
    text = event(b"in front")
    await echo.send(frame(TEXT, text) + bad + frame(PING, b"behind"), chop)
    await echo.returns(text)
    assert await echo.sender.failed() == 1002


OFFERS = (
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; client_max_window_bits=15, permessage-bzip2, x-webkit-deflate-frame",
    "not an extension;;,=",
)


@pytest.mark.parametrize("offer", OFFERS)
async def test_an_offered_extension_is_not_taken_up(exchange: Exchange, offer: str) -> None:
    wire = await exchange.dial()
    await wire.send(request(sec_websocket_extensions=offer))
    answer = await wire.answer()
    assert (answer.status, answer.headers.get("sec-websocket-extensions")) == (101, None)
    assert (await wire.message())["event"] == "pusher:connection_established"
    await wire.is_alive()


async def test_a_compressed_message_closes_1002_though_compression_was_offered(exchange: Exchange) -> None:
    wire = await exchange.connect(sec_websocket_extensions="permessage-deflate")
    compressor = zlib.compressobj(wbits=-15)
    compressed = compressor.compress(event(b"hello")) + compressor.flush(zlib.Z_SYNC_FLUSH)
    await wire.send(frame(TEXT, compressed.removesuffix(b"\0\0\xff\xff"), reserved=4))
    assert await wire.failed() == 1002
