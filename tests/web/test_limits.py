"""Rate limits with their headers, and bodies that are refused before they are read."""

import asyncio
import hashlib
from typing import Any

import pytest

from soketpy import App, Key
from soketpy.config.settings import Bounds
from soketpy.web import http
from tests.conftest import Peers, StartServer
from tests.drivers.limited import stop_clocks
from tests.fakes import APP
from tests.patience import until
from tests.web.wire import Wire, request, signed, wire

pytestmark = pytest.mark.usefixtures("nodes")

MIB = 1024 * 1024
EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'


def limited(**limits: Any) -> App:
    return App(id="app-id", keys=APP.keys, **limits)


# Rates


@pytest.fixture(autouse=True)
def nothing_flows_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clocks(monkeypatch)


async def test_reads_beyond_the_rate_are_refused_with_soketis_headers(start_server: StartServer) -> None:
    peers = await start_server(apps=(limited(max_read_requests_per_second=2),))
    paths = ("/channels", "/channels/room", "/channels/presence-a/users")
    replies = [await peers.call("GET", path) for path in paths * 4]
    assert replies[0].headers["X-RateLimit-Limit"] == "2"
    assert replies[0].headers["X-RateLimit-Remaining"] == "1"
    assert "Retry-After" not in replies[0].headers
    assert [reply.status for reply in replies] == [200] * 2 + [429] * 10
    refused = replies[2]
    assert (refused.status, refused.json["code"]) == (429, 429)
    assert refused.json["error"] == "Too many requests: the app may have 2 reads a second."
    assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == ("2", "0")
    assert refused.headers["Retry-After"] == "1"


async def test_an_event_costs_a_point_for_each_of_its_channels(start_server: StartServer) -> None:
    peers = await start_server(apps=(limited(max_backend_events_per_second=1000),))
    channels = [f"room-{number}" for number in range(100)]
    reply = await peers.call("POST", "/events", {"name": "e", "channels": [*channels[:99], "room-1"], "data": "x"})
    assert reply.headers["X-RateLimit-Remaining"] == "901"


async def test_an_event_beyond_the_rate_reaches_nobody(start_server: StartServer) -> None:
    peers = await start_server(apps=(limited(max_backend_events_per_second=2),))
    client = await peers.client()
    await client.subscribe("one")
    refused = await peers.call("POST", "/events", {"name": "refused", "channels": ["one", "two", "three"], "data": ""})
    assert refused.status == 400
    assert (await peers.trigger("one", "last")).status == 200
    assert (await client.hear())["event"] == "last"
    channels = ["one", "two"]
    refused = await peers.call("POST", "/events", {"name": "refused", "channels": channels, "data": ""})
    assert (refused.status, refused.headers["X-RateLimit-Remaining"]) == (429, "1")
    batch = [{"name": "refused", "channel": "one", "data": ""}] * 2
    assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 429
    assert (await peers.call("POST", "/users/nobody/terminate_connections", {})).status == 200
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"


async def test_a_call_that_costs_more_than_the_whole_rate_is_not_asked_to_come_again(
    start_server: StartServer,
) -> None:
    peers = await start_server(apps=(limited(max_backend_events_per_second=2),))
    event = {"name": "e", "channels": ["one", "two", "three"], "data": ""}
    batch = {"batch": [{"name": "e", "channel": "one", "data": ""}] * 3}
    for path, value in (("/events", event), ("/batch_events", batch)):
        refused = await peers.call("POST", path, value)
        assert refused.status == 400
        assert "costs 3 backend events" in refused.json["error"]
        assert "only 2 a second" in refused.json["error"]
        assert "Retry-After" not in refused.headers
    assert (await peers.call("POST", "/events", {**event, "channels": ["one", "two"]})).status == 200


async def test_events_and_reads_and_apps_have_rates_of_their_own(start_server: StartServer) -> None:
    first = limited(max_backend_events_per_second=1, max_read_requests_per_second=1)
    second = App(id="second", keys=(Key("second-key", "s"),), max_read_requests_per_second=1)
    peers = await start_server(apps=(first, second))
    assert (await peers.trigger("room", "e")).status == 200
    assert (await peers.call("GET", "/channels")).status == 200
    assert (await peers.call("GET", "/channels", app=second)).status == 200


