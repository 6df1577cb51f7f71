"""Ids and keys that no app has, remembered for some seconds, so that they cannot flood the registry."""

from collections.abc import Callable


class Refused:
    """Ids or keys without an app. Each has a reason, or None if there is just no app. The oldest ones are forgotten."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._names: dict[str, tuple[float, str | None]] = {}  # in the order in which they are forgotten

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        found = self._names.get(name)
        return found is not None and found[0] > self._clock()

    def reason(self, name: str) -> str | None:
        """Return why there is no app with this name, or None if there is just none."""
        return self._names[name][1] if name in self._names else None

    def add(self, name: str, reason: str | None = None) -> None:
        """Remember that there is no app with this name."""
        self._names.pop(name, None)
        self._names[name] = self._clock() + self._seconds, reason
        if len(self._names) > self._most:
            del self._names[next(iter(self._names))]

    def forget(self, name: str) -> None:
        """Forget a name, because there is an app now."""
        self._names.pop(name, None)

    def clear(self) -> None:
        """Forget all names."""
        self._names.clear()
