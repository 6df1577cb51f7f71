"""The opening handshake (RFC 6455, section 4): what opens a WebSocket, and how what does not is answered."""

import json

import pytest

from soketpy.protocol.requests import HEAD_LIMIT
from tests.web.rfc6455.wire import (
    ACCEPT,
    PING_TEXT,
    PONG_TEXT,
    TEXT,
    Answer,
    Exchange,
    Wire,
    close_frame,
    frame,
    request,
    slices,
)

CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))


async def ask(exchange: Exchange, data: bytes, chop: int | None = None) -> tuple[Wire, Answer]:
    wire = await exchange.dial()
    await wire.send(data, chop)
    return wire, await wire.answer()


async def opened(exchange: Exchange, data: bytes, chop: int | None = None) -> Answer:
    """Check that a WebSocket has opened and works. Return the answer to its handshake."""
    wire, answer = await ask(exchange, data, chop)
    assert answer.status == 101, answer
    assert answer.headers["upgrade"].lower() == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"
    assert answer.headers["sec-websocket-accept"] == ACCEPT
    assert (await wire.message())["event"] == "pusher:connection_established"
    await wire.is_alive()
    return answer


async def test_the_key_of_the_rfc_is_answered_as_the_rfc_says(exchange: Exchange) -> None:
    answer = await opened(exchange, request())
    assert "sec-websocket-protocol" not in answer.headers
    assert "sec-websocket-extensions" not in answer.headers


BAD_KEYS = (
    "",
    "short",
    "!" * 24,
    "dGhlIHNhbXBsZSBub25j",
    "dGhlIHNhbXBsZSBub25jZTE3",
    "dGhlIHNhbXBsZSBub25jZQ",
    "é" * 24,
)


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_key_that_is_not_16_bytes_of_base64_is_answered_400(exchange: Exchange, key: str) -> None:
    wire, answer = await ask(exchange, request(sec_websocket_key=key))
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert b"Sec-WebSocket-Key" in answer.body
    await wire.end()


async def test_a_second_key_is_answered_400(exchange: Exchange) -> None:
    head = request().replace(b"host:", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nhost:")
    _, answer = await ask(exchange, head)
    assert answer.status == 400


@pytest.mark.parametrize("name", ["sec-websocket-key", "host", "connection"])
async def test_a_header_that_is_missing_is_answered_400(exchange: Exchange, name: str) -> None:
    wire, answer = await ask(exchange, request(without=name))
    assert answer.status == 400
    await wire.end()


@pytest.mark.parametrize("connection", ["", "close", "keep-alive", "upgraded"])
async def test_a_connection_header_without_upgrade_is_answered_400(exchange: Exchange, connection: str) -> None:
    _, answer = await ask(exchange, request(connection=connection))
    assert answer.status == 400
    assert b"Connection" in answer.body


@pytest.mark.parametrize("version", ["", "0", "7", "8", "12", "14", "13, 8", "thirteen"])
async def test_another_version_is_answered_426_and_told_13(exchange: Exchange, version: str) -> None:
    wire, answer = await ask(exchange, request(sec_websocket_version=version))
    assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")
    await wire.end()


async def test_no_version_is_answered_426_and_told_13(exchange: Exchange) -> None:
    _, answer = await ask(exchange, request(without="sec-websocket-version"))
    assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")


@pytest.mark.parametrize(
    "headers",
    [
        {"upgrade": "WebSocket"},
        {"upgrade": "WEBSOCKET"},
        {"upgrade": "h2c, websocket"},
        {"connection": "upgrade"},
        {"connection": "UPGRADE"},
        {"connection": "keep-alive, Upgrade"},
        {"connection": "Upgrade,keep-alive"},
        {"connection": "keep-alive ,\tupgrade , x"},
    ],
)
async def test_tokens_are_found_in_any_case_and_any_company(exchange: Exchange, headers: dict[str, str]) -> None:
    await opened(exchange, request(**headers))


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
async def test_header_names_are_found_in_any_case(exchange: Exchange, case: "type[str]") -> None:
    lines = request().decode().split("\r\n")
    head = [lines[0], *(":".join([case(name), *value]) for name, *value in (line.split(":") for line in lines[1:]))]
    await opened(exchange, "\r\n".join(head).encode())


@pytest.mark.parametrize("space", ["", " ", "\t", "  \t "])
async def test_the_white_space_around_a_value_does_not_count(exchange: Exchange, space: str) -> None:
    await opened(exchange, request(upgrade=f"{space}websocket{space}", sec_websocket_version=f"{space}13{space}"))


PATHS = (
    "/app/app-key",
    "/app/app-key/",
    "/app/app-key?",
    "/app/app-key?protocol=7&client=js&version=8.6.0&flash=false",
    "/app/app-key/?protocol=5",
    "/app/app%2Dkey?protocol=7",
    "/app/app-key?protocol=7&t=%zz&&=&a",
    "http://localhost:6001/app/app-key?protocol=7",
    "HTTPS://example.org/app/app-key?from=http://example.org/",
    "/app/app-key?from=https://example.org/app/other",
)


@pytest.mark.parametrize("path", PATHS)
async def test_an_app_is_found_by_every_form_of_its_path(exchange: Exchange, path: str) -> None:
    await opened(exchange, request(path))


@pytest.mark.parametrize("prefix", ["/realtime", "/realtime/", "/a/b"])
async def test_a_path_prefix_may_stand_in_front_or_not(exchange: Exchange, prefix: str) -> None:
    await exchange.start(path_prefix=prefix)
    await opened(exchange, request(f"/{prefix.strip('/')}/app/app-key?protocol=7"))
    await opened(exchange, request("/app/app-key?protocol=7"))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", 4005),
        ("/app", 4005),
        ("/app/", 4005),
        ("/app//", 4005),
        ("/app/app-key/more", 4005),
        ("/other/app/app-key", 4005),
        ("*", 4005),
        ("http://localhost", 4005),
        ("/app/nobody", 4001),
        ("/app/%FF%00", 4001),
        ("/app/APP-KEY", 4001),
        ("/app/app-key?protocol=4", 4007),
        ("/app/app-key?protocol=seven", 4006),
    ],
)
async def test_a_path_that_leads_nowhere_opens_and_closes_with_the_code_that_says_so(
    exchange: Exchange, path: str, code: int
) -> None:
    wire, answer = await ask(exchange, request(path))
    assert answer.status == 101
    message = await wire.message()
    assert (message["event"], message["data"]["code"]) == ("pusher:error", code)
    assert await wire.close_code() == code
    await wire.send(close_frame(code))
    await wire.end()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("pusher", "pusher"),
        ("a, b", "a"),
        ("  a  ,b", "a"),
        ("graphql-ws!#$", "graphql-ws!#$"),
        ("", None),
        (", b", None),
        ("not a token", None),
        ("é", None),
    ],
)
async def test_the_first_subprotocol_is_taken_if_it_is_one(
    exchange: Exchange, offered: str, chosen: str | None
) -> None:
    answer = await opened(exchange, request(sec_websocket_protocol=offered))
    assert answer.headers.get("sec-websocket-protocol") == chosen