async def test_a_call_that_is_bad_or_unsigned_costs_nothing(start_server: StartServer) -> None:
    peers = await start_server(apps=(limited(max_backend_events_per_second=1),))
    assert (await peers.request("POST", EVENTS, data=BODY)).status == 401
    assert (await peers.call("POST", "/events", {"name": "e"})).status == 400
    assert (await peers.trigger("room", "e")).status == 200


async def test_connections_beyond_the_rate_are_closed_with_4100(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "soketpy.refusals")
    peers = await start_server(apps=(limited(max_connects_per_second=2),))
    for _ in range(2):
        await peers.client()
    late = await peers.socket()
    error = await late.hear()
    reason = "The app may have 2 new connections a second; reconnect in a while."
    assert error == {"event": "pusher:error", "data": {"code": 4100, "message": reason}}
    assert await late.closed() == (4100, reason)
    assert f"App app-id: refused a connection from 127.0.0.1: 4100 {reason}" in caplog.messages


async def test_a_new_rate_holds_from_the_reload_on(start_server: StartServer) -> None:
    peers = await start_server(apps=(limited(),))
    assert [(await peers.call("GET", "/channels")).status for _ in range(5)] == [200] * 5
    peers.reload(limited(max_read_requests_per_second=2))
    assert [(await peers.call("GET", "/channels")).status for _ in range(3)] == [200, 200, 429]
    peers.reload(limited(max_read_requests_per_second=5))
    assert (await peers.call("GET", "/channels")).status == 429, "a reload fills no bucket"
    peers.reload(limited())
    assert (await peers.call("GET", "/channels")).status == 200


async def test_without_a_rate_there_are_no_headers_of_it(peers: Peers) -> None:
    for reply in (await peers.call("GET", "/channels"), await peers.trigger("room", "e")):
        assert not [name for name in reply.headers if name.lower().startswith("x-ratelimit")]


# Bodies


async def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(request_size_in_mb=1))
    fits = BODY + b" " * (MIB - len(BODY))
    async with wire(peers.port) as publisher:
        publisher.send(request("POST", signed("POST", EVENTS, fits), fits))
        assert (await publisher.answer()).status == 200
        publisher.send(request("POST", signed("POST", EVENTS, fits + b" "), b"", f"Content-Length: {MIB + 1}"))
        answer = await publisher.answer()
    assert (answer.status, answer.json["code"]) == (413, 413)
    assert answer.json["error"] == f"The body is larger than the allowed {MIB} bytes."


@pytest.mark.parametrize("target", [EVENTS, EVENTS + "?auth_key=app-key", "/nothing", "/apps/nobody/events", "/"])
async def test_a_strangers_huge_body_is_refused_before_any_of_it_is_sent(peers: Peers, target: str) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(request("POST", target, b"", f"Content-Length: {100 * MIB}"))
        assert (await stranger.answer()).status in (401, 404, 200)


async def send_chunks(publisher: Wire, chunk: bytes, number: int) -> None:
    """Send the same chunk so many times, or until the server closes."""
    framed = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    for _ in range(number):
        publisher.send(framed)
        try:
            await publisher.writer.drain()
        except ConnectionError:
            return


async def test_a_chunked_body_over_the_limit_is_refused_with_the_limit(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(request_size_in_mb=1))
    async with wire(peers.port) as publisher:
        target = signed("POST", EVENTS, instead={"body_md5": "0" * 32})
        publisher.send(request("POST", target, b"", "Transfer-Encoding: chunked"))
        sending = asyncio.create_task(send_chunks(publisher, b"x" * 65_536, 1000))
        answer = await publisher.answer()
        sending.cancel()
        await asyncio.wait([sending])
    assert (answer.status, answer.json["error"]) == (413, f"The body is larger than the allowed {MIB} bytes.")


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_chunked_body_within_the_limit_is_served(peers: Peers, size: int) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("POST", signed("POST", EVENTS, BODY), b"", "Transfer-Encoding: chunked"))
        for start in range(0, len(BODY), size):
            await send_chunks(publisher, BODY[start : start + size], 1)
        publisher.send(b"0\r\n\r\n")
        assert (await publisher.answer()).json == {}


