"""Values of all apps with one bound: an app that has very many cannot displace those of the other apps."""

from collections import OrderedDict
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=tuple[str, ...])
V = TypeVar("V")


class Shares(Generic[K, V]):
    """At most ``most`` values. The first part of each key is the id of an app.

    If there are more, the oldest value of the app with the most values is removed. A value that has expired is removed
    some time later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._apps: OrderedDict[str, OrderedDict[K, tuple[V, float]]] = OrderedDict()
        self._of_size: dict[int, dict[str, None]] = {}  # the apps by the number of their values
        self._largest = 0  # the number of values of the largest app
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def keys(self) -> list[K]:
        """Return the keys of all values, also of expired ones."""
        return [key for values in self._apps.values() for key in values]

    def get(self, key: K, now: float = 0.0) -> V | None:
        """Return the value of a key, or None if there is none or it has expired."""
        values = self._apps.get(key[0])
        found = None if values is None else values.get(key)
        return found[0] if found is not None and found[1] > now else None

    def put(self, key: K, value: V, until: float = inf, now: float = 0.0) -> V | None:
        """Add a value as the newest one of its app. Return a value that was removed because there are too many."""
        app_id = key[0]
        self.pop(key)
        self._apps.setdefault(app_id, OrderedDict())[key] = value, until
        self._resize(app_id, len(self._apps[app_id]) - 1)
        self._remove_expired(app_id, now)
        if self._apps:
            other = next(iter(self._apps))
            self._apps.move_to_end(other)
            self._remove_expired(other, now)
        if self._total <= self._most:
            return None
        largest = next(iter(self._of_size[self._largest]))
        return self.pop(next(iter(self._apps[largest])))

    def pop(self, key: K) -> V | None:
        """Remove the value of a key, and return it; None if there is none."""
        values = self._apps.get(key[0])
        if values is None or key not in values:
            return None
        value, _ = values.pop(key)
        self._resize(key[0], len(values) + 1)
        return value

    def _remove_expired(self, app_id: str, now: float) -> None:
        """Remove some values of an app that have expired."""
        for _ in range(10):
            values = self._apps.get(app_id)
            if not values:
                return
            oldest, (_, until) = next(iter(values.items()))
            if until > now:
                return
            self.pop(oldest)

    def _resize(self, app_id: str, before: int) -> None:
        """Note that an app has one value more or less than before."""
        size = len(self._apps[app_id])
        self._total += size - before
        if before:
            del self._of_size[before][app_id]
            if not self._of_size[before]:
                del self._of_size[before]
        if size:
            self._of_size.setdefault(size, {})[app_id] = None
        else:
            del self._apps[app_id]
        if size > self._largest or self._largest not in self._of_size:
            self._largest = size  # it was this app alone
