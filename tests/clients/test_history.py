"""History, rewind and resume with pusher-js as npm has it: no client of these tests knows soketpy."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest

from tests.clients.conftest import options_of
from tests.clients.javascript import Client, Runtime
from tests.clients.programs import APP, Balancer, SoketpyServer
from tests.clients.publishers import PyPI
from tests.patience import attempts, wait_until
from tests.redis import LONG_LEASE, SLOW_REDIS, Redis
from tests.slices.sitecustomize import environment

STORED: dict[str, Any] = {
    **APP,
    "subscription_count_events": False,
    "history": [
        {"channels": "short-*", "events": 3},
        {"channels": "rewound-*", "rewind": 3},
        {"channels": "*-log"},
    ],
}
LENIENT = environment(SLOW_REDIS)
RECOVERED = "soketpy:recovered"
SUBSCRIBED = "pusher:subscription_succeeded"

OpenTab = Callable[..., Client]


@pytest.fixture(scope="module")
def storing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoketpyServer]:
    """The server of all tests that leave it running; the auth server signs for it too."""
    with SoketpyServer(tmp_path_factory.mktemp("history"), app=STORED) as server:
        yield server


@pytest.fixture
def publisher(storing: SoketpyServer) -> Iterator[PyPI]:
    """PyPI's library, at the server of all tests."""
    publisher = PyPI(storing.port)
    yield publisher
    publisher.end()


@pytest.fixture
def balancer(storing: SoketpyServer) -> Iterator[Balancer]:
    """The connection of a test's clients to the server, which the test can cut."""
    with Balancer(storing.port) as balancer:
        yield balancer


@pytest.fixture
def open_tab(runtime: Runtime, auth_server: str) -> Iterator[OpenTab]:
    """Opens a client with a tab id, connected, that ends with the test."""
    with ExitStack() as stack:

        def open(port: int, build: str = "pusher", auth: str | None = None, **options: Any) -> Client:
            wanted = {**options_of("ada", port, auth_server), "wsPath": f"/c/{uuid4()}", **options}
            if auth is not None:
                wanted["channelAuthorization"] = {"endpoint": auth}
            client = runtime.open(key=STORED["key"], options=wanted, origin=auth_server, build=build)
            stack.callback(client.close)
            client.connected()
            return client

        yield open


def only(runtime: str) -> pytest.MarkDecorator:
    """Return the mark of a test that needs one runtime."""
    return pytest.mark.parametrize("runtime", [runtime], indirect=True)


@contextmanager
def offline(balancer: Balancer, client: Client) -> Iterator[None]:
    """Cut the connection of a client for the time of the block."""
    balancer.delay()
    client.hear_until(lambda report: report.channel is None and report.event in ("connecting", "unavailable"))
    yield
    balancer.mend()


def publish(publisher: PyPI, channel: str, *numbers: int) -> None:
    for number in numbers:
        publisher.trigger(channel, "numbered", number)


def heard(client: Client, channel: str) -> list[Any]:
    """Return what was heard on a channel: numbers, and the other events by their names."""
    return [
        report.data if report.event == "numbered" else report.event
        for report in client.heard
        if report.channel == channel
    ]


def hear_number(client: Client, channel: str, number: int) -> None:
    """Wait until a number has been heard. It may have come among the events of a replay, which were passed over."""
    wait_until(lambda: number in heard(client, channel))


# A connection that breaks


def test_what_was_missed_comes_once_and_in_order(
    open_tab: OpenTab, balancer: Balancer, publisher: PyPI, room: str
) -> None:
    client, channel = open_tab(balancer.port), f"{room}-log"
    start = client.subscribe(channel)["position"]
    with offline(balancer, client):
        publish(publisher, channel, 1, 2, 3)
    recovered = client.hear(RECOVERED, channel)
    publish(publisher, channel, 4)
    hear_number(client, channel, 4)
    assert heard(client, channel) == [SUBSCRIBED, SUBSCRIBED, 1, 2, 3, RECOVERED, 4]
    epoch = start.partition(":")[0]
    assert recovered == {"channel": channel, "from": start, "to": f"{epoch}:3", "complete": True}


@only("node")
def test_what_was_acknowledged_does_not_come_again(
    open_tab: OpenTab, balancer: Balancer, publisher: PyPI, room: str
) -> None:
    client, channel = open_tab(balancer.port), f"{room}-log"
    client.subscribe(channel)
    upward = balancer.upward
    publish(publisher, channel, 1, 2)
    hear_number(client, channel, 2)
    wait_until(lambda: balancer.upward > upward)  # the client has answered a ping
    with offline(balancer, client):
        publish(publisher, channel, 3)
    assert client.hear(RECOVERED, channel)["complete"] is True
    assert heard(client, channel) == [SUBSCRIBED, 1, 2, SUBSCRIBED, 3, RECOVERED]