async def test_a_body_in_pieces_is_put_together(peers: Peers) -> None:
    whole = request("POST", signed("POST", EVENTS, BODY), BODY)
    async with wire(peers.port) as publisher:
        for byte in range(len(whole)):
            publisher.send(whole[byte : byte + 1])
            await publisher.writer.drain()
        assert (await publisher.answer()).json == {}


async def test_a_body_that_is_longer_than_it_says_is_cut_and_the_rest_is_no_request(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        head = request("POST", signed("POST", EVENTS, BODY), b"", f"Content-Length: {len(BODY)}")
        publisher.send(head + BODY)
        assert (await publisher.answer()).status == 200
        publisher.send(b"}more\r\n\r\n")
        assert (await publisher.answer()).status == 400
        assert await publisher.rest() == b""


async def test_a_body_that_never_comes_whole_is_given_up(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("POST", signed("POST", EVENTS, BODY), b"", f"Content-Length: {len(BODY)}") + BODY[:-1])
        await until(lambda: peers.server._rest.under_way)
        monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.0)
        peers.server._state.deadlines.expire_all()
        answer = await publisher.answer()
        assert (answer.status, answer.json["code"]) == (408, 408)
        assert await publisher.rest() == b""


async def test_a_chunked_body_that_never_comes_whole_is_given_up(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("POST", signed("POST", EVENTS, BODY), b"", "Transfer-Encoding: chunked") + b"5\r\n{")
        await until(lambda: peers.server._rest.under_way)
        monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.0)
        peers.server._state.deadlines.expire_all()
        answer = await publisher.answer()
        assert (answer.status, answer.json["code"]) == (408, 408)


async def test_a_publisher_that_leaves_in_the_midst_of_a_body_leaves_no_trace(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("POST", signed("POST", EVENTS, BODY), b"", "Expect: 100-continue", "Content-Length: 40"))
        assert (await publisher.reader.readline()).startswith(b"HTTP/1.1 100 ")
        publisher.send(BODY[:10])
    await until(lambda: peers.server.node.traffic["app-id"].http_calls)
    assert "Traceback" not in caplog.text


async def test_chunks_that_are_none_are_refused(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    async with wire(peers.port) as publisher:
        head = request("POST", signed("POST", EVENTS, BODY), b"", "Transfer-Encoding: chunked")
        publisher.send(head + b"no number\r\n" + BODY + b"\r\n0\r\n\r\n")
        assert (await publisher.answer()).status == 400
    assert "Traceback" not in caplog.text


async def test_a_publisher_that_waits_for_leave_to_send_its_body_gets_it_once_its_signature_holds(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        expecting = ("Expect: 100-continue", f"Content-Length: {len(BODY)}")
        publisher.send(request("POST", signed("POST", EVENTS, BODY), b"", *expecting))
        assert await publisher.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        publisher.send(BODY)
        assert (await publisher.answer()).json == {}
        publisher.send(request("POST", EVENTS, b"", *expecting))
        assert (await publisher.answer()).status == 401


async def test_a_compressed_body_is_not_opened(peers: Peers) -> None:
    import gzip

    bomb = gzip.compress(b"0" * 10 * MIB)
    reply = await peers.request("POST", signed("POST", EVENTS, bomb), data=bomb, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.json["error"]) == (400, "The body is not valid: it is not UTF-8.")


async def test_the_checksum_of_a_chunked_body_is_checked_too(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        target = signed("POST", EVENTS, instead={"body_md5": hashlib.md5(b"other").hexdigest()})
        publisher.send(request("POST", target, b"", "Transfer-Encoding: chunked"))
        await send_chunks(publisher, BODY, 1)
        publisher.send(b"0\r\n\r\n")
        assert (await publisher.answer()).status == 401
