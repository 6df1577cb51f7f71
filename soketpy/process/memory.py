"""The memory of a process that runs only the server: short garbage collections, and free memory is returned.

A full collection visits every object, which takes 34 ms with 15,000 clients, and runs again whenever the number of
objects has grown by a quarter. Here the objects that survive a collection are frozen (``gc.freeze``), so that the next
collection visits new objects only. A frozen object is freed as usual when its last reference is removed; only
frozen reference cycles stay. Objects of soketpy leave no cycles when they end (``tests/process/test_memory.py``). For
cycles of other libraries, everything is collected once the number of frozen objects has doubled.
"""

import gc
from collections.abc import Callable

FULL_AFTER = 3
"""Collections of the second generation before a full one.

Each visits some 7,000 new objects, so a full one takes a few ms.
"""

FEW = 1_000
"""Number of clients below which no memory is returned."""

GROWTH = 100_000
"""Number of objects by which the frozen objects must have grown, besides doubling, before everything is collected."""


def keep_collections_short() -> None:
    """Freeze the objects that survive a full collection, from now on, and collect more often."""
    gc.set_threshold(*gc.get_threshold()[:2], FULL_AFTER)
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)
    gc.collect()


def _freeze(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def collect_everything() -> None:
    """Free all cycles, frozen ones too. Block for some milliseconds, longer in a very large process."""
    gc.unfreeze()
    gc.collect()  # also empties Python's free lists


def give_back() -> None:
    """Return free memory to the system. Block for some milliseconds, longer in a very large process."""
    collect_everything()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def _malloc_trim() -> Callable[[int], object] | None:
    """Return the C function that returns memory, or None. Only glibc has it; musl and macOS do not."""
    try:
        import ctypes

        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (ImportError, OSError, TypeError):  # Python has no libffi, or finds no C library
        return None


class Upkeep:
    """The periodic check of the memory.

    It returns memory when half of the clients have disconnected, and collects frozen cycles.
    """

    def __init__(self, give_back: Callable[[], None] = give_back) -> None:
        self._give_back = give_back
        self._most = FEW
        self._collections = 0
        self._bound = 2 * gc.get_freeze_count() + GROWTH

    def check(self, clients: int) -> None:
        """Check the memory. ``clients`` is the number of connected clients."""
        if clients * 2 < self._most and self._most > FEW:
            self._most = FEW
            self._give_back()
        self._most = max(self._most, clients)
        collections = gc.get_stats()[2]["collections"]
        if collections > self._collections:
            self._collections = collections
            self._check_frozen()

    def _check_frozen(self) -> None:
        if gc.get_freeze_count() > self._bound:
            collect_everything()
            self._bound = 2 * gc.get_freeze_count() + GROWTH
