"""How many files, and so connections, the process may have open."""

import logging
import sys

try:
    import resource
except ImportError:
    reason = "soketpy serves on Linux, macOS and other POSIX systems; on Windows, run it in WSL or in a container"
    raise ImportError(reason, name="resource") from None

log = logging.getLogger("soketpy")

SPARE = 64
"""Descriptors for everything that is not a client."""

UNLIMITED = sys.maxsize

GUESSES = (1_048_576, 65_536, 24_576, 10_240)
"""Limits to try, the largest first, where the system names none. macOS refuses more than ``kern.maxfilesperproc``."""


def raise_limit() -> int:
    """Raise the limit to what the system allows this process; return how many clients fit, or UNLIMITED."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft not in (hard, endless):
        for wanted in [each for each in GUESSES if each > soft] if hard == endless else [hard]:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):  # a system that caps it below the limit that it names
                continue
            soft = wanted
            break
    return UNLIMITED if soft == endless else max(0, soft - SPARE)


def report_limit(clients: int, wanted: int | None) -> None:
    """Log how many clients fit, as a warning if that is none or less than the number that the settings allow."""
    if clients == 0:
        log.warning("The limit of open files leaves none for connections: raise it, such as with ulimit -n 65536")
    elif wanted is not None and clients < wanted:
        log.warning("At most %d connections, by the limit of open files; bounds.max_connections is %d", clients, wanted)
    elif clients < UNLIMITED:
        log.info("At most %d connections, by the limit of open files", clients)
