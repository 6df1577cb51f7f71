"""Damaged values in Redis, which soketpy never writes. The reader of one skips it, and it is logged once."""

import logging
from functools import lru_cache

from soketpy.core.containment import contain

log = logging.getLogger("soketpy.redis")


@lru_cache(maxsize=1000)
def note_damage(what: str, why: str) -> None:
    """Log a damaged value and count it as a fault when it is found for the first time. Never raises."""
    contain(log, ValueError(why), "%s in Redis is damaged, and skipped: does another program write there?", what)
