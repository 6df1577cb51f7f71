"""The contract of a rate limiter, which every driver must fulfil."""

from collections.abc import Callable

import pytest

from soketpy.core.limits import KEPT_IDLE, Bucket, Pruned
from soketpy.core.ports import Allowance
from soketpy.drivers.local.limits import LocalRateLimiter
from tests.drivers.limited import Limited
from tests.fakes import FakeLoop, now

# Buckets


def test_a_bucket_starts_full_and_gives_no_more_than_it_has() -> None:
    bucket = Bucket(rate=1, burst=3, now=0)
    assert [bucket.take(1, 0) for _ in range(4)] == [True, True, True, False]


def test_tokens_flow_in_with_time() -> None:
    bucket = Bucket(rate=2, burst=2, now=0)
    assert bucket.take(2, 0)
    assert not bucket.take(1, 0.25)
    assert bucket.take(1, 0.5)


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = Bucket(rate=10, burst=2, now=0)
    assert bucket.take(2, 1_000)
    assert not bucket.take(1, 1_000)


def test_what_is_refused_costs_nothing() -> None:
    bucket = Bucket(rate=0, burst=3, now=0)
    assert not bucket.take(4, 0)
    assert bucket.take(3, 0)


def test_a_bucket_without_a_burst_gives_nothing() -> None:
    assert not Bucket(rate=0, burst=0, now=0).take(1, 1_000)


@pytest.mark.parametrize(
    ("rate", "taken", "cost", "seconds"),
    [
        (2, 4, 1, 0.5),
        (2, 4, 4, 2.0),
        (2, 3, 1, 0.0),  # there already
        (2, 4, 100, 2.0),  # never there: a full bucket is all that can be waited for
        (0, 4, 1, 60.0),  # nothing ever flows in
    ],
)
def test_a_bucket_tells_how_long_to_wait(rate: float, taken: int, cost: int, seconds: float) -> None:
    bucket = Bucket(rate=rate, burst=4, now=0)
    assert bucket.take(taken, 0)
    assert bucket.wait(cost) == seconds


def test_a_changed_bucket_keeps_the_tokens_that_fit() -> None:
    bucket = Bucket(rate=2, burst=2, now=0)
    assert bucket.take(2, 0)
    bucket.change(10, 0.5)
    assert not bucket.take(2, 0.5)
    assert bucket.take(2, 0.625)
    bucket.change(1, 10)
    assert not bucket.take(2, 1_000)


# Dropped buckets


def test_idle_values_are_dropped_when_there_are_too_many() -> None:
    idle: set[int] = set()
    values = Pruned[int, int](idle.__contains__)
    for number in range(KEPT_IDLE):
        values[number] = number
    idle.update(range(1, KEPT_IDLE))
    values[-1] = -1
    assert len(values) == 2
    assert (values.get(0), values.get(1), values.get(-1)) == (0, None, -1)


def test_values_in_use_are_kept() -> None:
    values = Pruned[int, int](lambda value: False)
    for number in range(3 * KEPT_IDLE):
        values[number] = number
    assert len(values) == 3 * KEPT_IDLE


def test_the_buckets_of_idle_apps_are_dropped() -> None:
    loop = FakeLoop()
    limiter = LocalRateLimiter(loop.time)
    for number in range(KEPT_IDLE):
        now(limiter.take(f"app-{number}", "reads", 1, 1))
    loop.advance(0.5)
    now(limiter.take("busy", "reads", 1, 1))
    assert len(limiter._buckets) == KEPT_IDLE + 1
    loop.advance(0.5)
    for number in range(KEPT_IDLE):
        now(limiter.take(f"other-{number}", "reads", 1, 1))
    assert not now(limiter.take("busy", "reads", 1, 1)).allowed
    assert len(limiter._buckets) <= KEPT_IDLE + 1


# The contract of a rate limiter, held by every driver

Take = Callable[..., Allowance]


@pytest.fixture
def limited(nodes: None, monkeypatch: pytest.MonkeyPatch) -> Limited:
    return Limited(monkeypatch)


@pytest.fixture(params=["take", "take_one"])
def take_one(request: pytest.FixtureRequest, limited: Limited) -> Take:
    """Take one point, exactly or from those that a node keeps."""
    if request.param == "take_one":
        return limited.take_one
    return lambda what, limit, app_id="app": limited.take(what, 1, limit, app_id)


def test_an_app_may_call_as_often_as_its_limit_says(take_one: Take) -> None:
    assert [take_one("reads", 3).allowed for _ in range(4)] == [True, True, True, False]


def test_an_allowance_tells_limit_rest_and_wait(limited: Limited) -> None:
    allowed = limited.take("reads", 3, 4)
    assert (allowed.limit, allowed.remaining, allowed.retry_after) == (4, 1, 0.0)
    refused = limited.take("reads", 3, 4)
    assert (refused.allowed, refused.limit, refused.remaining, refused.retry_after) == (False, 4, 1, 0.5)


def test_after_the_wait_the_call_is_allowed(limited: Limited) -> None:
    limited.take("reads", 4, 4)
    limited.advance(limited.take("reads", 2, 4).retry_after)
    assert limited.take("reads", 2, 4).allowed


def test_after_its_wait_one_more_is_allowed(take_one: Take, limited: Limited) -> None:
    for _ in range(4):
        assert take_one("connects", 4).allowed
    refused = take_one("connects", 4)
    assert (refused.allowed, refused.retry_after) == (False, 0.25)
    limited.advance(0.25)
    assert [take_one("connects", 4).allowed for _ in range(2)] == [True, False]


def test_apps_and_kinds_of_calls_are_counted_apart(take_one: Take) -> None:
    assert take_one("reads", 1).allowed
    assert not take_one("reads", 1).allowed
    assert take_one("backend events", 1).allowed
    assert take_one("reads", 1, "other").allowed


def test_a_higher_limit_applies_at_once_and_adds_no_points(take_one: Take, limited: Limited) -> None:
    assert [take_one("reads", 1).allowed for _ in range(2)] == [True, False]
    assert not take_one("reads", 4).allowed
    limited.advance(0.25)
    assert [take_one("reads", 4).allowed for _ in range(2)] == [True, False]


def test_a_lower_limit_applies_at_once(take_one: Take, limited: Limited) -> None:
    assert take_one("reads", 5).allowed
    assert [take_one("reads", 2).allowed for _ in range(3)] == [True, True, False]


def test_nodes_with_different_limits_of_one_app_add_no_points(limited: Limited) -> None:
    assert sum(limited.take("reads", 1, limit).allowed for limit in (2, 3) * 5) <= 3


def test_a_limit_of_nothing_allows_nothing(take_one: Take) -> None:
    refused = take_one("reads", 0)
    assert (refused.allowed, refused.retry_after) == (False, 60.0)
