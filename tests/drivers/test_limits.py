"""The contract of a rate limiter, which every driver must fulfil."""

from collections.abc import Callable

import pytest

from soketpy.core.limits import Bucket
from soketpy.core.ports import RateLimiter
from soketpy.drivers.local.limits import LocalRateLimiter
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


# The contract of a rate limiter, held by every driver

Limiter = Callable[[FakeLoop], RateLimiter]


@pytest.fixture(params=[lambda loop: LocalRateLimiter(loop.time)], ids=["local"])
def make_limiter(request: pytest.FixtureRequest) -> Limiter:
    limiter: Limiter = request.param
    return limiter


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def limiter(make_limiter: Limiter, loop: FakeLoop) -> RateLimiter:
    return make_limiter(loop)


def test_an_app_may_call_as_often_as_its_limit_says(limiter: RateLimiter) -> None:
    assert [now(limiter.take("app", "reads", 1, 3)).allowed for _ in range(4)] == [True, True, True, False]


def test_an_allowance_tells_limit_rest_and_wait(limiter: RateLimiter) -> None:
    allowed = now(limiter.take("app", "reads", 3, 4))
    assert (allowed.limit, allowed.remaining, allowed.retry_after) == (4, 1, 0.0)
    refused = now(limiter.take("app", "reads", 3, 4))
    assert (refused.allowed, refused.limit, refused.remaining, refused.retry_after) == (False, 4, 1, 0.5)


def test_after_the_wait_the_call_is_allowed(limiter: RateLimiter, loop: FakeLoop) -> None:
    now(limiter.take("app", "reads", 4, 4))
    loop.advance(now(limiter.take("app", "reads", 2, 4)).retry_after)
    assert now(limiter.take("app", "reads", 2, 4)).allowed


def test_apps_and_kinds_of_calls_are_counted_apart(limiter: RateLimiter) -> None:
    now(limiter.take("app", "reads", 1, 1))
    assert not now(limiter.take("app", "reads", 1, 1)).allowed
    assert now(limiter.take("app", "backend events", 1, 1)).allowed
    assert now(limiter.take("other", "reads", 1, 1)).allowed


def test_a_new_limit_holds_at_once(limiter: RateLimiter) -> None:
    now(limiter.take("app", "reads", 1, 1))
    assert now(limiter.take("app", "reads", 1, 2)).allowed
    assert now(limiter.take("app", "reads", 1, 2)).allowed
    assert not now(limiter.take("app", "reads", 1, 2)).allowed


def test_a_limit_of_nothing_allows_nothing(limiter: RateLimiter) -> None:
    refused = now(limiter.take("app", "reads", 1, 0))
    assert (refused.allowed, refused.retry_after) == (False, 60.0)
