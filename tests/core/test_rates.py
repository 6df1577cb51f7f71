"""Rate limits while the other nodes cannot be reached."""

import logging
from dataclasses import dataclass

import pytest

from soketpy.core.ports import Allowance, Unavailable
from soketpy.core.rates import Rates
from soketpy.drivers.local.limits import LocalRateLimiter
from tests.fakes import FakeLoop, now


class Shared(LocalRateLimiter):
    """A limiter of all nodes that a test can make unavailable, for a reason that concerns all apps or one."""

    def __init__(self) -> None:
        super().__init__(FakeLoop().time)
        self.connected = True
        self.damaged = False

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        if self.damaged or not self.connected:
            raise Unavailable
        return await super().take(app_id, what, cost, limit)


@dataclass
class Scene:
    """The limits of a node, with the limiter that all nodes share behind them."""

    shared: Shared
    rates: Rates

    def take(self, limit: int = 2) -> bool:
        return now(self.rates.take("app", "reads", 1, limit)).allowed

    def take_one(self, limit: int = 2) -> bool:
        return now(self.rates.take_one("app", "connects", limit)).allowed


def scene(*, refuse: bool = False) -> Scene:
    shared = Shared()
    fallback = None if refuse else LocalRateLimiter(FakeLoop().time)
    return Scene(shared, Rates(shared, fallback, lambda: shared.connected))


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "soketpy.limits")


def test_while_the_nodes_are_connected_their_common_limiter_decides(caplog: pytest.LogCaptureFixture) -> None:
    node = scene()
    assert [node.take() for _ in range(3)] == [True, True, False]
    assert [node.take_one() for _ in range(3)] == [True, True, False]
    assert caplog.messages == []


def test_a_node_alone_applies_the_whole_limit(caplog: pytest.LogCaptureFixture) -> None:
    node = scene()
    assert node.take()
    node.shared.connected = False
    assert [node.take() for _ in range(3)] == [True, True, False]
    assert [node.take_one() for _ in range(3)] == [True, True, False]
    assert caplog.messages == [
        "Rate limits hold for each node alone while Redis is unavailable (rate_limits.when_unavailable: allow)"
    ]


def test_a_node_alone_refuses_everything_if_it_must(caplog: pytest.LogCaptureFixture) -> None:
    node = scene(refuse=True)
    node.shared.connected = False
    for take in (node.take, node.take_one, node.take):
        with pytest.raises(Unavailable, match="The rate limit of the app cannot be checked now; try again"):
            take()
    assert caplog.messages == [
        "Rate limits cannot be checked while Redis is unavailable: this node refuses what has a limit"
        " (rate_limits.when_unavailable: refuse)"
    ]


@pytest.mark.parametrize("refuse", [False, True])
def test_the_end_is_logged_once(refuse: bool, caplog: pytest.LogCaptureFixture) -> None:
    node = scene(refuse=refuse)
    for _ in range(2):
        node.shared.connected = False
        try:
            node.take()
        except Unavailable:
            assert refuse
        node.shared.connected = True
        caplog.clear()
        node.take(9)
        node.take_one(9)
        assert caplog.messages == ["Rate limits hold for all nodes together again"]


def test_a_single_fault_of_a_connected_node_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    node = scene()
    node.shared.damaged = True
    assert node.take()
    assert caplog.messages == []