@pytest.mark.parametrize("stray", ["\n", "\r", "\0"])
@pytest.mark.parametrize("header", ["Sec-WebSocket-Protocol", "Origin", "X-Other"])
async def test_a_stray_line_end_in_a_header_is_answered_400_and_nothing_of_it_comes_back(
    exchange: Exchange, header: str, stray: str
) -> None:
    wire, answer = await ask(exchange, request(**{header: f"a{stray}Set-Cookie: b=c"}))
    assert answer.status == 400
    assert "set-cookie" not in answer.headers
    await wire.end()


async def test_empty_lines_in_front_of_a_request_do_not_count(exchange: Exchange) -> None:
    await opened(exchange, b"\r\n\r\n" + request())
    await opened(exchange, b"\r\n\r\n" + request(), chop=1)


async def test_frames_right_behind_the_request_are_served(exchange: Exchange) -> None:
    wire, answer = await ask(exchange, request() + frame(TEXT, PING_TEXT) + frame(TEXT, PING_TEXT)[:3])
    assert answer.status == 101
    assert (await wire.message())["event"] == "pusher:connection_established"
    assert await wire.hear() == (TEXT, PONG_TEXT)
    await wire.send(frame(TEXT, PING_TEXT)[3:])
    assert await wire.hear() == (TEXT, PONG_TEXT)


async def test_a_request_may_be_cut_anywhere(exchange: Exchange) -> None:
    data = request() + frame(TEXT, PING_TEXT)
    for place in range(1, len(data)):
        wire = await exchange.dial()
        await wire.send(data[:place], len(data))
        await wire.send(data[place:])
        await wire.greet()
        assert await wire.hear() == (TEXT, PONG_TEXT)


async def test_a_request_may_come_octet_by_octet(exchange: Exchange) -> None:
    await opened(exchange, request(), chop=1)


def long_request(size: int) -> bytes:
    """Return a handshake whose head has so many bytes, the empty line not counted."""
    room = size + 4 - len(request())
    padding = slices(b"x" * room, 4000)
    lines = [b"\r\nx: " + part[min(len(part), 5) :] for part in padding]
    head = request().removesuffix(b"\r\n\r\n") + b"".join(lines)
    return head + b"x" * (size - len(head)) + b"\r\n\r\n"


async def test_a_head_of_16_kib_opens_a_websocket(exchange: Exchange) -> None:
    data = long_request(HEAD_LIMIT)
    assert data.index(b"\r\n\r\n") == HEAD_LIMIT
    await opened(exchange, data)


@pytest.mark.parametrize("tail", range(1, 5))
async def test_a_head_of_16_kib_opens_a_websocket_wherever_its_end_is_cut(exchange: Exchange, tail: int) -> None:
    data = long_request(HEAD_LIMIT)
    wire = await exchange.dial()
    await wire.send(data[:-tail], len(data))
    await wire.send(data[-tail:])
    await wire.greet()


