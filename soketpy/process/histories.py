"""The choice of the store of logs by the settings."""

import time

from soketpy.config import Settings
from soketpy.drivers.local.history import MemoryHistory

MIB = 1024 * 1024


def store_of(settings: Settings) -> str:
    """Return the kind of the store: memory, sqlite or redis."""
    chosen = settings.history.store
    if chosen != "auto":
        return chosen
    return "memory" if settings.cluster == "local" else "redis"


def history_of(settings: Settings) -> MemoryHistory:
    """Return the store of a server of one process."""
    given = settings.history
    return MemoryHistory(time.time, app_size=int(given.app_mib * MIB), size=int(given.mib * MIB))


def check_history(settings: Settings, workers: int = 1) -> None:
    """Raise ConfigError for a store that the nodes or the ``workers`` of a server cannot share, or do not have."""
    store, alone = settings.history.store, settings.cluster == "local" and workers == 1
    if store == "redis" and alone:
        raise settings.mistake("history.store", "redis needs cluster: redis, or workers: 2 or more")
    if store in ("memory", "sqlite") and not alone:
        raise settings.mistake("history.store", f"several nodes or workers cannot share the logs of {store}: use auto")
    if store == "sqlite":
        raise settings.mistake("history.store", "this version of soketpy has no store sqlite yet: use memory")
