"""How many files, and so connections, the process may have open."""

import resource

SPARE = 64
"""Descriptors for everything that is not a client."""


def raise_limit() -> int:
    """Raise the limit to what the system lets this process have; return how many clients fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # a system that caps it below the limit that it names
            pass
    return max(0, soft - SPARE)