@only("node")
def test_a_log_that_is_too_short_is_reported(open_tab: OpenTab, balancer: Balancer, publisher: PyPI, room: str) -> None:
    client, channel = open_tab(balancer.port), f"short-{room}"
    client.subscribe(channel)
    with offline(balancer, client):
        publish(publisher, channel, 1, 2, 3, 4)
    assert client.hear(RECOVERED, channel)["complete"] is False
    publish(publisher, channel, 5)
    hear_number(client, channel, 5)
    assert heard(client, channel) == [SUBSCRIBED, SUBSCRIBED, RECOVERED, 5]


@only("node")
def test_members_of_a_presence_channel_get_what_they_missed(
    open_tab: OpenTab, balancer: Balancer, publisher: PyPI, room: str
) -> None:
    client, channel = open_tab(balancer.port), f"presence-{room}-log"
    assert client.subscribe(channel)["count"] == 1
    with offline(balancer, client):
        publish(publisher, channel, 1, 2)
    assert client.hear(RECOVERED, channel)["complete"] is True
    assert client.call("members", channel=channel) == ["ada"]
    assert [each for each in heard(client, channel) if isinstance(each, int)] == [1, 2]


def test_encrypted_events_that_were_missed_are_decrypted(
    open_tab: OpenTab, balancer: Balancer, publisher: PyPI, room: str
) -> None:
    client, channel = open_tab(balancer.port, build="pusher-with-encryption"), f"private-encrypted-{room}-log"
    client.subscribe(channel)
    with offline(balancer, client):
        publish(publisher, channel, 1, 2)
    hear_number(client, channel, 2)
    publish(publisher, channel, 3)
    hear_number(client, channel, 3)
    assert heard(client, channel) == [SUBSCRIBED, SUBSCRIBED, 1, 2, 3]  # pusher-js tries to decrypt soketpy:recovered
    [recovered] = [report.data for report in client.heard if report.event == RECOVERED]  # bound to all channels
    assert (recovered["channel"], recovered["complete"]) == (channel, True)


@only("node")
@pytest.mark.parametrize("build", ["pusher-7", "echo"])
def test_other_clients_get_what_they_missed(
    open_tab: OpenTab, balancer: Balancer, publisher: PyPI, room: str, build: str
) -> None:
    client, channel = open_tab(balancer.port, build), f"{room}-log"
    client.subscribe(channel)
    with offline(balancer, client):
        publish(publisher, channel, 1, 2)
    dot = "." if build == "echo" else ""
    assert client.hear(dot + RECOVERED, channel)["complete"] is True
    events = [(each.event, each.data) for each in client.heard if each.event == f"{dot}numbered"]
    assert events == [(f"{dot}numbered", 1), (f"{dot}numbered", 2)]


# Events for a page that opens late


def test_a_new_subscriber_gets_the_last_events_of_a_rule_with_rewind(
    open_tab: OpenTab, storing: SoketpyServer, publisher: PyPI, room: str
) -> None:
    channel = f"rewound-{room}"
    publish(publisher, channel, 1, 2, 3, 4)
    client = open_tab(storing.port)
    client.subscribe(channel)
    hear_number(client, channel, 4)
    assert heard(client, channel) == [SUBSCRIBED, 2, 3, 4]


