"""The last event of each cache channel: the contract of a cache, held by every driver."""

from collections.abc import Callable

import pytest

from soketpy.drivers.local.cache import LocalCache
from tests.fakes import FakeLoop, now

MakeCache = Callable[[FakeLoop, float, int], LocalCache]


@pytest.fixture(params=[lambda loop, ttl, limit: LocalCache(ttl, limit, loop.time)], ids=["local"])
def make_cache(request: pytest.FixtureRequest) -> MakeCache:
    make: MakeCache = request.param
    return make


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def cache(make_cache: MakeCache, loop: FakeLoop) -> LocalCache:
    return make_cache(loop, 1800, 3)


def remembered(cache: LocalCache, channel: str, app_id: str = "app") -> bytes | None:
    event = now(cache.get(app_id, channel))
    return None if event is None else event.data


def test_a_cache_starts_empty(cache: LocalCache) -> None:
    assert now(cache.get("app", "cache-a")) is None


def test_the_last_event_is_remembered(cache: LocalCache) -> None:
    cache.put("app", "cache-a", "first", b'"1"')
    cache.put("app", "cache-a", "second", b'"2"')
    event = now(cache.get("app", "cache-a"))
    assert event is not None
    assert (event.name, event.data) == ("second", b'"2"')


def test_apps_and_channels_are_apart(cache: LocalCache) -> None:
    cache.put("app", "cache-a", "said", b"1")
    assert remembered(cache, "cache-b") is None
    assert remembered(cache, "cache-a", "other") is None


def test_an_event_is_forgotten_when_its_time_is_over(cache: LocalCache, loop: FakeLoop) -> None:
    cache.put("app", "cache-a", "said", b"1")
    loop.advance(1799)
    assert remembered(cache, "cache-a") == b"1"
    loop.advance(1)
    assert remembered(cache, "cache-a") is None


def test_a_new_event_has_its_whole_time(cache: LocalCache, loop: FakeLoop) -> None:
    cache.put("app", "cache-a", "said", b"1")
    loop.advance(1000)
    cache.put("app", "cache-a", "said", b"2")
    loop.advance(1000)
    assert remembered(cache, "cache-a") == b"2"


def test_an_event_that_was_forgotten_can_be_followed_by_another(cache: LocalCache, loop: FakeLoop) -> None:
    cache.put("app", "cache-a", "said", b"1")
    loop.advance(1800)
    cache.put("app", "cache-a", "said", b"2")
    assert remembered(cache, "cache-a") == b"2"


def test_the_time_that_is_left_is_told_in_whole_seconds(cache: LocalCache, loop: FakeLoop) -> None:
    cache.put("app", "cache-a", "said", b"1")
    event = now(cache.get("app", "cache-a"))
    assert event is not None
    assert cache.ttl(event) == 1800
    loop.advance(60.25)
    assert cache.ttl(event) == 1740
    loop.advance(5000)
    assert cache.ttl(event) == 0


def test_beyond_the_limit_the_channel_that_was_set_longest_ago_is_forgotten(cache: LocalCache) -> None:
    for name in "abc":
        cache.put("app", f"cache-{name}", "said", name.encode())
    cache.put("app", "cache-a", "said", b"again")
    cache.put("app", "cache-d", "said", b"d")
    assert [remembered(cache, f"cache-{name}") for name in "abcd"] == [b"again", None, b"c", b"d"]


@pytest.mark.parametrize(("ttl", "limit"), [(0, 3), (1800, 0), (0, 0)])
def test_a_cache_may_be_one_that_remembers_nothing(
    make_cache: MakeCache, loop: FakeLoop, ttl: float, limit: int
) -> None:
    cache = make_cache(loop, ttl, limit)
    cache.put("app", "cache-a", "said", b"1")
    cache.put("app", "cache-a", "said", b"2")
    assert now(cache.get("app", "cache-a")) is None


def test_what_is_over_its_time_takes_no_place_in_memory(loop: FakeLoop) -> None:
    cache = LocalCache(1800, 1_000, loop.time)
    for number in range(100):
        cache.put("app", f"cache-{number}", "said", b"1")
    loop.advance(1800)
    cache.put("app", "cache-new", "said", b"1")
    assert len(cache._events) == 1
