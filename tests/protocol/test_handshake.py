"""The first request of a connection, decoded and answered (RFC 6455, section 4)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soketpy.protocol.handshake import Upgrade, acceptance, app_key, parse_upgrade, refusal

HEADERS = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


REQUEST = "GET /app/key?protocol=7 HTTP/1.1"


def head(request: str = REQUEST, **changes: str | None) -> bytes:
    """Return the head of a request; ``changes`` to its headers have _ for -, and None for one that is missing."""
    headers: dict[str, str | None] = {**HEADERS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([request, *lines]).encode("latin-1")


def upgrade(**changes: str | None) -> Upgrade:
    found = parse_upgrade(head(REQUEST, **changes))
    assert found is not None
    return found


def test_a_handshake_is_read() -> None:
    found = parse_upgrade(head("GET /app/a%20key?protocol=7&client=js&version=8.4%2E0&flash HTTP/1.1"))
    assert found is not None
    assert found.path == "/app/a key"
    assert found.query == {"protocol": "7", "client": "js", "version": "8.4.0", "flash": ""}
    assert found.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("address", ["http://example.com", "HTTPS://example.com:8443"])
def test_a_request_may_name_its_whole_address(address: str) -> None:
    found = parse_upgrade(head(f"GET {address}/app/key?protocol=7 HTTP/1.1"))
    assert found is not None
    assert (found.path, found.query) == ("/app/key", {"protocol": "7"})


def test_headers_of_one_name_are_joined() -> None:
    found = parse_upgrade(head() + b"\r\nSec-WebSocket-Protocol: a\r\nsec-websocket-protocol:  b ")
    assert found is not None
    assert found.headers["sec-websocket-protocol"] == "a, b"


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /app/key HTTP/1.1",
        "get /app/key HTTP/1.1",
        "GET /app/key HTTP/1.0",
        "GET /app/key",
        "GET /app/a key HTTP/1.1",
        "",
    ],
)
def test_another_request_is_no_handshake(request_line: str) -> None:
    assert parse_upgrade(head(request_line)) is None


@pytest.mark.parametrize(("parameters", "is_one"), [(999, True), (1000, True), (1001, False)])
def test_a_request_with_more_than_a_thousand_parameters_is_no_handshake(parameters: int, is_one: bool) -> None:
    query = "&".join(f"n{number}=%20" for number in range(parameters))
    assert (parse_upgrade(head(f"GET /app/key?{query} HTTP/1.1")) is not None) is is_one


@pytest.mark.parametrize("asked", [None, "", "h2c", "websockets"])
def test_a_request_that_asks_for_no_websocket_is_no_handshake(asked: str | None) -> None:
    assert parse_upgrade(head(Upgrade=asked)) is None


@pytest.mark.parametrize("asked", ["WebSocket", "h2c, websocket"])
def test_the_upgrade_is_found_in_any_case_and_among_others(asked: str) -> None:
    assert parse_upgrade(head(Upgrade=asked)) is not None


@pytest.mark.parametrize(
    "line", ["no colon", ": no name", " folded: line", "space : before", "a: b\nc: d", "a: b\r", "a: \0"]
)
def test_a_malformed_header_makes_it_no_http(line: str) -> None:
    assert parse_upgrade(head() + b"\r\n" + line.encode()) is None


def test_a_good_handshake_is_not_refused() -> None:
    assert refusal(upgrade(Connection="keep-alive, Upgrade")) is None


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"Connection": "close"}, b"400 Bad Request", b"Connection"),
        ({"Connection": None}, b"400 Bad Request", b"Connection"),
        ({"Host": None}, b"400 Bad Request", b"Host"),
        ({"Sec_WebSocket_Version": "8"}, b"426 Upgrade Required", b"version must be 13"),
        ({"Sec_WebSocket_Version": "13\x85"}, b"426 Upgrade Required", b"version must be 13"),
        ({"Sec_WebSocket_Version": None}, b"426 Upgrade Required", b"version must be 13"),
        ({"Sec_WebSocket_Key": None}, b"400 Bad Request", b"Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": "dG9vIHNob3J0"}, b"400 Bad Request", b"Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": "not Base64"}, b"400 Bad Request", b"Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": "é" * 24}, b"400 Bad Request", b"Sec-WebSocket-Key"),
    ],
)
def test_a_bad_handshake_is_told_its_fault(changes: dict[str, str | None], status: bytes, reason: bytes) -> None:
    answer = refusal(upgrade(**changes))
    assert answer is not None
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in top
    assert b"Access-Control-Allow-Origin: *" in top
    assert reason in body


def test_a_wrong_version_is_told_the_right_one() -> None:
    answer = refusal(upgrade(Sec_WebSocket_Version="8"))
    assert answer is not None
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer


def test_the_acceptance_is_that_of_the_rfc() -> None:
    # The key and its answer are the example of RFC 6455, section 1.3.
    assert acceptance(upgrade()) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_the_first_subprotocol_that_is_offered_is_taken() -> None:
    answer = acceptance(upgrade(Sec_WebSocket_Protocol="pusher.7, other"))
    assert b"\r\nSec-WebSocket-Protocol: pusher.7\r\n\r\n" in answer


def test_no_extension_is_agreed() -> None:
    assert b"Extensions" not in acceptance(upgrade(Sec_WebSocket_Extensions="permessage-deflate"))


@pytest.mark.parametrize("offered", ["a b", "", "\x85", "é", "a\x1b"])
def test_a_subprotocol_that_is_no_token_is_not_sent_back(offered: str) -> None:
    assert acceptance(upgrade(Sec_WebSocket_Protocol=offered)) == acceptance(upgrade())


@pytest.mark.parametrize(
    ("path", "prefix", "key"),
    [
        ("/app/key", "", "key"),
        ("/app/key/", "", "key"),
        ("/app/key", "/ws", "key"),
        ("/ws/app/key", "/ws", "key"),
        ("/ws/app/key", "", None),
        ("/other/app/key", "/ws", None),
        ("/ws//app/key", "/ws", "key"),
        ("//app/key", "", None),
        ("/app/", "", None),
        ("/app", "", None),
        ("/app//", "", None),
        ("/app/a/b", "", None),
        ("/", "", None),
        ("", "", None),
    ],
)
def test_the_key_stands_in_the_path(path: str, prefix: str, key: str | None) -> None:
    assert app_key(path, prefix) == key


@given(st.binary() | st.binary().map(lambda tail: head() + b"\r\n" + tail))
@example(b"GET /%ff?%ff=%ff& HTTP/1.1\r\nUpgrade: websocket")
@example(b"GET //[?[=] HTTP/1.1\r\nUpgrade: websocket")
def test_no_bytes_make_the_reading_of_a_handshake_raise(data: bytes) -> None:
    found = parse_upgrade(data)
    if found is not None and refusal(found) is None:
        assert acceptance(found).endswith(b"\r\n\r\n")


@given(st.text(st.characters(max_codepoint=255)))
def test_what_is_offered_adds_one_line_to_the_acceptance_at_most(offered: str) -> None:
    found = parse_upgrade(head() + b"\r\nSec-WebSocket-Protocol: " + offered.encode("latin-1"))
    if found is not None:
        assert len(acceptance(found).split(b"\n")) <= 7
