"""The limit of open files, which limits the number of connections."""

import logging
import sys

try:
    import resource
except ImportError:
    reason = "soketpy serves on Linux, macOS and other POSIX systems; on Windows, run it in WSL or in a container"
    raise ImportError(reason, name="resource") from None

log = logging.getLogger("soketpy")

SPARE = 64
"""File descriptors for everything except clients."""

UNLIMITED = sys.maxsize

GUESSES = (1_048_576, 65_536, 24_576, 10_240)
"""Limits to try if the system has no hard limit, the largest first.

macOS refuses more than ``kern.maxfilesperproc``.
"""


def raise_limit() -> int:
    """Raise the limit as far as the system allows. Return how many clients the process can have, or UNLIMITED."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft not in (hard, endless):
        for wanted in [each for each in GUESSES if each > soft] if hard == endless else [hard]:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):  # some systems refuse values below their own hard limit
                continue
            soft = wanted
            break
    return UNLIMITED if soft == endless else max(0, soft - SPARE)


def report_limit(clients: int, wanted: int | None) -> None:
    """Log how many clients the process can have: as a warning if there are none, or fewer than the settings allow."""
    if clients == 0:
        log.warning(
            "The limit of open files leaves none for connections: raise it, for example with ulimit -n 65536",
            {"event": "open_files_exhausted"},
        )
    elif wanted is not None and clients < wanted:
        log.warning(
            "At most %(count)d connections, by the limit of open files; bounds.max_connections is %(wanted)d",
            {"event": "open_files_below_bound", "count": clients, "wanted": wanted},
        )
    elif clients < UNLIMITED:
        log.info("At most %(count)d connections, by the limit of open files", {"event": "open_files", "count": clients})
