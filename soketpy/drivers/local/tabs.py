"""The states of tabs, in the memory of this process."""

from collections.abc import Callable

from soketpy.core.tabs import TabState, unsaved
from soketpy.drivers.local.shares import Shares

MOST = 50_000
"""Tabs whose states are remembered. Beyond it, those of the app with the most tabs that were saved or claimed first are
forgotten."""

KEPT = 86_400.0
"""Seconds for which the state of a tab is remembered, so that a tab that was away for too long can be told so."""


class LocalTabs:
    """The states of tabs by app and tab, with the connection that may save each."""

    durable = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._states = Shares[tuple[str, str], tuple[str, TabState | None]](MOST)

    def __len__(self) -> int:
        return len(self._states)

    async def claim(self, app_id: str, tab_id: str, socket_id: str) -> TabState | None:
        """Return the state of a tab, and let only this connection save it from now on."""
        owner, state = self._states.get((app_id, tab_id), self._clock()) or ("", None)
        self._put(app_id, tab_id, socket_id, state)
        return unsaved(self._clock()) if owner and state is None else state

    def save(self, app_id: str, tab_id: str, socket_id: str, state: TabState, kept: float | None = None) -> None:
        """Save the state of a tab, unless another connection has claimed it."""
        found = self._states.get((app_id, tab_id))
        if found is None or found[0] == socket_id:  # a connected tab may have been forgotten
            self._put(app_id, tab_id, socket_id, state)

    def _put(self, app_id: str, tab_id: str, socket_id: str, state: TabState | None) -> None:
        now = self._clock()
        self._states.put((app_id, tab_id), (socket_id, state), now + KEPT, now)
