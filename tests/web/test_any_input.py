"""Random signed requests and random bytes: each gets a plain answer without a traceback, and the server continues."""

import http.client
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soketpy.testing import RunningServer, running_server
from tests.patience import PATIENCE
from tests.web.wire import request, signed

Pairs = list[tuple[str, str]]

CALLS = {"events": "POST", "batch_events": "POST", "channels": "GET", "channels/room": "GET"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    [
        "room",
        "private-a",
        "presence-a",
        "private-encrypted-a",
        "cache-a",
        "#server-to-user-a",
        "",
        "a b",
        "ü",
        "c" * 201,
    ]
)
events = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["e", "", "n" * 201, "client-e", "pusher:e"]) | values,
        "data": values | st.just("d" * 102_401),
        "channel": names | values,
        "channels": st.lists(names, max_size=4) | values,
        "socket_id": st.sampled_from(["1.1", "1", "1.1.1"]) | values,
        "info": st.sampled_from(["user_count", "subscription_count,user_count", "x"]) | values,
        "more": values,
    },
)
valid_events = st.fixed_dictionaries({"name": st.just("e"), "data": values, "channel": st.just("room")})
bodies = (
    events | st.builds(dict, batch=st.lists(events | valid_events, max_size=12) | values) | valid_events | values
).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
parameters = st.lists(
    st.tuples(
        st.sampled_from(["name", "data", "channel", "channels", "channels[]", "socket_id", "info", "INFO"])
        | st.sampled_from(["filter_by_prefix", "with_user_info", "body_md5x", "auth_keyx"])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.sampled_from(["room", "presence-", "user_count", "cache", "1", "e", "1.1"])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    max_size=8,
)


class Errors(logging.Handler):
    """Collects what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self.format(record))


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def errors() -> Iterator[Errors]:
    """Return the log lines since the module began that are warnings or worse."""
    handler = Errors()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def publisher(server: RunningServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    yield connection
    connection.close()


def call(publisher: http.client.HTTPConnection, method: str, target: str, body: bytes, kind: str) -> tuple[int, Any]:
    publisher.request(method, target, body or None, {"Content-Type": kind})
    response = publisher.getresponse()
    return response.status, json.loads(response.read())


def check(status: int, value: Any, errors: Errors) -> None:
    assert status in (200, 400, 413), (status, value)
    if status != 200:
        assert set(value) == {"error", "code"}
        assert value["code"] == status
        assert value["error"]
    assert not errors.records


@given(
    path=st.sampled_from(["events", "batch_events"]),
    body=bodies | st.binary(max_size=200),
    query=parameters,
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "", "text/plain; charset=\xff"]),
)
@settings(max_examples=300, deadline=None)
def test_any_signed_body_is_served_or_refused_with_a_reason(
    server: RunningServer,
    publisher: http.client.HTTPConnection,
    errors: Errors,
    path: str,
    body: bytes,
    query: Pairs,
    kind: str,
) -> None:
    target = signed("POST", f"/apps/{server.app_id}/{path}", body, query)
    check(*call(publisher, "POST", target, body, kind), errors)


@given(
    path=st.sampled_from(["channels", "channels/room", "channels/presence-a", "channels/cache-a"])
    | st.builds(
        lambda name, rest: f"channels/{quote(name, safe='')}{rest}",
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.sampled_from(["", "/users"]),
    ),
    query=parameters,
)
@settings(max_examples=200, deadline=None)
def test_any_signed_query_is_served_or_refused_with_a_reason(
    server: RunningServer, publisher: http.client.HTTPConnection, errors: Errors, path: str, query: Pairs
) -> None:
    check(*call(publisher, "GET", signed("GET", f"/apps/{server.app_id}/{path}", b"", query), b"", ""), errors)


@given(user=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), body=bodies)
@settings(max_examples=50, deadline=None)
def test_any_user_can_be_terminated(
    server: RunningServer, publisher: http.client.HTTPConnection, errors: Errors, user: str, body: bytes
) -> None:
    path = f"/apps/{server.app_id}/users/{quote(user, safe='')}/terminate_connections"
    assert call(publisher, "POST", signed("POST", path, body), body, "") == (200, {})
    assert not errors.records


pieces = st.sampled_from(
    [
        b"GET ",
        b"POST ",
        b"OPTIONS ",
        b"/app/app-key?protocol=7",
        b"/apps/app-id/events",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"Host: a\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\r\n",
        b"Connection: keep-alive, Upgrade\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Content-Length: 10\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"a\r\n0123456789\r\n0\r\n\r\n",
        b"\x81\x80\0\0\0\0",
        b"\x88\x80\0\0\0\0",
        request("GET", "/ready"),
        request("GET", "/app/app-key", b"", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
    ]
)


@given(sent=st.lists(pieces | st.binary(max_size=30), max_size=14).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_any_bytes_on_the_port_end_in_an_answer_or_in_silence(
    server: RunningServer, errors: Errors, sent: bytes
) -> None:
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as stranger:
        heard = b""
        with suppress(ConnectionError):
            stranger.sendall(sent)
        with suppress(OSError):  # it is shut already where the server has reset it
            stranger.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while data := stranger.recv(65_536):
                heard += data
    assert heard == b"" or heard.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), heard
    assert b" 500 " not in heard
    assert not errors.records
