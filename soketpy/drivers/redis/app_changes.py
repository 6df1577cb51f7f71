"""The message to all nodes that an app in a database has changed."""

import asyncio
from collections.abc import Callable

import hiredis

from soketpy.core.app_registry import Changed
from soketpy.core.ports import Unavailable
from soketpy.drivers.redis.cluster import RedisCluster, prefixes
from soketpy.drivers.redis.session import Connect
from soketpy.drivers.redis.wire import PATIENCE, Wire

SIGNAL = "apps"
"""The topic of the messages, after the prefix of the first partition. A message is the id of an app, or empty."""


def listen(cluster: RedisCluster, changed: Changed) -> None:
    """Call ``changed`` with each app that a program announces. Call this before the cluster starts.

    A message that is sent while this node cannot reach Redis is lost.
    """
    cluster.partitions[0].topics.listen_for(SIGNAL, lambda message: changed(message.decode("utf-8", "replace") or None))


async def announce(connect: Callable[[str], Connect], prefix: str, app_id: str | None) -> None:
    """Tell all nodes that an app, or any app, has changed. Raise Unavailable, with the reason, if that is not possible.

    ``prefix`` is that of the cluster.
    """
    keys = next(prefixes(prefix, 1))
    lost = asyncio.Event()
    try:
        wire = await connect(keys)(lambda: Wire(_ignore, lost.set), PATIENCE)
    except OSError as fault:
        raise Unavailable(f"cannot use Redis at {fault}") from None
    try:
        await wire.ask(wire.publishes, f"{keys}{SIGNAL}", app_id or "")
    except hiredis.ReplyError as fault:
        raise Unavailable(f"Redis refuses the message: {fault}") from None
    finally:
        wire.discard()


def _ignore(topic: bytes, message: bytes) -> None:
    """Do nothing: this connection subscribes to no topic."""
