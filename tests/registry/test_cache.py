"""The cache in front of a registry of apps. The registry is in memory; time stands still until a test moves it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from soketpy.core.app_registry import BrokenApp, Changed, Found, RegistryUnavailable
from soketpy.core.apps import App, Key
from soketpy.registry import lookups
from soketpy.registry.cache import CachedApps, keys_of
from tests.patience import PATIENCE

TTL, UNKNOWN_TTL = 30, 5


def app(number: int, **fields: object) -> App:
    return App(id=str(number), keys=(Key(f"key-{number}", "secret"),), **fields)  # type: ignore[arg-type]


class Source:
    """A registry in memory. ``fault`` is raised by each query, ``gate`` holds queries until it is set."""

    def __init__(self, apps: Iterable[App | BrokenApp]) -> None:
        self.apps = list(apps)
        self.fault: Exception | None = None
        self.looks = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.queries: list[tuple[set[str], set[str]]] = []
        self.began = asyncio.Event()

    async def start(self, changed: Changed) -> None:
        pass

    async def stop(self) -> None:
        pass

    def look_again(self) -> None:
        self.looks += 1

    async def fetch(self, ids: Collection[str], keys: Collection[str]) -> Found:
        self.queries.append((set(ids), set(keys)))
        self.began.set()
        found = [each for each in self.apps if each.id in ids or not set(keys).isdisjoint(keys_of(each))]
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return found

    def put(self, changed: App | BrokenApp) -> None:
        self.apps = [each for each in self.apps if each.id != changed.id] + [changed]


class Cached(CachedApps):
    """A cache whose time and refreshes the tests control."""

    def __init__(self, source: Source, size: int = 100) -> None:
        self.source, self.time, self.connected = source, 1000.0, set[str]()
        self.reported: list[set[str]] = []
        super().__init__(
            source,
            ttl=TTL,
            unknown_ttl=UNKNOWN_TTL,
            size=size,
            in_use=self.connected.__contains__,
            changed=lambda ids: self.reported.append(set(ids)),
            clock=lambda: self.time,
            now=lambda: self.time,
        )

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and make the check that is due."""
        self.time += seconds
        await self.check()

    async def check(self) -> None:
        await self._refresh()


@asynccontextmanager
async def cached(*apps: App | BrokenApp, size: int = 100) -> AsyncIterator[Cached]:
    cache = Cached(Source(apps), size)
    try:
        async with asyncio.timeout(PATIENCE):
            yield cache
    finally:
        await cache.stop()


# Lookups


async def test_an_app_is_fetched_once() -> None:
    async with cached(app(1)) as cache:
        assert cache.by_id("1") is None
        found = await cache.find_by_id("1")
        assert found == app(1)
        assert cache.by_id("1") is found
        assert await cache.find_by_id("1") is found
        assert len(cache.source.queries) == 1


async def test_an_app_is_found_by_each_of_its_keys() -> None:
    async with cached(replace(app(1), keys=(Key("new", "s"), Key("old", "t")))) as cache:
        found = await cache.find_by_key("new")
        assert found is not None
        assert cache.by_key("new") is found
        assert cache.by_key("old") is None
        assert await cache.find_by_key("old") is found
        assert cache.by_key("old") is found


async def test_concurrent_lookups_of_an_app_are_one_query() -> None:
    async with cached(app(1)) as cache:
        found = await asyncio.gather(*(cache.find_by_id("1") for _ in range(50)))
        assert {each.id for each in found if each is not None} == {"1"}
        assert len(found) == 50
        assert cache.source.queries == [({"1"}, set())]


async def test_lookups_that_come_during_a_query_share_the_next_one() -> None:
    async with cached(*map(app, range(20))) as cache:
        cache.source.gate.clear()
        first = asyncio.create_task(cache.find_by_id("0"))
        await cache.source.began.wait()
        others = [asyncio.create_task(cache.find_by_id(str(number))) for number in range(1, 20)]
        others.append(asyncio.create_task(cache.find_by_key("key-5")))
        await asyncio.sleep(0)
        cache.source.gate.set()
        assert all(await asyncio.gather(first, *others))
        assert cache.source.queries == [({"0"}, set()), (set(map(str, range(1, 20))), {"key-5"})]


async def test_one_query_has_a_bounded_number_of_ids() -> None:
    async with cached() as cache:
        await asyncio.gather(*(cache.find_by_id(str(number)) for number in range(250)))
        assert [len(ids) for ids, _ in cache.source.queries] == [100, 100, 50]


