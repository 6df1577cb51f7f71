"""Log lines about apps of a database that cannot be used. Each problem is logged once."""

import logging

from soketpy.core.app_registry import BrokenApp

log = logging.getLogger("soketpy.apps")


class Problems:
    """The last problem of each broken app, of at most ``most`` apps."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last: dict[str, str] = {}

    def not_valid(self, broken: BrokenApp, effect: str) -> None:
        """Log that the entry of an app is not valid."""
        if self._is_new(broken.id, broken.problem):
            log.error(
                "App %(app)s in the database is not valid, and %(effect)s: %(reason)s",
                {"event": "app_not_valid", "app": broken.id, "effect": effect, "reason": broken.problem},
            )

    def without_keys(self, app_id: str) -> None:
        """Log that every key of an app has ended."""
        if self._is_new(app_id, "keys"):
            log.error(
                "App %(app)s in the database is refused: every key of it has ended",
                {"event": "app_without_keys", "app": app_id},
            )

    def key_of_several(self, app_ids: list[str]) -> None:
        """Log that several apps have the same key."""
        names = " and ".join(sorted(app_ids))
        if self._is_new(f"key of {names}", "the same key"):
            log.error(
                "Apps %(apps)s have the same key (column key): nobody can use it",
                {"event": "app_key_not_unique", "apps": names},
            )

    def forget(self, app_id: str) -> None:
        """Forget the problem of an app that is valid now."""
        self._last.pop(app_id, None)

    def _is_new(self, name: str, problem: str) -> bool:
        """Return whether the last problem of this name was another one."""
        if self._last.get(name) == problem:
            return False
        self._last.pop(name, None)
        self._last[name] = problem
        if len(self._last) > self._most:
            del self._last[next(iter(self._last))]
        return True
