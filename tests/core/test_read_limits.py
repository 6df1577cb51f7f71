"""The limits of the requests of clients for logs."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from soketpy.core.history import HistoryRule
from soketpy.core.read_limits import APP_RATE, BURST, RATE
from tests.fakes import APP, Client, House

STORED = replace(APP, history=(HistoryRule(channels="room"),))


@pytest.fixture
def house() -> House:
    return House()


def clients(house: House, number: int) -> list[Client]:
    found = [house.connect(STORED) for _ in range(number)]
    for client in found:
        client.subscribe("room")
        client.take()
    return found


def ask(client: Client) -> bool:
    """Send a request that may have to wait. Return whether it was served."""
    served = client.connection.receive(b'{"event":"soketpy:history","data":{"channel":"room"}}')
    client.transport.waiting = not served
    return served


def in_turns(found: list[Client], rounds: int) -> Iterator[Client]:
    for _ in range(rounds):
        yield from found


def test_a_client_that_reads_too_fast_waits(house: House) -> None:
    [client] = clients(house, 1)
    before = house.loop.now
    for _ in range(BURST + 2 * RATE):
        client.say("soketpy:history", {"channel": "room"})
    assert client.heard() == ["soketpy:history"] * (BURST + 2 * RATE)
    assert 1.9 < house.loop.now - before < 2.6


def test_the_limit_of_subscriptions_does_not_count_reads(house: House) -> None:
    client = house.connect(replace(STORED, max_subscribes_per_second=1))
    before = house.loop.now
    client.subscribe("room")
    client.say("soketpy:history", {"channel": "room"})
    assert client.heard() == ["subscription_succeeded", "soketpy:history"]
    assert house.loop.now == before


def test_the_clients_of_an_app_share_a_limit_and_are_served_in_their_order(house: House) -> None:
    found = clients(house, APP_RATE // BURST + 3)
    served = [ask(client) for client in in_turns(found[:-3], BURST)]
    assert all(served)
    assert [ask(client) for client in found[-3:]] == [False] * 3
    order = list[int]()
    for client in found:
        client.take()
    for _ in range(20):
        house.loop.advance(0.005)
        order += [number for number, client in enumerate(found) if client.heard()]
    first = len(found) - 3
    assert order == [first, first + 1, first + 2]


def test_another_app_does_not_wait(house: House) -> None:
    found = clients(house, APP_RATE // BURST + 1)
    assert [ask(client) for client in in_turns(found[:-1], BURST)] == [True] * APP_RATE
    assert not ask(found[-1])
    other = house.connect(replace(STORED, id="another"))
    other.subscribe("room")
    assert ask(other)


def test_a_client_that_leaves_while_it_waits_takes_no_turn(house: House) -> None:
    found = clients(house, APP_RATE // BURST + 2)
    for client in in_turns(found[:-2], BURST):
        ask(client)
    assert not ask(found[-2])
    assert not ask(found[-1])
    found[-2].leave()
    house.loop.advance(0.025)
    assert found[-1].heard() == ["soketpy:history"]
    assert found[-2].heard() == []


def test_a_client_that_leaves_while_its_own_limit_applies_gets_nothing(house: House) -> None:
    [client] = clients(house, 1)
    assert all(ask(client) for _ in range(BURST))
    assert not ask(client)
    client.take()
    client.leave()
    house.loop.advance(5)
    assert client.heard() == []