async def test_a_caller_that_is_cancelled_does_not_cancel_the_others() -> None:
    async with cached(app(1)) as cache:
        cache.source.gate.clear()
        cancelled, other = (asyncio.create_task(cache.find_by_id("1")) for _ in range(2))
        await cache.source.began.wait()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        cache.source.gate.set()
        assert await other == app(1)


async def test_more_waiting_lookups_than_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MOST_WAITING", 1)
    async with cached(app(1), app(2)) as cache:
        cache.source.gate.clear()
        first = asyncio.create_task(cache.find_by_id("1"))
        await cache.source.began.wait()
        with pytest.raises(RegistryUnavailable, match="too many"):
            await cache.find_by_id("2")
        cache.source.gate.set()
        assert await first == app(1)


async def test_load_fetches_only_what_is_missing() -> None:
    async with cached(app(1), app(2)) as cache:
        await cache.find_by_id("1")
        await cache.load(["1", "2", "3"])
        await cache.load(["1", "2", "3"])
        assert cache.by_id("2") == app(2)
        assert cache.source.queries[1:] == [({"2", "3"}, set())]


# Ids and keys without an app


@pytest.mark.parametrize("by", ["find_by_id", "find_by_key"])
async def test_an_unknown_name_is_asked_for_once_in_its_time(by: str) -> None:
    async with cached() as cache:
        find: Callable[[str], object] = getattr(cache, by)
        for _ in range(3):
            assert await find("nobody") is None  # type: ignore[misc]
        assert len(cache.source.queries) == 1
        cache.time += UNKNOWN_TTL
        assert await find("nobody") is None  # type: ignore[misc]
        assert len(cache.source.queries) == 2


async def test_the_number_of_unknown_names_is_bounded() -> None:
    async with cached(size=10) as cache:
        for number in range(50):
            await cache.find_by_id(f"no-{number}")
            await cache.find_by_key(f"no-{number}")
        assert len(cache._no_ids) == len(cache._no_keys) == 10


@pytest.mark.parametrize("by", ["find_by_id", "find_by_key"])
async def test_a_very_long_name_is_unknown_without_a_query(by: str) -> None:
    async with cached() as cache:
        find: Callable[[str], object] = getattr(cache, by)
        assert await find("x" * (lookups.LONGEST + 1)) is None  # type: ignore[misc]
        await cache.load(["x" * (lookups.LONGEST + 1)])
        assert cache.source.queries == []


async def test_an_app_that_was_added_is_found_after_a_notification() -> None:
    async with cached() as cache:
        assert await cache.find_by_key("key-1") is None
        assert await cache.find_by_id("1") is None
        cache.source.put(app(1))
        cache.invalidate("1")
        assert await cache.find_by_key("key-1") == await cache.find_by_id("1") == app(1)


# Refreshes


async def test_an_app_in_use_is_refreshed_before_its_time_ends() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_id("1")
        for _ in range(5):
            await cache.pass_time(0.8 * TTL)
            assert cache.by_id("1") == app(1)
        assert len(cache.source.queries) == 6


async def test_an_app_with_connections_is_refreshed_although_nobody_asks_for_it() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_id("1")
        cache.connected.add("1")
        for _ in range(5):
            await cache.pass_time(TTL)
        assert len(cache) == 1
        assert len(cache.source.queries) == 6


async def test_an_app_that_is_not_used_is_dropped_after_its_time() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_id("1")
        await cache.pass_time(TTL)  # it was used since it was loaded, so it is refreshed
        await cache.pass_time(TTL)
        assert len(cache) == 0
        assert cache.reported == []


async def test_a_fresh_app_is_not_fetched_again() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_id("1")
        await cache.pass_time(0.5 * TTL)
        assert len(cache.source.queries) == 1


async def test_a_changed_app_is_reported_and_an_equal_one_stays_the_same_object() -> None:
    async with cached(app(1), app(2)) as cache:
        await cache.load(["1", "2"])
        second = cache.by_id("2")
        changed = app(1, enabled=False)
        cache.source.put(changed)
        await cache.pass_time(TTL)
        assert cache.reported == [{"1"}]
        assert cache.by_id("1") is changed
        assert cache.by_id("2") is second


async def test_a_removed_app_is_reported_and_unknown() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_key("key-1")
        cache.source.apps.clear()
        await cache.pass_time(TTL)
        assert cache.reported == [{"1"}]
        assert await cache.find_by_id("1") is None
        assert await cache.find_by_key("key-1") is None


async def test_a_removed_key_is_unknown() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_key("key-1")
        cache.source.put(replace(app(1), keys=(Key("key-2", "s"),)))
        await cache.pass_time(TTL)
        assert cache.by_key("key-1") is None
        assert await cache.find_by_key("key-1") is None
        assert await cache.find_by_key("key-2") is cache.by_id("1")


