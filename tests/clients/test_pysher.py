"""pysher, the Python client, against ``soketpy start``. It signs for itself: it has the app's secret."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Queue
from typing import Any

import pysher
import pytest

from tests.clients.programs import APP, PATIENCE, Balancer, SoketpyServer
from tests.clients.publishers import PyPI
from tests.patience import attempts

Heard = tuple[str | None, str, Any]


class Client:
    """One pysher client, and all that it hears."""

    def __init__(self, port: int, user: str, path: str = "", **options: Any) -> None:
        account = {"key": APP["key"], "secret": APP["secret"], "user_data": {"user_id": user}, **options}
        self.pysher = pysher.Pusher(
            **account, secure=False, custom_host="127.0.0.1", port=port, auto_sub=True, reconnect_interval=0.1
        )
        self._heard: Queue[Heard] = Queue()
        connection = self.pysher.connection
        connection.url = connection.url.replace("/app/", f"{path}/app/")  # pysher has no option for the path
        for event in ("pusher:connection_established", "pusher:error"):
            connection.bind(event, lambda data, event=event: self._heard.put((None, event, data)))
        # A channel of pysher can be bound to only after its answer may have come, so listen below the channels too.
        self._dispatch = connection.event_handler
        connection.event_handler = self._take
        self.pysher.connect()

    def _take(self, event: str, data: Any, channel: str) -> None:
        self._heard.put((channel, event, data))
        self._dispatch(event, data, channel)

    def hear(self, event: str, channel: str | None = None) -> Any:
        """The data of the next such event; what was heard in between is passed over."""
        for _ in attempts():
            heard = self._heard.get(timeout=PATIENCE)
            if heard[:2] == (channel, event):
                break
        return heard[2]

    def connected(self) -> None:
        """Wait until the client is connected."""
        self.hear("pusher:connection_established")

    def subscribe(self, channel: str) -> Any:
        """Subscribe; return the data of the answer."""
        self.pysher.subscribe(channel)
        return json.loads(self.hear("pusher_internal:subscription_succeeded", channel))

    def close(self) -> None:
        """End the client, and wait until its thread has.

        pysher's own ``disconnect`` may wait in vain for 100 s: it reads the answer to its close frame from under the
        thread that reads the socket, which then never learns of the end.
        """
        connection = self.pysher.connection
        connection.disconnect_called = True
        websocket = connection.socket.sock
        if websocket is not None and websocket.sock is not None:
            with suppress(OSError):
                websocket.sock.shutdown(socket.SHUT_RDWR)
        connection.join(PATIENCE)


OpenClient = Callable[..., Client]


@pytest.fixture
def open_client(server: SoketpyServer) -> Iterator[OpenClient]:
    """Opens clients that are connected, and end with the test."""
    with ExitStack() as stack:

        def open(user: str = "ada", *, port: int = server.port, connected: bool = True, **options: Any) -> Client:
            client = Client(port, user, **options)
            stack.callback(client.close)
            if connected:
                client.connected()
            return client

        yield open


def test_a_public_event_arrives(open_client: OpenClient, pypi: PyPI, room: str) -> None:
    client = open_client()
    client.subscribe(room)
    bound: Queue[str] = Queue()
    client.pysher.channel(room).bind("headline", bound.put)
    pypi.trigger(room, "headline", {"text": "Grüße"})
    assert json.loads(bound.get(timeout=PATIENCE)) == {"text": "Grüße"}


def test_a_private_channel_is_joined_and_client_events_go_to_the_others(open_client: OpenClient, room: str) -> None:
    ada, bob = open_client("ada"), open_client("bob")
    for client in (ada, bob):
        client.subscribe(f"private-{room}")
    ada.pysher.channel(f"private-{room}").trigger("client-ask", {"text": "Tea?"})
    assert bob.hear("client-ask", f"private-{room}") == {"text": "Tea?"}
    bob.pysher.channel(f"private-{room}").trigger("client-answer", "Yes")
    assert ada.hear("client-answer", f"private-{room}") == "Yes"


def test_a_presence_channel_is_joined_and_left(open_client: OpenClient, room: str) -> None:
    ada, bob = open_client("ada"), open_client("bob")
    assert ada.subscribe(f"presence-{room}")["presence"]["ids"] == ["ada"]
    assert bob.subscribe(f"presence-{room}")["presence"]["ids"] == ["ada", "bob"]
    assert json.loads(ada.hear("pusher_internal:member_added", f"presence-{room}"))["user_id"] == "bob"
    bob.pysher.unsubscribe(f"presence-{room}")
    assert json.loads(ada.hear("pusher_internal:member_removed", f"presence-{room}"))["user_id"] == "bob"


def test_a_client_with_another_path_gets_what_it_has_missed(tmp_path: Path) -> None:
    app = {**APP, "history": [{"channels": "news"}], "subscription_count_events": False}
    with SoketpyServer(tmp_path, app=app) as server, Balancer(server.port) as balancer, ExitStack() as stack:
        client = Client(balancer.port, "ada", path="/c/a-tab")
        stack.callback(client.close)
        client.connected()
        client.subscribe("news")
        publisher = PyPI(server.port)
        stack.callback(publisher.end)
        balancer.delay()
        publisher.trigger("news", "missed", 1)
        balancer.mend()
        assert client.hear("missed", "news") == "1"
        assert json.loads(client.hear("soketpy:recovered", "news"))["complete"] is True


def test_a_wrong_secret_is_refused(open_client: OpenClient, room: str) -> None:
    client = open_client(secret="no")
    client.pysher.subscribe(f"private-{room}")
    assert client.hear("pusher:subscription_error", f"private-{room}")["status"] == 401


def test_an_app_that_does_not_exist_is_given_up(open_client: OpenClient) -> None:
    client = open_client(key="no-such-key", connected=False)
    assert client.hear("pusher:error")["code"] == 4001
    client.pysher.connection.join(PATIENCE)
    assert not client.pysher.connection.is_alive()


def test_a_client_is_back_after_the_server_was_killed(open_client: OpenClient, tmp_path: Path) -> None:
    with SoketpyServer(tmp_path) as server:
        client = open_client(port=server.port)
        client.subscribe("news")
        server.end(kill=True)
        with SoketpyServer(tmp_path, server.port):
            _assert_back(client, server.port)


def test_a_client_is_back_after_the_server_was_restarted(open_client: OpenClient, tmp_path: Path) -> None:
    with SoketpyServer(tmp_path) as server:
        client = open_client(port=server.port)
        client.subscribe("news")
        server.end()
        assert client.hear("pusher:error")["code"] == 4200
        with SoketpyServer(tmp_path, server.port):
            _assert_back(client, server.port)


def _assert_back(client: Client, port: int) -> None:
    """The client has connected and subscribed again, and hears events."""
    client.connected()
    client.hear("pusher_internal:subscription_succeeded", "news")
    publisher = PyPI(port)
    publisher.trigger("news", "again", 1)
    publisher.end()
    assert client.hear("again", "news") == "1"
