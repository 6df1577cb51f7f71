"""Idempotency keys of the last minutes, in the memory of this process."""

from collections.abc import Callable
from typing import Generic, TypeVar

from soketpy.drivers.local.shares import Shares

K = TypeVar("K", bound=tuple[str, ...])
V = TypeVar("V")

MOST = 100_000
"""Keys that are remembered. Beyond it, the app with the most keys forgets those that were used first."""


class Recent(Generic[K, V]):
    """Values that are remembered for a ``window`` of seconds. ``clock`` may be any clock.

    The first part of a key is the id of an app.
    """

    def __init__(self, clock: Callable[[], float], window: float) -> None:
        self._clock = clock
        self._window = window
        self._values = Shares[K, V](MOST)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        return self._values.get(key, self._clock())

    def put(self, key: K, value: V) -> None:
        """Remember a value, and forget what is too old."""
        now = self._clock()
        self._values.put(key, value, now + self._window, now)


class LocalAnswers:
    """The answers to calls with an idempotency key, by app and key."""

    def __init__(self, clock: Callable[[], float], window: float) -> None:
        self._recent = Recent[tuple[str, str], bytes](clock, window)

    async def find(self, app_id: str, key: str) -> bytes | None:
        """Return the answer to the call with a key, or None."""
        return self._recent.get((app_id, key))

    def put(self, app_id: str, key: str, answer: bytes) -> None:
        """Remember the answer to a call."""
        self._recent.put((app_id, key), answer)
