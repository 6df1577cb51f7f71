"""Faults while a node clears up after a dead one, and while the dead one reconnects."""

from collections.abc import Callable

import pytest

from tests.conftest import Contained
from tests.drivers.redis.test_alone import Parted
from tests.fakes import Client, House
from tests.test_fault_injection import check_with_a_fault_at_each_call

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]


def live(client: Client) -> None:
    """Have something of each kind."""
    client.sign_in("victim", watchlist=["bystander", "nobody"])
    client.subscribe("presence-a", "victim")
    client.subscribe("presence-alone", "victim")
    client.subscribe("news")
    client.subscribe("alone")


def die_and_return(dying: int) -> Callable[[House, Client], None]:
    """Have one of the nodes die, be cleared up by the other one, and return: that of the victim, or the other."""

    def act(house: House, client: Client) -> None:
        assert isinstance(house, Parted)
        if client.connection._node is not house.nodes[1]:
            raise AssertionError("the first client of a house, the bystander, is on the first node")
        live(client)
        house.loop.settle()
        sessions = house.sessions
        house.part(sessions[dying])
        house._run(sessions[1 - dying]._clear(sessions[dying].id, own=True))
        house.loop.settle()
        house.join()
        house.loop.advance(10)

    return act


@pytest.mark.parametrize("dying", [1, 0], ids=["the victim", "the bystander"])
def test_a_fault_while_a_dead_node_is_cleared_up_or_returns_harms_nobody_else(
    dying: int, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.drivers.redis.session.LONGEST_PAUSE", 0.02)
    check_with_a_fault_at_each_call("die and return", die_and_return(dying), contained, Parted)