@pytest.mark.parametrize("chop", [None, 1000])
@pytest.mark.parametrize("size", [HEAD_LIMIT + 1, HEAD_LIMIT + 5, 20_000, 1 << 20])
async def test_a_longer_head_is_answered_431_however_it_comes(exchange: Exchange, size: int, chop: int | None) -> None:
    wire, answer = await ask(exchange, long_request(size), chop)
    assert (answer.status, answer.headers["connection"]) == (431, "close")
    assert json.loads(answer.body)["code"] == 431
    await wire.end()


async def test_a_head_without_end_is_answered_431_and_the_client_dropped_in_time(exchange: Exchange) -> None:
    wire, answer = await ask(exchange, b"GET / HTTP/1.1\r\nx: " + b"x" * 4_000_000)
    assert answer.status == 431
    await wire.end()
    exchange.let_all_deadlines_come()
    await wire.dropped()


GARBAGE = (
    CLIENT_HELLO,
    b"\0" * 64,
    bytes(range(128, 256)),
    b"\x05\x01\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"a b\r\n\r\n",
)


@pytest.mark.parametrize("chop", [None, 1])
@pytest.mark.parametrize("garbage", GARBAGE, ids=["TLS", "zeros", "high bytes", "SOCKS", "HTTP/2", "letters"])
async def test_what_is_not_http_is_told_so_at_once(exchange: Exchange, garbage: bytes, chop: int | None) -> None:
    wire, answer = await ask(exchange, garbage, chop)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, 400)
    await wire.end()


async def test_a_client_that_sends_no_request_is_dropped_in_time(exchange: Exchange) -> None:
    wire = await exchange.dial()
    await wire.send(b"GET /app", 4)
    exchange.let_all_deadlines_come()
    await wire.dropped()


@pytest.mark.parametrize(
    "first_line",
    [
        "GET /app/app-key?protocol=7 HTTP/1.0",
        "POST /app/app-key?protocol=7 HTTP/1.1",
        "PUT /app/app-key?protocol=7 HTTP/1.1",
        "get /app/app-key?protocol=7 HTTP/1.1",
        "GET /app/app-key ?protocol=7 HTTP/1.1",
        "GET /app/app-key?protocol=7",
        "GET /app/app-key?protocol=7 HTTP/2.0",
        "GET /app/app-key?protocol=7 WS/13",
    ],
)
async def test_what_is_not_a_get_of_http_1_1_opens_no_websocket(exchange: Exchange, first_line: str) -> None:
    _, answer = await ask(exchange, request(first_line=first_line))
    assert 400 <= answer.status < 500


@pytest.mark.parametrize("upgrade", ["", "h2c", "websockets", "not-websocket"])
async def test_a_request_for_something_else_is_plain_http(exchange: Exchange, upgrade: str) -> None:
    _, answer = await ask(exchange, request("/", upgrade=upgrade))
    assert answer.status == 200


async def test_a_header_that_goes_on_in_the_next_line_opens_no_websocket(exchange: Exchange) -> None:
    _, answer = await ask(exchange, request(x_other="a\r\n b"))
    assert answer.status == 400


# On a connection that has served HTTP


PLAIN = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def served(exchange: Exchange) -> Wire:
    """Return a connection whose first request was plain HTTP."""
    wire, answer = await ask(exchange, PLAIN)
    assert answer.status == 200
    return wire


@pytest.mark.parametrize("times", [0, 3])
async def test_a_kept_connection_becomes_a_websocket(exchange: Exchange, times: int) -> None:
    wire = await served(exchange)
    for _ in range(times):
        await wire.send(PLAIN)
        assert (await wire.answer()).status == 200
    await wire.send(request())
    await wire.greet()
    await wire.is_alive()
    await wire.send(close_frame(1000))
    assert await wire.failed() == 1000


async def test_a_kept_connection_is_refused_as_a_new_one_is(exchange: Exchange) -> None:
    wire = await served(exchange)
    await wire.send(request(sec_websocket_version="8"))
    answer = await wire.answer()
    assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")
    await wire.end()


@pytest.mark.parametrize("count", [1, 10, 5000])
async def test_frames_right_behind_the_request_on_a_kept_connection_are_served(exchange: Exchange, count: int) -> None:
    wire = await served(exchange)
    await wire.send(request() + frame(TEXT, PING_TEXT) * count)
    await wire.greet()
    for _ in range(count):
        assert await wire.hear() == (TEXT, PONG_TEXT)
    await wire.is_alive()


async def test_a_request_right_behind_a_plain_one_becomes_a_websocket(exchange: Exchange) -> None:
    wire, answer = await ask(exchange, PLAIN + request() + frame(TEXT, PING_TEXT))
    assert answer.status == 200
    await wire.greet()
    assert await wire.hear() == (TEXT, PONG_TEXT)


async def test_http_1_0_opens_no_websocket_on_a_kept_connection_either(exchange: Exchange) -> None:
    wire = await served(exchange)
    await wire.send(request(first_line="GET /app/app-key?protocol=7 HTTP/1.0"))
    answer = await wire.answer()
    assert answer.status == 426