async def test_an_invalidated_app_is_refreshed_at_once() -> None:
    async with cached(app(1), app(2)) as cache:
        await cache.load(["1", "2"])
        cache.source.put(app(1, enabled=False))
        cache.invalidate("1")
        await cache.check()
        assert cache.reported == [{"1"}]
        assert cache.source.queries[1:] == [({"1"}, set())]


async def test_the_source_looks_at_its_tables_again_if_any_app_may_have_changed() -> None:
    async with cached(app(1)) as cache:
        cache.invalidate("1")
        assert cache.source.looks == 0
        cache.invalidate(None)
        assert cache.source.looks == 1


async def test_all_apps_are_refreshed_after_a_notification_without_an_id() -> None:
    async with cached(app(1), app(2)) as cache:
        await cache.load(["1", "2"])
        cache.invalidate(None)
        await cache.check()
        assert cache.source.queries[1:] == [({"1", "2"}, set())]


@pytest.mark.parametrize("named", ["1", None])
async def test_an_answer_that_is_older_than_a_change_does_not_stay(named: str | None) -> None:
    async with cached(app(1)) as cache:
        cache.source.gate.clear()
        lookup = asyncio.create_task(cache.find_by_id("1"))
        await cache.source.began.wait()
        cache.source.put(app(1, enabled=False))
        cache.invalidate(named)
        cache.source.gate.set()
        await lookup
        await cache.check()
        found = cache.by_id("1")
        assert found is not None
        assert not found.enabled


async def test_an_app_that_is_added_during_a_query_is_not_remembered_as_unknown() -> None:
    async with cached() as cache:
        cache.source.gate.clear()
        lookups = asyncio.gather(cache.find_by_id("1"), cache.find_by_key("key-1"))
        await cache.source.began.wait()
        cache.source.put(app(1))
        cache.invalidate("1")
        cache.source.gate.set()
        await lookups
        assert await cache.find_by_id("1") == app(1)
        assert await cache.find_by_key("key-1") == app(1)


async def test_the_refreshes_run_by_themselves() -> None:
    async with cached(app(1)) as cache:
        await cache.start()
        await cache.find_by_id("1")
        cache.source.began.clear()
        cache.invalidate("1")
        await cache.source.began.wait()


# The size


async def test_the_oldest_app_without_connections_makes_room() -> None:
    async with cached(*map(app, range(5)), size=3) as cache:
        cache.connected.add("0")
        for number in range(5):
            await cache.find_by_id(str(number))
        assert [number for number in range(5) if cache.by_id(str(number))] == [0, 3, 4]


async def test_apps_with_connections_stay_above_the_size() -> None:
    async with cached(*map(app, range(5)), size=3) as cache:
        cache.connected.update(map(str, range(5)))
        for number in range(5):
            await cache.find_by_id(str(number))
        assert len(cache) == 5


async def test_a_cache_that_is_smaller_than_one_query_knows_all_apps_and_keys() -> None:
    async with cached(*map(app, range(300)), size=20) as cache:
        found = await asyncio.gather(*(cache.find_by_key(f"key-{number}") for number in range(300)))
        assert [each and each.id for each in found] == [str(number) for number in range(300)]
        assert len(cache) == 20
        found = await asyncio.gather(*(cache.find_by_key(f"key-{number}") for number in range(300)))
        assert None not in found


# The database is down


async def test_a_cached_app_works_past_its_time(caplog: pytest.LogCaptureFixture) -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_id("1")
        cache.source.fault = RegistryUnavailable("connection refused")
        with caplog.at_level(logging.INFO, "soketpy.apps"):
            for _ in range(3):
                with pytest.raises(RegistryUnavailable):
                    await cache.pass_time(10 * TTL)
                assert cache.by_id("1") == app(1)
            cache.source.fault = None
            await cache.pass_time(1)
        assert [record.getMessage() for record in caplog.records] == [
            "The database of the apps is unavailable, and the apps stay as they are: connection refused",
            "The database of the apps is available again",
        ]
        assert cache.reported == []


async def test_an_unknown_app_is_refused_and_works_after_the_recovery() -> None:
    async with cached(app(1)) as cache:
        cache.source.fault = RegistryUnavailable("connection refused")
        for find in (cache.find_by_id("1"), cache.find_by_key("key-1")):
            with pytest.raises(RegistryUnavailable, match="connection refused"):
                await find
        cache.source.fault = None
        cache.time += lookups.PAUSE
        assert await cache.find_by_key("key-1") == app(1)


