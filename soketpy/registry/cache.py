"""The cache in front of a registry of apps. Lookups of cached apps never wait."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import islice

from soketpy.core.app_registry import AppSource, BrokenApp, Found, RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.containment import attempt, contain
from soketpy.core.traffic import RegistryCounts
from soketpy.registry.lookups import BATCH, Lookups, end
from soketpy.registry.problems import Problems
from soketpy.registry.refused import Refused

log = logging.getLogger("soketpy.apps")

CHECK_INTERVAL = 1.0
"""Seconds between two checks of which apps must be refreshed."""

REFRESH_AT = 0.75
"""The part of the time to live after which an app in use is refreshed, so that no client waits for it."""

EVICTIONS = 100
"""Apps with connections that are passed over in the search for apps that can be evicted."""


class _Entry:
    """A cached app. ``stored`` is the app with the keys that have ended, ``keys`` are the keys that were looked up."""

    __slots__ = ("app", "ends", "keys", "loaded", "stored", "used")

    def __init__(self, app: App, stored: App, loaded: float, ends: float | None, keys: set[str]) -> None:
        self.app = app
        self.stored = stored
        self.loaded = loaded
        self.ends = ends
        self.keys = keys
        self.used = True


class CachedApps:
    """The apps of a registry, loaded when they are first used (``core.apps.Apps``).

    An app that is used, or that ``in_use`` names because it has connections, is refreshed before its time to live
    ends. Others are dropped. While the registry is unavailable, cached apps stay as they are, whatever their age.
    ``changed`` is called with the ids of the apps that are different, or gone, after a refresh.

    All times are in seconds: ``ttl`` of an app, and ``unknown_ttl`` of an id or a key without an app. ``size`` is the
    number of apps that are kept; apps with connections are kept above it too.
    """

    def __init__(
        self,
        source: AppSource,
        *,
        ttl: float = 30,
        unknown_ttl: float = 5,
        size: int = 10_000,
        in_use: Callable[[str], bool] = lambda app_id: False,
        changed: Callable[[Collection[str]], object] = lambda ids: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.in_use = in_use
        self.changed = changed
        self.queries = 0
        self._source = source
        self._ttl = ttl
        self._size = size
        self._clock = clock
        self._now = now
        self._entries: dict[str, _Entry] = {}  # the one that was loaded first is first
        self._keys: dict[str, str] = {}  # the app of each key that was looked up
        self._no_ids = Refused(unknown_ttl, size, clock)
        self._no_keys = Refused(unknown_ttl, size, clock)
        self._stale: set[str] = set()
        self._problems = Problems(size)
        self._lookups = Lookups(self._query, self._id_answer, self._key_answer, self._evict, clock)
        self._unavailable = self._stopping = False
        self._in_flight = 0  # queries
        self._overtaken: set[str | None] = set()  # apps that were invalidated during a query; None stands for all
        self._wake = asyncio.Event()
        self._refreshing: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    async def start(self) -> None:
        """Open the registry. Raise what ``AppSource.start`` raises. Call ``stop`` in any case."""
        await self._source.start(self.invalidate)
        self._refreshing = asyncio.create_task(self._refresh_forever())

    async def stop(self) -> None:
        """Refuse the lookups that wait, and close the registry."""
        self._stopping = True
        self._wake.set()
        await self._lookups.stop()
        if self._refreshing is not None:
            await end(self._refreshing)
        await self._source.stop()

    def counts(self) -> RegistryCounts:
        """Return the counters and gauges of this cache."""
        return RegistryCounts(self.queries, self._lookups.waits, len(self._entries), 1, int(not self._unavailable))

    # Lookups

    def by_id(self, app_id: str) -> App | None:
        """Return the app with this id if it is cached, else None."""
        entry = self._entries.get(app_id)
        if entry is None:
            return None
        entry.used = True
        return entry.app

    def by_key(self, key: str) -> App | None:
        """Return the app that has this key if it is cached, else None."""
        app = self.by_id(self._keys.get(key, ""))
        return app if app is not None and app.secret_of(key) is not None else None

    async def find_by_id(self, app_id: str) -> App | None:
        """See ``core.apps.Apps``."""
        if app_id in self._entries or app_id in self._no_ids:
            return self._id_answer(app_id)
        return await self._lookups.by_id(app_id)

    async def find_by_key(self, key: str) -> App | None:
        """See ``core.apps.Apps``."""
        if (app := self.by_key(key)) is not None:
            return app
        return self._key_answer(key) if key in self._no_keys else await self._lookups.by_key(key)

    async def load(self, ids: Iterable[str]) -> None:
        """See ``core.apps.Apps``."""
        missing = [app_id for app_id in ids if app_id not in self._entries and app_id not in self._no_ids]
        answers = await asyncio.gather(*map(self._lookups.by_id, missing), return_exceptions=True)
        for fault in answers:
            if isinstance(fault, BaseException) and not isinstance(fault, AppRefused):
                raise fault

    def _id_answer(self, app_id: str) -> App | None:
        if (app := self.by_id(app_id)) is None:
            _check(self._no_ids, app_id)
        return app

    def _key_answer(self, key: str) -> App | None:
        if (app := self.by_key(key)) is None:
            _check(self._no_keys, key)
        return app

    # Changes

    def invalidate(self, app_id: str | None = None) -> None:
        """Refresh an app, or all, as soon as possible. Never raises."""
        if app_id is None:
            self._source.look_again()
            self._stale.update(self._entries)
            self._no_ids.clear()
        else:
            self._stale.add(app_id)
            self._no_ids.forget(app_id)
        self._no_keys.clear()
        if self._in_flight:
            self._overtaken.add(app_id)
        self._wake.set()

    async def _refresh_forever(self) -> None:
        while not self._stopping:
            await self._pause()
            try:
                await self._refresh()
            except RegistryUnavailable:
                self._wake.clear()  # it is logged; apps that were invalidated stay stale until the next check
            except Exception as fault:
                contain(log, fault, "Apps could not be refreshed")
                self._wake.clear()

    async def _pause(self) -> None:
        """Wait until the next check is due, an app was invalidated, or the server stops."""
        try:
            async with asyncio.timeout(CHECK_INTERVAL):
                await self._wake.wait()
        except TimeoutError:
            pass
        if not self._stopping:
            self._wake.clear()

    async def _refresh(self) -> None:
        """End keys whose time has come, drop unused apps, and refresh those that are due."""
        self._end_keys()
        self._evict()
        due = self._due()
        for start in range(0, len(due), BATCH):
            if self._stopping:
                return
            ids = due[start : start + BATCH]
            self._stale.difference_update(ids)
            keys = [key for app_id in ids if app_id in self._entries for key in self._entries[app_id].keys]
            try:
                await self._query(ids, keys)
            except BaseException:
                self._stale.update(app_id for app_id in ids if app_id in self._entries)
                raise

    def _due(self) -> list[str]:
        """Return the apps that must be refreshed. Drop those that are old and not in use."""
        now, old = self._clock(), []
        for app_id, entry in self._entries.items():
            if entry.loaded > now - self._ttl * REFRESH_AT:
                break
            old.append(app_id)
        due = []
        for app_id in dict.fromkeys((*self._stale, *old)):
            entry_or_none = self._entries.get(app_id)
            if entry_or_none is None:
                self._stale.discard(app_id)
            elif entry_or_none.used or self.in_use(app_id):
                due.append(app_id)
            elif app_id in self._stale or entry_or_none.loaded <= now - self._ttl:
                self._drop(app_id)
        return due

    def _end_keys(self) -> None:
        now = self._now()
        ended = [entry.stored for entry in self._entries.values() if entry.ends is not None and entry.ends <= now]
        different = {app.id for app in ended if self._store(app, loaded=self._entries[app.id].loaded)}
        self._report(different)

    # The registry

    async def _query(self, ids: Collection[str], keys: Collection[str]) -> None:
        """Fetch apps, and take them into the cache."""
        self.queries += 1
        self._in_flight += 1
        try:
            found = await self._source.fetch(ids, keys)
            self._note_availability(None)
            self._take_in(ids, keys, found)
        except RegistryUnavailable as fault:
            self._note_availability(fault)
            raise
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._overtaken.clear()

    def _note_availability(self, fault: RegistryUnavailable | None) -> None:
        """Log that the registry has become unavailable, or available again."""
        was_unavailable, self._unavailable = self._unavailable, fault is not None
        if fault is not None and not was_unavailable:
            log.warning(
                "The database of the apps is unavailable, and the apps stay as they are: %(reason)s",
                {"event": "apps_unavailable", "reason": fault},
            )
        elif fault is None and was_unavailable:
            log.info("The database of the apps is available again", {"event": "apps_available"})

    def _is_overtaken(self, app_id: str) -> bool:
        """Return whether the answer of a query may be older than the last change of an app."""
        return app_id in self._overtaken or None in self._overtaken

    def _take_in(self, ids: Collection[str], keys: Collection[str], found: Found) -> None:
        different = set()
        for each in found:
            if isinstance(each, BrokenApp):
                self._refuse(each)
            elif self._store(each):
                different.add(each.id)
            if self._is_overtaken(each.id):
                self._stale.add(each.id)
                self._wake.set()
        for app_id in set(ids).difference(each.id for each in found):
            if self._is_overtaken(app_id):
                continue
            self._no_ids.add(app_id)
            if self._drop(app_id):
                different.add(app_id)
        owners: dict[str, list[App | BrokenApp]] = {}
        for each in found:
            for key in keys_of(each):
                owners.setdefault(key, []).append(each)
        for key in keys:
            self._own(key, owners.get(key, []))
        self._report(different)

    def _own(self, key: str, owners: list[App | BrokenApp]) -> None:
        """Remember which app has a key. A key of two apps belongs to none: a client could get to the wrong one."""
        if len(owners) > 1:
            self._problems.key_of_several([each.id for each in owners])
            self._disown(key)
            self._no_keys.add(key, "several apps have this key")
            return
        owner = owners[0] if owners else None
        entry = None if owner is None else self._entries.get(owner.id)
        if entry is not None and entry.app.secret_of(key) is not None:
            entry.keys.add(key)
            self._keys[key] = entry.app.id
            self._no_keys.forget(key)
            return
        self._disown(key)
        if not self._overtaken:
            self._no_keys.add(key, owner.problem if isinstance(owner, BrokenApp) else None)

    def _disown(self, key: str) -> None:
        entry = self._entries.get(self._keys.pop(key, ""))
        if entry is not None:
            entry.keys.discard(key)

    def _refuse(self, broken: BrokenApp) -> None:
        """Keep the last valid version of an app, or refuse its clients if there is none."""
        entry = self._entries.get(broken.id)
        self._problems.not_valid(broken, "it is refused" if entry is None else "it stays as it was")
        if entry is None:
            self._no_ids.add(broken.id, broken.problem)
        else:
            self._touch(broken.id, entry)

    # Entries

    def _store(self, stored: App, loaded: float | None = None) -> bool:
        """Store an app without the keys that have ended. Return whether a cached app is different now."""
        now = self._now()
        keys = tuple(key for key in stored.keys if key.ends_at is None or key.ends_at > now)
        former = self._entries.get(stored.id)
        if not keys:
            self._problems.without_keys(stored.id)
            self._no_ids.add(stored.id, "every key of the app has ended")
            return self._drop(stored.id)
        app = stored if len(keys) == len(stored.keys) else replace(stored, keys=keys)
        ends = min((key.ends_at for key in keys if key.ends_at is not None), default=None)
        if former is None:
            self._entries[app.id] = _Entry(app, stored, self._clock() if loaded is None else loaded, ends, set())
            self._no_ids.forget(app.id)
            self._problems.forget(app.id)
            return False
        different = former.app != app
        former.stored, former.ends = stored, ends
        if different:
            former.app = app  # connections and requests compare apps by identity
        if loaded is None:
            self._problems.forget(app.id)
            self._touch(app.id, former)
        return different

    def _touch(self, app_id: str, entry: _Entry) -> None:
        """Note that an app was loaded now."""
        entry.loaded, entry.used = self._clock(), False
        del self._entries[app_id]
        self._entries[app_id] = entry

    def _drop(self, app_id: str) -> bool:
        """Remove an app from the cache. Return whether it was there."""
        entry = self._entries.pop(app_id, None)
        for key in () if entry is None else entry.keys:
            self._keys.pop(key, None)
        self._stale.discard(app_id)
        return entry is not None

    def _evict(self) -> None:
        """Drop the oldest apps without connections, until there are ``size`` apps."""
        surplus = len(self._entries) - self._size
        if surplus > 0:
            oldest = islice(self._entries, surplus + EVICTIONS)
            for app_id in list(islice((each for each in oldest if not self.in_use(each)), surplus)):
                self._drop(app_id)

    def _report(self, different: Collection[str]) -> None:
        if different:
            attempt(log, self.changed, different)


def keys_of(app: App | BrokenApp) -> tuple[str, ...]:
    """Return the keys of an app or of a broken one."""
    return app.keys if isinstance(app, BrokenApp) else tuple(pair.key for pair in app.keys)


class AppRefused(RegistryUnavailable):
    """The registry has an app with this name, but the app cannot be used. The text says why."""


def _check(refused: Refused, name: str) -> None:
    """Raise AppRefused if there is an app with this name that cannot be used."""
    reason = refused.reason(name)
    if reason is not None:
        raise AppRefused(reason)
