"""The memory of a process that is the server and nothing else: short garbage collections, and what is free given back.

A full collection looks at every object, which takes 34 ms with 15,000 clients, and comes again whenever a quarter more
have been made. Here whatever has survived one is put aside (``gc.freeze``), so that the next looks at new objects only.
What is put aside is freed as ever when its last reference goes. Only cycles stay: nothing of ours that ends leaves any,
``tests/process/test_memory.py`` sees to it; for the rest, everything is looked at once what is aside has doubled.
"""

import gc
from collections.abc import Callable

FULL_AFTER = 3
"""Collections of the second generation, each of some 7,000 new objects, before a full one: that takes a few ms then."""

FEW = 1_000
"""Clients whose memory is not worth a look."""


GROWTH = 100_000
"""Objects by which what is put aside must have grown, besides doubling, to be looked at again."""


def keep_collections_short() -> None:
    """Put aside what survives a full collection, from now on, and do not let much gather before the next."""
    gc.set_threshold(*gc.get_threshold()[:2], FULL_AFTER)
    if _put_aside not in gc.callbacks:
        gc.callbacks.append(_put_aside)
    gc.collect()


def _put_aside(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def collect_everything() -> None:
    """Free all cycles, and what is aside as well. Blocks for some milliseconds, more in a very large process."""
    gc.unfreeze()
    gc.collect()  # which also empties the lists of objects that Python keeps for later


def give_back() -> None:
    """Return what is free to the system. Blocks for some milliseconds, more in a very large process."""
    collect_everything()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def _malloc_trim() -> Callable[[int], object] | None:
    """Return what the C library has for it. Only glibc has it; musl and macOS do not."""
    try:
        import ctypes

        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (ImportError, OSError, TypeError):  # Python without libffi, or without a C library to load
        return None


class Upkeep:
    """Gives memory back each time that half of the clients have gone, and frees what short collections cannot."""

    def __init__(self, give_back: Callable[[], None] = give_back) -> None:
        self._give_back = give_back
        self._most = FEW
        self._collections = 0
        self._bound = 2 * gc.get_freeze_count() + GROWTH

    def look(self, clients: int) -> None:
        """Take note of how many there are now; to be called now and then."""
        if clients * 2 < self._most and self._most > FEW:
            self._most = FEW
            self._give_back()
        self._most = max(self._most, clients)
        collections = gc.get_stats()[2]["collections"]
        if collections > self._collections:
            self._collections = collections
            self._look_aside()

    def _look_aside(self) -> None:
        if gc.get_freeze_count() > self._bound:
            collect_everything()
            self._bound = 2 * gc.get_freeze_count() + GROWTH