@pytest.fixture
def rewinding(publisher: PyPI) -> Iterator[str]:
    """The URL of an endpoint that lets everybody subscribe, and get the last two stored events."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            answer = publisher.library.authenticate(form["channel_name"], form["socket_id"], {"rewind": 2})
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{endpoint.server_port}/"
        endpoint.shutdown()
        thread.join()


def test_an_auth_endpoint_asks_for_stored_events(
    open_tab: OpenTab, storing: SoketpyServer, publisher: PyPI, rewinding: str, room: str
) -> None:
    channel = f"private-{room}-log"
    publish(publisher, channel, 1, 2, 3)
    client = open_tab(storing.port, auth=rewinding)
    client.subscribe(channel)
    hear_number(client, channel, 3)
    assert heard(client, channel) == [SUBSCRIBED, 2, 3]


def test_a_page_asks_for_stored_events(open_tab: OpenTab, storing: SoketpyServer, publisher: PyPI, room: str) -> None:
    channel = f"{room}-log"
    publish(publisher, channel, 1, 2, 3)
    client = open_tab(storing.port)
    position = client.subscribe(channel)["position"]
    client.call("send", event="soketpy:history", data={"channel": channel, "limit": 2})
    page = client.hear("soketpy:history", channel)
    assert [(each["name"], each["data"]) for each in page["events"]] == [("numbered", "2"), ("numbered", "3")]
    assert (page["last"], page["complete"]) == (position, True)
    client.call("send", event="soketpy:history", data={"channel": channel, "before": page["events"][0]["id"]})
    assert [each["data"] for each in client.hear("soketpy:history", channel)["events"]] == ["1"]


# Nodes that end


@contextmanager
def nodes(folder: Path, count: int = 2) -> Iterator[list[SoketpyServer]]:
    """Start nodes over a Redis of their own."""
    with Redis(folder) as redis, ExitStack() as stack:
        started = []
        for number in range(count):
            (place := folder / str(number)).mkdir()
            started.append(stack.enter_context(SoketpyServer(place, app=STORED, env=LENIENT, **over(redis))))
        yield started


def over(redis: Redis) -> dict[str, Any]:
    """Return the settings of a node over a Redis."""
    return {"cluster": "redis", "redis": {"unix_socket": redis.socket, "lease": LONG_LEASE}}


class Stream:
    """Publishes numbers on a channel, one after the other, until it is stopped. A refused number is published again."""

    def __init__(self, port: int, channel: str) -> None:
        self.last = 0
        self._channel = channel
        self._over = threading.Event()
        self._publisher = PyPI(port)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Stop, and return the last number."""
        self._over.set()
        self._thread.join()
        self._publisher.end()
        return self.last

    def _run(self) -> None:
        for _ in attempts():
            if self._over.is_set():
                break
            self._publisher.trigger(self._channel, "numbered", self.last + 1)
            self.last += 1
            self._over.wait(0.005)


def assert_at_least_once(events: list[Any], last: int) -> None:
    """Every number arrives in order. Only between a subscription and its end of replay, some arrive again."""
    seen, replaying = 0, False
    for event in events:
        if not isinstance(event, int):
            replaying = event == SUBSCRIBED and seen > 0
        elif replaying and event <= seen:
            pass
        else:
            assert event == seen + 1, events
            seen = event
    assert seen == last, events


def test_a_planned_restart_loses_and_repeats_nothing(open_tab: OpenTab, tmp_path: Path, room: str) -> None:
    channel = f"{room}-log"
    with nodes(tmp_path) as (old, new), Balancer(old.port) as balancer:
        client = open_tab(balancer.port)
        client.subscribe(channel)
        with Stream(new.port, channel) as stream:
            hear_number(client, channel, 20)
            balancer.behind = new.port
            old.end()
            assert client.hear(RECOVERED, channel)["complete"] is True
            last = stream.stop()
        hear_number(client, channel, last)
    assert [each for each in heard(client, channel) if isinstance(each, int)] == list(range(1, last + 1))


@only("node")
def test_a_killed_node_loses_nothing(open_tab: OpenTab, tmp_path: Path, room: str) -> None:
    channel = f"{room}-log"
    with nodes(tmp_path) as (old, new), Balancer(old.port) as balancer:
        client = open_tab(balancer.port)
        client.subscribe(channel)
        with Stream(new.port, channel) as stream:
            hear_number(client, channel, 20)
            balancer.behind = new.port
            old.end(kill=True)
            assert client.hear(RECOVERED, channel)["complete"] is True
            last = stream.stop()
        hear_number(client, channel, last)
    assert_at_least_once(heard(client, channel), last)


@only("node")
def test_a_restart_of_workers_loses_and_repeats_nothing(open_tab: OpenTab, tmp_path: Path, room: str) -> None:
    channel = f"{room}-log"
    with Redis(tmp_path) as redis, SoketpyServer(tmp_path, app=STORED, env=LENIENT, workers=2, **over(redis)) as server:
        client = open_tab(server.port)
        client.subscribe(channel)
        with Stream(server.port, channel) as stream:
            hear_number(client, channel, 20)
            os.kill(server.pid, signal.SIGUSR2)
            server.read_to("Replaced all workers")
            assert client.hear(RECOVERED, channel)["complete"] is True
            last = stream.stop()
        hear_number(client, channel, last)
    assert [each for each in heard(client, channel) if isinstance(each, int)] == list(range(1, last + 1))