async def test_lookups_do_not_flood_a_database_that_is_down() -> None:
    async with cached() as cache:
        cache.source.fault = RegistryUnavailable("connection refused")
        for number in range(50):
            with pytest.raises(RegistryUnavailable):
                await cache.find_by_id(str(number))
        assert len(cache.source.queries) == 1


async def test_a_change_while_the_database_is_down_is_seen_after_the_recovery() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_id("1")
        cache.source.put(app(1, enabled=False))
        cache.source.fault = RegistryUnavailable("connection refused")
        cache.invalidate("1")
        with pytest.raises(RegistryUnavailable):
            await cache.check()
        cache.source.fault = None
        await cache.check()
        assert cache.reported == [{"1"}]


async def test_a_fault_of_a_driver_refuses_the_lookup(contained: list[str]) -> None:
    async with cached(app(1)) as cache:
        cache.source.fault = ZeroDivisionError()
        with pytest.raises(RegistryUnavailable, match="a fault of the server"):
            await cache.find_by_id("1")


async def test_lookups_that_wait_are_refused_at_the_stop() -> None:
    async with cached(app(1)) as cache:
        cache.source.gate.clear()
        lookup = asyncio.create_task(cache.find_by_id("1"))
        await cache.source.began.wait()
        await cache.stop()
        with pytest.raises(RegistryUnavailable, match="stopping"):
            await lookup


# Entries that are not valid

BROKEN = BrokenApp("1", ("key-1",), "webhooks: not valid JSON")


async def test_a_broken_entry_is_refused_and_named_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with cached(BROKEN, app(2)) as cache:
        for _ in range(3):
            with pytest.raises(RegistryUnavailable, match="webhooks"):
                await cache.find_by_id("1")
            with pytest.raises(RegistryUnavailable, match="webhooks"):
                await cache.find_by_key("key-1")
            cache.time += UNKNOWN_TTL
        assert await cache.find_by_id("2") == app(2)
        assert [record.getMessage() for record in caplog.records] == [
            "App 1 in the database is not valid, and it is refused: webhooks: not valid JSON"
        ]


async def test_an_app_whose_entry_breaks_stays_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    async with cached(app(1)) as cache:
        found = await cache.find_by_key("key-1")
        cache.source.put(BROKEN)
        for _ in range(2):
            await cache.pass_time(TTL)
            assert cache.by_id("1") is found
        assert cache.reported == []
        assert len(caplog.records) == 1
        cache.source.put(app(1, enabled=False))
        await cache.pass_time(TTL)
        assert cache.reported == [{"1"}]


async def test_a_key_of_two_apps_belongs_to_none(caplog: pytest.LogCaptureFixture) -> None:
    twin = replace(app(2), keys=(Key("key-2", "s"), Key("key-1", "t")))
    async with cached(app(1), twin) as cache:
        with pytest.raises(RegistryUnavailable, match="several apps"):
            await cache.find_by_key("key-1")
        assert await cache.find_by_key("key-2") == twin
        assert await cache.find_by_id("1") == app(1)
        assert "Apps 1 and 2 have the same key" in caplog.text


async def test_a_key_that_a_second_app_gets_later_belongs_to_none() -> None:
    async with cached(app(1)) as cache:
        await cache.find_by_key("key-1")
        cache.source.put(replace(app(2), keys=(Key("key-1", "t"),)))
        await cache.pass_time(TTL)
        assert cache.by_key("key-1") is None


# The end of a key


async def test_a_key_ends_at_its_time_also_while_the_database_is_down() -> None:
    old = Key("old", "s", ends_at=1010.0)
    async with cached(replace(app(1), keys=(Key("new", "s"), old))) as cache:
        found = await cache.find_by_key("old")
        assert found is not None
        assert old in found.keys
        cache.source.fault = RegistryUnavailable("connection refused")
        await cache.pass_time(10)
        assert cache.by_key("old") is None
        now = cache.by_id("1")
        assert now is not None
        assert now.keys == (Key("new", "s"),)
        assert cache.reported == [{"1"}]


async def test_a_key_that_has_ended_is_unknown() -> None:
    async with cached(replace(app(1), keys=(Key("new", "s"), Key("old", "s", ends_at=999.0)))) as cache:
        assert await cache.find_by_key("old") is None
        assert await cache.find_by_key("new") is not None


async def test_an_app_without_a_key_that_works_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with cached(replace(app(1), keys=(Key("old", "s", ends_at=1010.0),))) as cache:
        await cache.find_by_id("1")
        await cache.pass_time(10)
        assert cache.reported == [{"1"}]
        with pytest.raises(RegistryUnavailable, match="every key"):
            await cache.find_by_id("1")
        assert "every key of it has ended" in caplog.text
