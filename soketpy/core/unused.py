"""The search for counters that nobody needs any more."""

from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")


class Unused(Generic[K]):
    """The counters that were not in use at the last call."""

    def __init__(self) -> None:
        self._last: dict[K, tuple[int, ...]] = {}

    def since_last_call(self, counters: Mapping[K, tuple[int, ...]]) -> set[K]:
        """Return the keys that were not in use at the last call either, and whose counters have not changed.

        ``counters`` has the values of all keys that are not in use now.
        """
        gone = {key for key, values in counters.items() if self._last.get(key) == values}
        self._last = {key: values for key, values in counters.items() if key not in gone}
        return gone
