"""The limit of the subscriptions of all connections of an app together."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from soketpy.core.ports import Allowance, Unavailable
from soketpy.core.rates import Rates
from soketpy.core.subscribe_queue import LONGEST_PAUSE, MOST_AT_ONCE
from tests.drivers.limited import Limited, Unreached
from tests.fakes import APP, Client, House

TEN = replace(APP, max_total_subscribes_per_second=10)


@pytest.fixture
def limited(nodes: None, monkeypatch: pytest.MonkeyPatch) -> Limited:
    return Limited(monkeypatch)


@pytest.fixture
def house() -> House:
    return House()


def ask(client: Client, channel: str = "news") -> None:
    """Send a subscription that may have to wait."""
    client.transport.waiting = not client.connection.receive(
        b'{"event":"pusher:subscribe","data":{"channel":"%s"}}' % channel.encode()
    )
    client.house.loop.settle()


def test_all_connections_share_the_limit(limited: Limited) -> None:
    clients = [limited.house.connect(TEN) for _ in range(12)]
    for client in clients:
        ask(client)
    assert [client.heard() for client in clients] == [["subscription_succeeded"]] * 10 + [[]] * 2
    for _ in range(2):
        limited.advance(LONGEST_PAUSE)
    assert [client.heard() for client in clients[10:]] == [["subscription_succeeded"]] * 2


def test_subscriptions_are_served_in_their_order_at_the_rate_of_the_app(house: House) -> None:
    clients = [house.connect(TEN) for _ in range(30)]
    order: list[int] = []
    for client in clients:
        ask(client)
    before = house.loop.now
    while len(order) < 30:
        order += [number for number, client in enumerate(clients) if client.heard()]
        house.loop.advance(0.01)
    assert order == list(range(30))
    assert 1.9 < house.loop.now - before < 2.6


def test_what_comes_after_a_subscription_that_waits_is_served_after_it(house: House) -> None:
    client = house.connect(replace(APP, max_total_subscribes_per_second=1))
    client.subscribe("one")
    client.subscribe("two")
    client.say("pusher:ping")
    assert client.heard() == ["subscription_succeeded", "subscription_succeeded", "pong"]


def test_a_newcomer_waits_behind_those_that_wait(house: House) -> None:
    first, waiting, newcomer = (house.connect(replace(APP, max_total_subscribes_per_second=1)) for _ in range(3))
    ask(first)
    ask(waiting)
    house.loop.now += 1  # there is a point, and nobody was served yet
    ask(newcomer)
    house.loop.advance(0)
    assert (waiting.heard(), newcomer.heard()) == (["subscription_succeeded"], [])


def test_a_client_that_leaves_while_it_waits_costs_nothing(house: House) -> None:
    first, leaving, waiting = (house.connect(replace(APP, max_total_subscribes_per_second=1)) for _ in range(3))
    for client in (first, leaving, waiting):
        ask(client)
    leaving.leave()
    assert list(house.node._subscriptions._queue._waiting[APP.id]) == [waiting.connection]
    house.loop.advance(1)
    assert waiting.heard() == ["subscription_succeeded"]
    assert house.count("news") == 2


def test_nothing_is_kept_of_clients_that_have_all_left(house: House) -> None:
    clients = [house.connect(replace(APP, max_total_subscribes_per_second=1)) for _ in range(3)]
    for client in clients:
        ask(client)
    for client in clients:
        client.leave()
    house.loop.advance(LONGEST_PAUSE)
    assert house.node._subscriptions._queue._waiting == {}
    assert house.channels() == {}


@pytest.mark.parametrize("limit", [None, 100])
def test_a_new_limit_applies_to_subscriptions_that_wait(house: House, limit: int | None) -> None:
    clients = [house.connect(replace(APP, max_total_subscribes_per_second=0)) for _ in range(3)]
    for client in clients:
        ask(client)
    house.node.update({APP.id: replace(APP, max_total_subscribes_per_second=limit)}.get)
    for _ in range(3):
        house.loop.advance(LONGEST_PAUSE)
    assert [client.heard() for client in clients] == [["subscription_succeeded"]] * 3


def test_very_many_subscriptions_are_served_in_slices(house: House) -> None:
    clients = [house.connect(replace(APP, max_total_subscribes_per_second=0)) for _ in range(MOST_AT_ONCE + 1)]
    for client in clients:
        ask(client)
    house.node.update({APP.id: APP}.get)
    house.loop.advance(LONGEST_PAUSE)
    assert sum(bool(client.heard()) for client in clients) == MOST_AT_ONCE
    house.loop.advance(LONGEST_PAUSE)
    assert clients[-1].heard() == ["subscription_succeeded"]


class Refusing(Unreached):
    """A limiter that refuses one subscription, and can then not be asked."""

    def __init__(self) -> None:
        self.answers = iter([Allowance(False, 1, 0, 0.0)])

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        for answer in self.answers:
            return answer
        raise Unavailable


@pytest.mark.parametrize("limiter", [Unreached, Refusing], ids=["at once", "while it waits"])
def test_a_subscription_whose_limit_cannot_be_checked_is_refused(limiter: Callable[[], Unreached]) -> None:
    house = House(limiter=Rates(limiter(), None, lambda: False))
    client = house.connect(TEN)
    client.subscribe("news")
    [answer] = client.take()
    assert (answer["event"], answer["channel"]) == ("pusher:subscription_error", "news")
    assert answer["data"] == {
        "type": "LimitReached",
        "status": 4100,
        "error": "The rate limit of the app cannot be checked now; try again.",
    }


def test_a_fault_while_a_subscription_waits_ends_its_connection_only(
    house: House, contained: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (house.connect(replace(APP, max_total_subscribes_per_second=1)) for _ in range(2))
    ask(first)
    ask(second)

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(house.node._limiter, "take_one", fail)
        house.loop.advance(1)
    assert (first.closed, second.closed and second.closed[0]) == (None, 1011)
    assert house.node._subscriptions._queue._waiting == {}
