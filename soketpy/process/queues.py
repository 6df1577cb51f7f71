"""The choice of the queue of webhooks by the settings. The library of a queue is imported when the queue starts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soketpy.config import ConfigError, Settings
from soketpy.core.aws_options import INSTALL, LIBRARY, has_library

if TYPE_CHECKING:
    from soketpy.core.webhook_ports import OperatorsQueue, Queue, QueueUnavailable
    from soketpy.drivers.aws.sqs_queue import SqsQueue


def kind_of(settings: Settings) -> str:
    """Return the kind of the queue: sqlite, redis, sqs or memory."""
    chosen = settings.webhooks.queue
    if chosen != "auto":
        return chosen
    return "sqlite" if settings.cluster == "local" else "redis"


def queue_of(settings: Settings) -> "Queue":
    """Return the queue of a server of one process. It is not started."""
    given = settings.webhooks
    if kind_of(settings) == "sqlite":
        from soketpy.drivers.sqlite.queue import SqliteQueue

        return SqliteQueue(given.path, bound=given.queue_size, keep_dead=given.keep_dead_letters)
    if kind_of(settings) == "sqs":
        return _sqs_queue(settings, owner=True)
    from soketpy.drivers.local.queue import MemoryQueue

    return MemoryQueue(bound=given.queue_size, keep_dead=given.keep_dead_letters)


def may_hold(settings: Settings) -> bool:
    """Return whether the queue of a server of one process may have deliveries of an earlier run."""
    if kind_of(settings) == "sqlite":
        return Path(settings.webhooks.path).exists()
    return kind_of(settings) == "sqs"


@asynccontextmanager
async def operators_queues(settings: Settings) -> "AsyncIterator[Sequence[OperatorsQueue]]":
    """Open the queues of a configuration for an operator's command; there is one for each partition of a cluster.

    Raise ConfigError for a queue that no other process reaches, and QueueUnavailable.
    """
    given, kind = settings.webhooks, kind_of(settings)
    if kind in ("sqlite", "redis") and settings.cluster == "local" and settings.workers != 1:
        raise settings.mistake("workers", "no command reaches the private Redis of the workers: use cluster: redis")
    queue: OperatorsQueue
    if kind in ("sqlite", "sqs"):
        if kind == "sqs":
            queue = _sqs_queue(settings, owner=False)
        else:
            from soketpy.drivers.sqlite.queue import SqliteQueue

            queue = SqliteQueue(given.path, bound=given.queue_size, keep_dead=given.keep_dead_letters, owner=False)
        try:
            await queue.start()
            yield [queue]
        finally:
            await queue.stop()
    elif kind == "memory":
        raise settings.mistake("webhooks.queue", "no command reaches the queue in the memory of the server")
    elif settings.cluster == "local":
        check_queue(settings)
    else:
        from soketpy.drivers.redis.webhooks import operators
        from soketpy.process.redis_address import connector_of

        opened = operators.operators_queues(
            connector_of(settings),
            settings.redis.prefix,
            settings.redis.partitions,
            bound=given.queue_size,
            keep_dead=given.keep_dead_letters,
        )
        async with opened as queues:
            yield queues


def _sqs_queue(settings: Settings, *, owner: bool) -> "SqsQueue":
    _check_sqs(settings)
    from soketpy.drivers.aws.sqs_queue import SqsQueue

    given = settings.sqs
    is_shared = settings.cluster != "local"
    return SqsQueue(
        str(given.url),
        given,
        dead_url=given.dead_letter_url,
        bound=None if is_shared else settings.webhooks.queue_size,
        keep_dead=settings.webhooks.keep_dead_letters,
        owner=owner,
    )


def _check_sqs(settings: Settings) -> None:
    if settings.sqs.url is None:
        raise settings.mistake("webhooks.queue", f"sqs needs {_name_of_url(settings)}, the URL of a FIFO queue")
    if not has_library():
        raise settings.mistake("webhooks.queue", f"sqs needs the library {LIBRARY}: {INSTALL}")


def _name_of_url(settings: Settings) -> str:
    """Return the name of ``sqs.url`` for whoever has written ``webhooks.queue``."""
    position = settings.positions.get("webhooks.queue")
    if position is not None and position.source.startswith("SOKETI_"):
        return "SOKETI_QUEUE_SQS_URL"
    return "queue.sqs.queueUrl" if position is not None and position.name == "queue.driver" else "sqs.url"


def check_queue(settings: Settings, workers: int = 1) -> None:
    """Raise ConfigError for a queue that the nodes or the ``workers`` of a server cannot share, or do not have."""
    if settings.webhooks.queue == "sqs":
        _check_sqs(settings)
    if settings.webhooks.queue == "redis" and settings.cluster == "local" and workers == 1:
        raise settings.mistake("webhooks.queue", "redis needs cluster: redis, or workers: 2 or more")
    if settings.webhooks.queue == "sqlite" and (settings.cluster != "local" or workers > 1):
        raise settings.mistake("webhooks.queue", "several nodes or workers cannot share a sqlite file: use auto")


def unusable(settings: Settings, fault: "QueueUnavailable") -> ConfigError:
    """Return the error for a queue that cannot be used at the start of the server."""
    path = {"sqlite": "webhooks.path", "sqs": "sqs.url"}.get(kind_of(settings), "webhooks.queue")
    return settings.mistake(path, str(fault))
