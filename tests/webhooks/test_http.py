"""The HTTP target against receivers that fail in every way."""

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.apps import Key
from soketpy.core.retries import LONGEST_RETRY_AFTER
from soketpy.core.webhook_ports import Outcome
from soketpy.core.webhooks import Webhook
from soketpy.protocol import signatures
from soketpy.webhooks.http import HttpTarget, HttpTimeouts
from tests import raw_receiver
from tests.fakes import APP
from tests.patience import PATIENCE, until
from tests.raw_receiver import OK, Peer, Script, accept, answers, raw_receiving, status
from tests.webhooks.conftest import delivery_for

PATIENT = HttpTimeouts(PATIENCE, PATIENCE, PATIENCE)
SOON = 0.05

Targets = Callable[..., HttpTarget]


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    """Make targets, and close them at the end of the test."""
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> HttpTarget:
            target = HttpTarget(**{"timeouts": PATIENT, **options})
            stack.push_async_callback(target.close)
            return target

        yield make


def hook(url: str, *headers: tuple[str, str]) -> Webhook:
    return Webhook(url=url, event_types=("channel_occupied",), headers=dict(headers))


async def send(target: HttpTarget, url: str, *headers: tuple[str, str]) -> Outcome:
    webhook = hook(url, *headers)
    return await target.send(delivery_for(webhook), APP, webhook)


NOT_HTTP = "the answer is not HTTP, or its headers are too long"
CLOSED = "the connection was closed before an answer"
RESET = "the connection was lost: Connection reset by peer"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (accept, Outcome()),
        (status(201), Outcome()),
        (answers(b"HTTP/1.1 204 No Content\r\n\r\n"), Outcome()),
        (answers(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK), Outcome()),
        (raw_receiver.byte_by_byte, Outcome()),
        (raw_receiver.ENDLESS_BODY, Outcome()),
        (raw_receiver.ENDLESS_CHUNKS, Outcome()),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"), Outcome()),
        (status(301, "Location: http://127.0.0.1:1/"), Outcome("HTTP 301")),
        (status(307), Outcome("HTTP 307")),
        (status(400), Outcome("HTTP 400")),
        (status(404), Outcome("HTTP 404")),
        (status(410), Outcome("HTTP 410", gone=True)),
        (status(429, "Retry-After: 7"), Outcome("HTTP 429", 7)),
        (status(503, "Retry-After: 99999999999999999999"), Outcome("HTTP 503", LONGEST_RETRY_AFTER)),
        (status(503, "Retry-After: -1"), Outcome("HTTP 503")),
        (status(500, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"), Outcome("HTTP 500", 0)),
        (status(500, "Retry-After: Sun, 06 Nov 2500 08:49:37 GMT"), Outcome("HTTP 500", LONGEST_RETRY_AFTER)),
        (status(500, "Retry-After: soon"), Outcome("HTTP 500")),
        (status(999), Outcome("HTTP 999")),
        (answers(b"\x16\x03\x01nonsense\r\n\r\n"), Outcome(NOT_HTTP)),
        (answers(b"SSH-2.0-OpenSSH_9.6\r\n"), Outcome(NOT_HTTP)),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Outcome(NOT_HTTP)),
        (raw_receiver.ENDLESS_HEADERS, Outcome(NOT_HTTP)),
        (raw_receiver.ENDLESS_HEADER, Outcome(NOT_HTTP)),
        (raw_receiver.close, Outcome(CLOSED)),
        (raw_receiver.reset, Outcome(RESET)),
    ],
)
async def test_only_an_answer_of_2xx_accepts_a_delivery(targets: Targets, script: Script, expected: Outcome) -> None:
    async with raw_receiving(script) as receiver:
        assert await send(targets(), receiver.url()) == expected
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("script", "timeouts", "expected"),
    [
        (raw_receiver.hang, HttpTimeouts(PATIENCE, SOON, PATIENCE), Outcome("no answer within 0.05 s")),
        (raw_receiver.hang_in_headers, HttpTimeouts(PATIENCE, SOON, PATIENCE), Outcome("no answer within 0.05 s")),
        (raw_receiver.ENDLESS_PROGRESS, HttpTimeouts(PATIENCE, SOON, PATIENCE), Outcome("no answer within 0.05 s")),
        (raw_receiver.hang_in_body, HttpTimeouts(PATIENCE, PATIENCE, SOON), Outcome()),
    ],
)
async def test_each_phase_has_its_timeout(
    targets: Targets, script: Script, timeouts: HttpTimeouts, expected: Outcome
) -> None:
    async with raw_receiving(script) as receiver:
        assert await send(targets(timeouts=timeouts), receiver.url()) == expected
        await until(lambda: receiver.open == 0)


async def test_a_receiver_that_does_not_accept_connections_has_a_timeout(targets: Targets) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.socket() as first, socket.socket() as second:
            for each in (first, second):  # they fill the backlog
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}/"
            target = targets(timeouts=HttpTimeouts(SOON, PATIENCE, PATIENCE))
            assert await send(target, url) == Outcome("no connection within 0.05 s")


async def test_a_tls_handshake_that_hangs_has_the_timeout_of_the_connection(targets: Targets) -> None:
    async with raw_receiving(raw_receiver.hang) as receiver:
        target = targets(timeouts=HttpTimeouts(SOON, PATIENCE, PATIENCE))
        assert await send(target, receiver.url().replace("http:", "https:")) == Outcome("no connection within 0.05 s")


