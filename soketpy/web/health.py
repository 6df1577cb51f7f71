"""How much memory the process uses, of how much it may use."""

from dataclasses import dataclass
from pathlib import Path

_PAGE = 4096
_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes. ``total`` is the container's limit or, without one, the machine's memory; 0 where neither is known."""

    used: int
    total: int

    @property
    def percent(self) -> float:
        """The share of the total that is used, from 0 to 100."""
        return 100 * self.used / self.total if self.total else 0.0


def memory() -> Memory:
    """Measure; zeros on a system that does not say."""
    try:
        used = int(_STATM.read_text().split()[1]) * _PAGE
        machine = next(
            int(line.split()[1]) * 1024 for line in _MEMINFO.read_text().splitlines() if line.startswith("MemTotal:")
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return Memory(0, 0)
    try:
        return Memory(used, min(machine, int(_CGROUP.read_text())))
    except (OSError, ValueError):  # no container, or the word "max"
        return Memory(used, machine)
