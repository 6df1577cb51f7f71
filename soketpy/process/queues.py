"""The choice of the queue of webhooks by the settings. The library of a queue is imported when the queue starts."""

from soketpy.config import ConfigError, Settings
from soketpy.core.webhook_ports import Queue, QueueUnavailable
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.drivers.sqlite.queue import SqliteQueue


def kind_of(settings: Settings) -> str:
    """Return the kind of the queue: sqlite, redis or memory."""
    chosen = settings.webhooks.queue
    if chosen != "auto":
        return chosen
    return "sqlite" if settings.cluster == "local" else "redis"


def queue_of(settings: Settings, *, owner: bool = True) -> Queue:
    """Return the queue of a server or, if ``owner`` is false, of an operator's command. It is not started."""
    given = settings.webhooks
    if kind_of(settings) == "sqlite":
        return SqliteQueue(given.path, bound=given.queue_size, keep_dead=given.keep_dead_letters, owner=owner)
    return MemoryQueue(bound=given.queue_size, keep_dead=given.keep_dead_letters)


def check_queue(settings: Settings, workers: int = 1) -> None:
    """Raise ConfigError for a queue that the nodes or the ``workers`` of a server cannot share, or do not have."""
    if settings.webhooks.queue == "redis" and settings.cluster == "local" and workers == 1:
        raise settings.mistake("webhooks.queue", "redis needs cluster: redis, or workers: 2 or more")
    if settings.webhooks.queue == "sqlite" and (settings.cluster != "local" or settings.workers != 1):
        raise settings.mistake("webhooks.queue", "several nodes or workers cannot share a sqlite file: use auto")


def unusable(settings: Settings, fault: QueueUnavailable) -> ConfigError:
    """Return the error for a queue that cannot be used at the start of the server."""
    return settings.mistake("webhooks.path" if kind_of(settings) == "sqlite" else "webhooks.queue", str(fault))
