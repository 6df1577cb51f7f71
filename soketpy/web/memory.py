"""The memory that this process uses, and the memory that it may use."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")
_OWN_CGROUP = Path("/proc/self/cgroup")
_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Memory:
    """Used and total bytes. The total is the container's limit or else the machine's memory; 0 if neither is known."""

    used: int
    total: int

    @property
    def percent(self) -> float:
        """Return the share of the total that is used, from 0 to 100."""
        return 100 * self.used / self.total if self.total else 0.0


def memory() -> Memory:
    """Measure the memory; return zeros on a system that does not report it."""
    try:
        used = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        machine = next(
            int(line.split()[1]) * 1024 for line in _MEMINFO.read_text().splitlines() if line.startswith("MemTotal:")
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return Memory(0, 0)
    return Memory(used, min([machine, *_limits()]))


def _limits() -> Iterator[int]:
    """Yield the memory limits of the control groups of this process, and of the groups that contain them."""
    for file in _limit_files():
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):  # the group does not exist, or the text is "max"
            continue
        if limit > 0:
            yield limit


def _limit_files() -> Iterator[Path]:
    """Yield the files that may contain the limits: those of cgroup version 2, and of version 1's memory controller.

    /proc/self/cgroup names the groups. A container may see its own group as the root, even if the file names another.
    """
    root = _CGROUP.parent
    yield _CGROUP
    yield root / "memory" / "memory.limit_in_bytes"
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        group = Path(path.strip("/"))
        if ".." in group.parts:
            continue
        if number == "0" and not controllers:
            yield from (root / each / "memory.max" for each in (group, *group.parents))
        elif "memory" in controllers.split(","):
            yield from (root / "memory" / each / "memory.limit_in_bytes" for each in (group, *group.parents))
