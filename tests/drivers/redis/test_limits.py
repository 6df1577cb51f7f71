"""The points that a node takes from a rate limit together, and keeps for later."""

from collections import Counter
from typing import Any

import pytest

from soketpy.core import steps
from soketpy.core.limits import KEPT_IDLE
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.limits import KEPT, RedisRateLimiter
from tests.drivers.limited import Limited

pytestmark = pytest.mark.parametrize("nodes", ["two nodes"], indirect=True)


@pytest.fixture
def limited(nodes: None, monkeypatch: pytest.MonkeyPatch) -> Limited:
    return Limited(monkeypatch)


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the commands that nodes send to Redis."""
    counted: Counter[str] = Counter()
    write = Commands.write

    def count(self: Commands, command: list[Any]) -> Any:
        counted[command[0]] += 1
        return write(self, command)

    monkeypatch.setattr(Commands, "write", count)
    return counted


def on_one_node(limited: Limited) -> RedisRateLimiter:
    limiter: RedisRateLimiter = limited.house._clusters[0].limiter  # type: ignore[assignment]
    return limiter


def test_a_busy_node_asks_redis_for_few_of_its_points(limited: Limited, takes: Counter[str]) -> None:
    limiter = on_one_node(limited)
    allowed = [limited.house.ask(limiter.take_one("app", "events", 1000)).allowed for _ in range(2000)]
    assert allowed == [True] * 1000 + [False] * 1000
    assert takes["take"] < 25


def test_a_node_that_uses_few_points_takes_one_at_a_time(limited: Limited) -> None:
    for _ in range(5):
        limited.house.ask(on_one_node(limited).take_one("app", "events", 100))
        limited.advance(0.5)
    limited.house.ask(on_one_node(limited).take_one("app", "events", 100))
    assert limited.take("events", 99, 100).allowed


def test_a_node_keeps_at_most_a_tenth_of_a_limit(limited: Limited) -> None:
    for _ in range(100):
        limited.house.ask(on_one_node(limited).take_one("app", "events", 200))
    assert limited.take("events", 80, 200).allowed


def test_points_that_are_not_used_in_time_are_lost(limited: Limited) -> None:
    limiter = on_one_node(limited)
    for _ in range(4):
        limited.house.ask(limiter.take_one("app", "events", 1000))
    stock = limiter._stocks.get(("app", "events"))
    assert stock is not None
    assert stock.points
    limited.advance(KEPT)
    limited.house.ask(limiter.take_one("app", "events", 1000))
    assert stock.points < 4


def test_two_nodes_together_allow_no_more_than_the_limit(limited: Limited) -> None:
    assert sum(limited.take_one("events", 50).allowed for _ in range(200)) == 50


def test_a_busy_app_gets_its_rate_while_time_passes(limited: Limited) -> None:
    allowed = 0
    for _ in range(100):
        limited.advance(0.05)
        allowed += sum(limited.take_one("events", 100).allowed for _ in range(20))
    assert 580 <= allowed <= 600, "a full bucket, and the points of five seconds"


def test_a_refusal_holds_without_redis_until_there_are_points(limited: Limited, takes: Counter[str]) -> None:
    limiter = on_one_node(limited)
    assert limited.house.ask(limiter.take_one("app", "connects", 1)).allowed
    refused = [limited.house.ask(limiter.take_one("app", "connects", 1)) for _ in range(100)]
    assert {(each.allowed, each.retry_after) for each in refused} == {(False, 1.0)}
    assert takes["take"] == 2
    limited.advance(1)
    assert limited.house.ask(limiter.take_one("app", "connects", 1)).allowed


def test_a_refused_call_is_repeated_without_redis_until_it_can_succeed(limited: Limited, takes: Counter[str]) -> None:
    limiter = on_one_node(limited)

    def take(cost: int) -> tuple[bool, int, float]:
        answer = limited.house.ask(limiter.take("app", "events", cost, 4))
        return answer.allowed, answer.remaining, answer.retry_after

    assert take(3) == (True, 1, 0.0)
    assert [take(3) for _ in range(9)] == [(False, 1, 0.5)] * 9
    assert takes["take"] == 2
    assert take(1) == (True, 0, 0.0), "a cheaper call may succeed"
    limited.advance(0.5)
    assert take(3) == (False, 2, 0.25)
    limited.advance(0.25)
    assert take(3) == (True, 0, 0.0)


def test_a_refusal_ends_with_a_new_limit(limited: Limited) -> None:
    limiter = on_one_node(limited)
    assert not limited.house.ask(limiter.take("app", "events", 1, 0)).allowed
    limited.advance(1)
    assert limited.house.ask(limiter.take("app", "events", 1, 1)).allowed


def test_the_refusals_of_idle_apps_are_dropped(limited: Limited) -> None:
    limiter = on_one_node(limited)
    for number in range(KEPT_IDLE):
        limited.house.ask(limiter.take(f"app-{number}", "events", 2, 1))
    limited.advance(1)
    limited.house.ask(limiter.take("another", "events", 2, 1))
    assert len(limiter._refusals) == 1


def test_operations_that_wait_together_share_one_request(limited: Limited, takes: Counter[str]) -> None:
    limiter, answers = on_one_node(limited), list[bool]()

    async def take() -> None:
        answers.append((await limiter.take_one("app", "events", 100)).allowed)

    for _ in range(10):
        steps.begin(take())
    limited.house.loop.settle()
    assert answers == [True] * 10
    assert takes["take"] <= 3


def test_what_a_node_keeps_of_idle_apps_is_dropped(limited: Limited) -> None:
    limiter = on_one_node(limited)
    for number in range(KEPT_IDLE):
        limited.house.ask(limiter.take_one(f"app-{number}", "events", 100))
    limited.advance(KEPT)
    limited.house.ask(limiter.take_one("another", "events", 100))
    assert len(limiter._stocks) == 1
