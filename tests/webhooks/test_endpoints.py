"""The health of an endpoint: pauses, and one attempt at a time while it fails."""

import asyncio

import pytest

from soketpy.core.retries import LONGEST_PAUSE
from soketpy.core.webhook_ports import Outcome
from soketpy.webhooks import endpoints
from soketpy.webhooks.endpoints import FAILURES, Endpoint, Endpoints

BAD = Outcome("HTTP 500")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)


@pytest.fixture(autouse=True)
def one_failure_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first failure make an endpoint failing."""
    monkeypatch.setattr(endpoints, "FAILURES", 1)


async def fail(endpoint: Endpoint, outcome: Outcome = BAD) -> float:
    """Fail one attempt, which must be allowed. Return the pause after it."""
    async with endpoint.attempt() as pause:
        assert pause == 0
        endpoint.fail(outcome)
    return endpoint.pause


async def test_pauses_double_with_each_failure_in_a_row(clock: Clock) -> None:
    endpoint, pauses = Endpoint(clock), []
    for _ in range(8):
        pauses.append(await fail(endpoint))
        clock.now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]


async def test_a_receiver_that_sometimes_fails_is_not_paused(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "FAILURES", FAILURES)
    endpoint = Endpoint(clock)
    for _ in range(20):
        for _ in range(FAILURES - 1):
            assert not endpoint.fail(BAD)
            assert (endpoint.pause, endpoint.failing_since) == (0, None)
        assert endpoint.succeed() is None


async def test_failures_in_a_row_make_an_endpoint_failing_since_the_first_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FAILURES", FAILURES)
    known, began = Endpoints(clock), []
    for _ in range(FAILURES):
        with known.use(("app", "hook")) as endpoint:  # an endpoint with failures is not forgotten between attempts
            began.append(endpoint.fail(BAD))
        clock.now += 1
    assert began == [False] * (FAILURES - 1) + [True]
    assert endpoint.failing_for == FAILURES
    with known.use(("app", "hook")) as endpoint:
        endpoint.succeed()
    assert len(known) == 0


async def test_the_first_wish_for_a_pause_makes_an_endpoint_failing(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FAILURES", FAILURES)
    endpoint = Endpoint(clock)
    assert endpoint.fail(Outcome("HTTP 429", retry_after=30))
    assert endpoint.pause == 30


async def test_the_first_attempt_to_a_blocked_address_makes_an_endpoint_failing(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FAILURES", FAILURES)
    assert Endpoint(clock).fail(Outcome("the address is private", blocked=True))


async def test_an_accepted_delivery_ends_the_pauses(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    for _ in range(3):
        clock.now += await fail(endpoint)
    async with endpoint.attempt():
        assert endpoint.succeed() == 7
    assert endpoint.pause == 0
    assert endpoint.succeed() is None
    assert await fail(endpoint) == 1


async def test_only_the_first_failure_begins_to_fail(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    assert endpoint.fail(BAD)
    assert not endpoint.fail(BAD)
    endpoint.succeed()
    assert endpoint.fail(BAD)


async def test_a_paused_endpoint_tells_each_lane_its_pause(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    await fail(endpoint, Outcome("HTTP 429", 30))
    clock.now += 10
    for _ in range(2):
        async with endpoint.attempt() as pause:
            assert pause == 20


async def test_requests_that_were_in_flight_lengthen_no_pause_but_may_ask_for_one(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    for _ in range(4):
        endpoint.fail(BAD)
    assert endpoint.pause == 1
    endpoint.fail(Outcome("HTTP 429", 30))
    assert endpoint.pause == 30


async def test_an_endpoint_that_is_gone_is_not_paused(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    for _ in range(3):
        assert await fail(endpoint, Outcome("HTTP 410", gone=True)) == 0


async def test_deliveries_that_are_gone_do_not_lengthen_the_pause_of_the_next_failure(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    for _ in range(10):
        await fail(endpoint, Outcome("HTTP 410", gone=True))
    assert await fail(endpoint) == 1


async def test_a_healthy_endpoint_has_several_attempts_at_a_time(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    async with endpoint.attempt() as first, endpoint.attempt() as second:
        assert (first, second) == (0, 0)


async def race(endpoint: Endpoint, outcomes: list[Outcome], clock: Clock) -> tuple[int, list[float]]:
    """Try four lanes at once. Return the largest number of attempts at a time, and the pauses of the other lanes."""
    now, most, pauses = 0, 0, []

    async def lane() -> None:
        nonlocal now, most
        async with endpoint.attempt() as pause:
            if pause:
                pauses.append(pause)
                return
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            outcome = outcomes.pop(0)
            if outcome.error:
                endpoint.fail(outcome)
            else:
                endpoint.succeed()
            now -= 1

    await asyncio.gather(*(lane() for _ in range(4)))
    return most, pauses


async def test_after_the_pause_one_lane_tries_and_the_others_wait_for_its_failure(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    clock.now += await fail(endpoint)
    assert await race(endpoint, [BAD], clock) == (1, [2, 2, 2])


async def test_after_the_pause_one_lane_tries_and_its_success_frees_the_others(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    clock.now += await fail(endpoint)
    most, pauses = await race(endpoint, [Outcome()] * 4, clock)
    assert pauses == []
    assert most == 3


async def test_a_cancelled_attempt_frees_the_endpoint(clock: Clock) -> None:
    endpoint = Endpoint(clock)
    clock.now += await fail(endpoint)

    async def hang() -> None:
        async with endpoint.attempt():
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hang())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(fail(endpoint)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    hanging.cancel()
    assert await waiting[1] == 2
    await asyncio.wait([hanging, waiting[0]])


async def test_only_endpoints_in_use_or_failing_need_memory(clock: Clock) -> None:
    known = Endpoints(clock)
    for number in range(1000):
        with known.use(("app", str(number))):
            assert len(known) == 1
    with known.use(("app", "failing")) as endpoint:
        endpoint.fail(BAD)
    assert len(known) == 1
    with known.use(("app", "failing")) as same:
        assert same is endpoint
        same.succeed()
    assert len(known) == 0
    with known.use(("app", "removed")) as endpoint:
        endpoint.fail(BAD)
    known.forget(("app", "removed"))
    assert len(known) == 0
