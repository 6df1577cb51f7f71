"""The choice of the store of logs by the settings. The library of a store is imported when the store is used."""

import time
from pathlib import Path

from soketpy.config import Settings
from soketpy.core.ports import Cluster, HistoryUnavailable
from soketpy.drivers.local.bus import LocalHistory
from soketpy.process.registries import is_in_database

MIB = 1024 * 1024


def store_of(settings: Settings) -> str:
    """Return the kind of the store: memory, sqlite or redis."""
    chosen = settings.history.store
    if chosen != "auto":
        return chosen
    return "sqlite" if settings.cluster == "local" else "redis"


def history_of(settings: Settings) -> LocalHistory:
    """Return the store of a server of one process. It is not started."""
    given = settings.history
    app_size, size = int(given.app_mib * MIB), int(given.mib * MIB)
    if store_of(settings) == "sqlite":
        from soketpy.drivers.sqlite.history import SqliteHistory

        needed = any(app.history for app in settings.apps) or (is_in_database(settings) and Path(given.path).exists())
        return SqliteHistory(given.path, app_size=app_size, size=size, once_for=given.idempotency_window, needed=needed)
    from soketpy.drivers.local.history import MemoryHistory

    return MemoryHistory(time.time, app_size=app_size, size=size, once_for=given.idempotency_window)


def check_history(settings: Settings, workers: int = 1) -> None:
    """Raise ConfigError for a store that the nodes or the ``workers`` of a server cannot share, or do not have."""
    store, alone = settings.history.store, settings.cluster == "local" and workers == 1
    if store == "redis" and alone:
        raise settings.mistake("history.store", "redis needs cluster: redis, or workers: 2 or more")
    if store in ("memory", "sqlite") and not alone:
        raise settings.mistake("history.store", f"several nodes or workers cannot share the logs of {store}: use auto")


async def start_cluster(settings: Settings, cluster: Cluster) -> None:
    """Start the cluster of this node. Raise ConfigError if the file of the logs cannot be used."""
    try:
        await cluster.start()
    except HistoryUnavailable as fault:
        raise settings.mistake("history.path", str(fault)) from None
