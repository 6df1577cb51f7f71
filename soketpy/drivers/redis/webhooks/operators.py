"""The queues of webhooks in Redis for a program that is no node: an operator's command."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import hiredis

from soketpy.core.webhook_ports import OperatorsQueue, QueueUnavailable
from soketpy.drivers.redis.cluster import prefixes
from soketpy.drivers.redis.session import Connect
from soketpy.drivers.redis.webhooks.holder import WebhookScript
from soketpy.drivers.redis.webhooks.queue import StoredQueue
from soketpy.drivers.redis.wire import PATIENCE, Argument, Wire, reason
from soketpy.drivers.redis.writes import Lost


class _Connection:
    """A connection without a session."""

    id = ""

    def __init__(self, prefix: str, wire: Wire) -> None:
        self.prefix = prefix
        self.publishes = wire.publishes
        self._wire = wire

    async def ask(self, *arguments: Argument) -> Any:
        """Return the reply to a command. Raise Lost if there is none, or if the reply is an error."""
        try:
            return await self._wire.ask(*arguments)
        except hiredis.ReplyError as fault:
            raise Lost(reason(fault)) from None


@asynccontextmanager
async def operators_queues(
    connect: Callable[[str], Connect], prefix: str, partitions: int, *, bound: int, keep_dead: float
) -> AsyncIterator[Sequence[OperatorsQueue]]:
    """Open the queues of all partitions. Raise QueueUnavailable if Redis cannot be used."""
    queues: list[StoredQueue] = []
    with ExitStack() as stack:
        for keys in prefixes(prefix, partitions):
            lost = asyncio.Event()
            try:
                wire = await connect(keys)(lambda lost=lost: Wire(_ignore, lost.set), PATIENCE)  # type: ignore[misc]
            except OSError as fault:
                raise QueueUnavailable(f"cannot use Redis at {fault}") from None
            stack.callback(wire.discard)
            queues.append(StoredQueue(WebhookScript(_Connection(keys, wire)), bound=bound, keep_dead=keep_dead))
        yield queues


def _ignore(topic: bytes, message: bytes) -> None:
    """Do nothing: this connection subscribes to no topic."""
