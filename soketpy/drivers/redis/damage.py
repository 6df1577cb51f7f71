"""Damaged values in Redis, which soketpy never writes: whoever reads one skips it, and it is logged once."""

import logging
from functools import lru_cache

from soketpy.core.containment import contain

log = logging.getLogger("soketpy.redis")


@lru_cache(maxsize=1000)
def note_damage(what: str, why: str) -> None:
    """Log a damaged value and count it as a fault, the first time that it is found. Never raises."""
    contain(log, ValueError(why), "%s in Redis is skipped; is something else writing there?", what)