async def test_a_connection_is_used_again(targets: Targets) -> None:
    target = targets()
    async with raw_receiving(accept) as receiver:
        for _ in range(3):
            assert await send(target, receiver.url()) == Outcome()
        assert (receiver.connections, len(receiver.requests)) == (1, 3)


@pytest.mark.parametrize("end", [raw_receiver.close, raw_receiver.reset])
async def test_an_idle_connection_that_the_receiver_has_closed_is_no_failure(targets: Targets, end: Script) -> None:
    target = targets()
    async with raw_receiving(accept) as receiver:
        assert await send(target, receiver.url()) == Outcome()

        async def once(peer: Peer, request: bytes) -> None:
            await (end if peer.number == 1 else accept)(peer, request)

        receiver.script = once
        assert await send(target, receiver.url()) == Outcome()
        assert (receiver.connections, len(receiver.requests)) == (2, 3)
        assert len(set(receiver.requests)) == 1


async def test_a_new_connection_that_is_closed_is_a_failure(targets: Targets) -> None:
    target = targets()
    async with raw_receiving(accept) as receiver:
        assert await send(target, receiver.url()) == Outcome()
        receiver.script = raw_receiver.close
        assert await send(target, receiver.url()) == Outcome(CLOSED)
        assert (receiver.connections, len(receiver.requests)) == (2, 3)


async def test_cookies_are_not_kept_and_proxies_of_the_environment_are_not_used(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    target = targets()
    async with raw_receiving(status(200, "Set-Cookie: session=1; Path=/")) as receiver:
        for _ in range(2):
            assert await send(target, receiver.url()) == Outcome()
        assert b"cookie" not in b"".join(receiver.requests).lower()


async def test_a_redirect_is_not_followed(targets: Targets) -> None:
    async with raw_receiving(accept) as other:
        for code in (301, 302, 303, 307, 308):
            async with raw_receiving(status(code, f"Location: {other.url()}")) as receiver:
                assert await send(targets(), receiver.url()) == Outcome(f"HTTP {code}")
        assert other.connections == 0


async def test_a_request_has_the_headers_of_the_webhook_and_each_header_once(targets: Targets) -> None:
    async with raw_receiving(accept) as receiver:
        assert await send(targets(), receiver.url(), ("X-Own", "1"), ("user-agent", "mine")) == Outcome()
        head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
        assert {name.lower(): value for name, value in fields} == {
            "host": f"127.0.0.1:{receiver.port}",
            "accept": "*/*",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "user-agent": "mine",
            "x-own": "1",
            "x-pusher-key": "app-key",
            "x-pusher-signature": signatures.sign("app-secret", body.decode()),
            "x-soketpy-delivery": "news",
        }
        assert len(fields) == 9


async def test_the_first_key_signs_during_a_rotation(targets: Targets) -> None:
    app = replace(APP, keys=(Key("new-key", "new-secret"), *APP.keys))
    async with raw_receiving(accept) as receiver:
        webhook = hook(receiver.url())
        await targets().send(delivery_for(webhook, app), app, webhook)
        assert b"X-Pusher-Key: new-key\r\n" in receiver.requests[0]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0", "[::]"],
)
async def test_private_addresses_can_be_blocked_in_every_spelling(targets: Targets, host: str) -> None:
    async with raw_receiving(accept) as receiver:
        outcome = await send(targets(private_addresses=False), receiver.url(host=host))
        assert outcome.error
        assert receiver.connections == 0


async def test_the_error_for_a_private_address_names_the_setting(targets: Targets) -> None:
    outcome = await send(targets(private_addresses=False), "http://localhost:1/")
    expected = "the address is private or special, and blocked: see webhooks.private_addresses"
    assert outcome == Outcome(expected, blocked=True)


async def test_a_name_that_resolves_to_another_address_later_cannot_bypass_the_check(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def rebinding(host: str, port: int, *_: object) -> list[Any]:
        looked_up.append(host)
        address = "192.0.2.1" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    async with raw_receiving(accept) as receiver:
        target = targets(private_addresses=False)
        for _ in range(3):
            assert (await send(target, receiver.url(host="rebinding.test"))).error
            target._session.connector._cached_hosts.clear()  # type: ignore[union-attr]
        assert looked_up == ["rebinding.test"] * 3
        assert receiver.connections == 0


SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/path?token=s3cret",
        "http://no-such-name.invalid/?token=s3cret",
        "http://%5B/?token=s3cret",
        "http://256.256.256.256/?token=s3cret",
        "http://127.0.0.1:PORT/s3cret?token=s3cret#s3cret",
        "https://127.0.0.1:1/?token=s3cret",
    ],
)
async def test_no_error_has_the_path_or_the_query_of_the_url(
    targets: Targets, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for script in (answers(b"nonsense s3cret\r\n\r\n"), status(500), raw_receiver.close, raw_receiver.reset):
        async with raw_receiving(script) as receiver:
            outcome = await send(targets(), url.replace("PORT", str(receiver.port)), ("Authorization", SECRET))
        assert outcome.error
        assert SECRET not in outcome.error + caplog.text
        assert len(outcome.error) <= 200


async def test_the_name_of_a_host_is_resolved_for_each_new_connection(targets: Targets) -> None:
    async with raw_receiving(accept) as receiver:
        assert await send(targets(), receiver.url(host="localhost")) == Outcome()
