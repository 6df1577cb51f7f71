"""The connections of a node: greeting, limits, end and counters."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.apps import App
from soketpy.core.ports import Unavailable
from soketpy.core.steps import Future
from soketpy.protocol.errors import ConnectionRefused
from tests.conftest import Contained
from tests.fakes import APP, Client, FakeTransport, House, channel_auth, user_auth

OTHER = replace(APP, id="other")


def test_the_first_message_greets_with_the_socket_id_and_the_activity_timeout() -> None:
    client = Client(House())
    assert client.take() == [
        {"event": "pusher:connection_established", "data": {"socket_id": client.id, "activity_timeout": 120}}
    ]


def test_the_activity_timeout_is_a_setting() -> None:
    [greeting] = Client(House(activity_timeout=30)).take()
    assert greeting["data"]["activity_timeout"] == 30


def test_a_socket_id_is_two_numbers_of_which_no_two_clients_have_the_same() -> None:
    house = House()
    ids = {house.connect().id for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"\d+\.\d+", socket_id) for socket_id in ids)


def test_a_socket_id_that_is_taken_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7, 7, 7, 8])
    monkeypatch.setattr("soketpy.core.connection.secrets.randbits", lambda bits: next(drawn))
    house = House()
    assert [house.connect().id, house.connect().id] == ["0.7", "0.8"]


def test_a_socket_id_has_64_bits_that_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.core.connection.secrets.randbits", lambda bits: (1 << bits) - 1)
    assert House().connect().id == f"{2**32 - 1}.{2**32 - 1}"


def refused(house: House, app: App) -> int:
    """The code with which a client is refused on every node."""
    codes = set()
    for node in house.nodes:
        transport = FakeTransport()
        with pytest.raises(ConnectionRefused) as refused:
            house.ask(node.connect(app, transport))
        assert transport.take() == []
        codes.add(int(refused.value.code))
    [code] = codes
    return code


@pytest.mark.usefixtures("nodes")
def test_an_app_that_is_full_refuses_with_4004() -> None:
    house = House()
    app = replace(APP, max_connections=3)
    clients = [house.connect(app) for _ in range(3)]
    assert refused(house, app) == 4004
    house.connect(OTHER)
    clients[0].leave()
    assert refused(house, replace(app, max_connections=2)) == 4004
    house.connect(app)
    assert refused(house, app) == 4004
    for client in clients[1:]:
        client.leave()
    house.connect(app)


@pytest.mark.usefixtures("nodes")
def test_connections_from_before_an_app_had_a_limit_count_too() -> None:
    house = House()
    clients = [house.connect() for _ in range(4)]
    limited = replace(APP, max_connections=6)
    clients += [house.connect(limited) for _ in range(2)]
    assert refused(house, limited) == 4004
    house.connect()
    clients[0].leave()
    assert refused(house, limited) == 4004
    clients[1].leave()
    house.connect(limited)


@pytest.mark.usefixtures("nodes")
def test_a_limit_that_comes_with_a_new_configuration_counts_the_connections_of_all_nodes() -> None:
    house = House()
    clients = [house.connect() for _ in range(4)]
    limited = replace(APP, max_connections=4)
    update(house, limited)
    assert refused(house, limited) == 4004
    clients[0].leave()
    house.connect(limited)
    assert refused(house, limited) == 4004


@pytest.mark.usefixtures("nodes")
def test_a_limit_that_is_removed_and_comes_back_counts_the_connections_from_before_and_meanwhile() -> None:
    house = House()
    limited = replace(APP, max_connections=4)
    clients = [house.connect(limited) for _ in range(2)]
    update(house, APP)
    clients += [house.connect() for _ in range(4)]
    for client in clients[:3]:
        client.leave()
    update(house, limited)
    house.connect(limited)
    assert refused(house, limited) == 4004
    for client in clients[3:]:
        client.leave()
    house.connect(limited)


def update(house: House, app: App) -> None:
    """Let all nodes read a changed app."""
    for node in house.nodes:
        node.update({app.id: app}.get)
    house.loop.settle()


def test_a_server_that_is_full_refuses_with_4100() -> None:
    house = House(max_connections=2)
    first = house.connect()
    house.connect(OTHER)
    with pytest.raises(ConnectionRefused) as refused:
        house.connect()
    assert refused.value.code == 4100
    first.leave()
    house.connect()


def test_a_connection_that_was_refused_is_not_counted() -> None:
    house = House(max_connections=0)
    with pytest.raises(ConnectionRefused):
        house.connect()
    assert house.node.total == 0
    assert len(house.node.connections(APP.id)) == 0
    assert house.node.traffic[APP.id].connections == 0


def test_connections_are_listed_by_app_and_altogether() -> None:
    house = House()
    first, second, foreign = house.connect(), house.connect(), house.connect(OTHER)
    assert house.node.connections(APP.id) == {first.id: first.connection, second.id: second.connection}
    assert house.node.connections("nobody") == {}
    assert house.node.every_connection() == [first.connection, second.connection, foreign.connection]
    assert house.node.total == 3


def test_a_connection_that_ends_is_gone_from_everywhere() -> None:
    house = House()
    client = house.connect()
    client.subscribe("news")
    client.subscribe("presence-room", "1")
    client.sign_in("ada", watchlist=["bob"])
    assert len(house.hub) == 4, "two channels, the user's own, and that of those who watch bob"
    client.leave()
    assert len(house.hub) == 0
    assert house.channels() == {}
    assert house.online("ada") == set()
    assert house.node.every_connection() == []
    assert house.node.total == 0
    assert house.node.traffic[APP.id].disconnections == 1


def test_nothing_that_was_said_before_a_close_is_lost() -> None:
    house = House()
    client = house.connect()
    client.subscribe("news")
    client.subscribe("sport")
    client.take()
    house.trigger("news", "first")
    house.trigger("sport", "second")
    client.connection.refuse(4009, "enough")
    house.trigger("news", "third")
    assert client.heard() == ["first", "second", "error"]


def test_a_connection_gets_its_own_answers_ahead_of_later_events() -> None:
    house = House()
    client = house.connect()
    client.subscribe("news")
    house.trigger("news", "said")
    client.say("pusher:ping")
    client.subscribe("sport")
    assert client.heard() == ["subscription_succeeded", "pong", "subscription_succeeded", "said"]


def test_new_settings_of_an_app_hold_for_its_open_connections_and_no_others() -> None:
    house = House()
    client, foreign, gone = house.connect(), house.connect(OTHER), house.connect(replace(APP, id="gone"))
    newer = {APP.id: replace(APP, client_events=False), OTHER.id: OTHER}
    house.node.update(newer.get)
    assert client.connection.app is newer[APP.id]
    assert foreign.connection.app is OTHER
    assert gone.connection.app.id == "gone"


def test_very_many_watchers_are_told_in_slices() -> None:
    house = House(slice_size=2)
    watchers = [house.connect() for _ in range(5)]
    for number, watcher in enumerate(watchers):
        watcher.sign_in(f"watcher-{number}", watchlist=["bob"])
        watcher.take()
    house.connect().sign_in("bob")
    house.loop.tick()
    assert sum(bool(watcher.transport.frames) for watcher in watchers) == 2
    house.loop.settle()
    assert all(watcher.heard() == ["watchlist_events"] for watcher in watchers)


def test_very_many_connections_of_a_user_are_closed_in_slices() -> None:
    house = House()
    clients = [house.connect() for _ in range(250)]
    for client in clients:
        client.sign_in("ada")
    house.node.terminate(APP.id, "ada")
    assert sum(client.closed is not None for client in clients) == 100
    house.loop.advance(1)
    assert house.total == 0


# Faults, and changes while an operation waits


def fail(*_: object) -> None:
    raise RuntimeError("a bug")


def test_a_client_that_cannot_be_greeted_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    house, transport = House(), FakeTransport()
    monkeypatch.setattr(transport, "write", fail)
    with pytest.raises(RuntimeError):
        house.ask(house.node.connect(APP, transport))
    assert house.total == 0
    assert house.node.connections(APP.id) == {}


def test_a_connection_whose_sign_out_fails_is_gone_all_the_same(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    client = house.connect()
    client.sign_in("ada")
    client.subscribe("news")
    monkeypatch.setattr(house.node._users, "remove", fail)
    client.leave()
    assert (house.total, house.channels(), contained.count) == (0, {}, 1)


def two_on(house: House, channel: str) -> tuple[Client, Client]:
    """Return two clients on a channel that have read their greetings."""
    clients = house.connect(), house.connect()
    for client in clients:
        client.subscribe(channel)
        client.take()
    return clients


def test_a_client_event_reaches_the_clients_of_this_node_while_the_others_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    sender, receiver = two_on(house, "private-a")

    def publish(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(house.node._bus, "publish", publish)
    sender.say("client-typing", {}, channel="private-a")
    assert (sender.heard(), receiver.heard()) == ([], ["client-typing"])


class Waiting:
    """Lets the calls of a coroutine method continue when the test says so."""

    def __init__(self, owner: object, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._futures: list[Future[None]] = []
        self._whole: Callable[..., Any] = getattr(owner, method)
        monkeypatch.setattr(owner, method, self)

    async def __call__(self, *arguments: Any) -> Any:
        given = await self._whole(*arguments)
        future: Future[None] = Future()
        self._futures.append(future)
        await future
        return given

    def let_all_continue(self) -> None:
        futures, self._futures = self._futures, []
        assert futures
        for future in futures:
            future.set_result(None)


def subscribe(channel: str, user_id: str | None = None) -> Callable[[Client], None]:
    def act(client: Client) -> None:
        data = {"channel": channel, "channel_data": None if user_id is None else f'{{"user_id":"{user_id}"}}'}
        auth = channel_auth(client.id, channel, data["channel_data"])
        client.connection.receive(json.dumps({"event": "pusher:subscribe", "data": {**data, "auth": auth}}).encode())

    return act


def sign_in(client: Client) -> None:
    user_data = '{"id":"ada","watchlist":["bob"]}'
    auth = user_auth(client.id, user_data)
    client.connection.receive(
        json.dumps({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}}).encode()
    )


@pytest.mark.parametrize(
    ("port", "method", "act"),
    [
        ("roster", "join", subscribe("news")),
        ("roster", "join_as", subscribe("presence-a", "ada")),
        ("cache", "get", subscribe("cache-a")),
        ("cache", "get", subscribe("presence-cache-a", "ada")),
        ("roster", "sign_in", sign_in),
    ],
)
def test_a_client_that_goes_while_it_waits_leaves_nothing_behind(
    port: str, method: str, act: Callable[[Client], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    client = house.connect()
    waiting = Waiting(getattr(house.node, port), method, monkeypatch)
    act(client)
    client.leave()
    waiting.let_all_continue()
    monkeypatch.undo()
    assert client.take() == []
    assert house.channels() == {}
    assert house.members("presence-a") == house.members("presence-cache-a") == []
    assert house.online("ada") == set()
    assert len(house.hub) == 0


def test_a_client_that_goes_while_it_waits_for_a_second_greeting_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    client = house.connect()
    client.subscribe("cache-a")
    client.take()
    waiting = Waiting(house.node.cache, "get", monkeypatch)
    subscribe("cache-a")(client)
    client.leave()
    waiting.let_all_continue()
    assert client.take() == []


@pytest.mark.parametrize("stays", [True, False])
def test_a_client_event_waits_until_the_app_has_room_and_is_not_sent_for_a_client_that_has_gone(
    monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    house = House()
    sender, receiver = two_on(house, "private-a")
    room: Future[None] = Future()

    async def wait(app_id: str) -> None:
        await room

    monkeypatch.setattr(house.node, "full", {APP.id})
    monkeypatch.setattr(house.node._bus, "room", wait)
    said = b'{"event":"client-typing","channel":"private-a","data":{}}'
    assert not sender.connection.receive(said), "the next message of the client waits too"
    assert receiver.heard() == []
    if not stays:
        sender.leave()
    room.set_result(None)
    assert receiver.heard() == (["client-typing"] if stays else [])
