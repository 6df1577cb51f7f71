"""The format of what nodes write to Redis and send each other: all nodes of a cluster must have the same one.

A node whose format differs from that of the living nodes refuses to join. If no node is alive, it discards what the
nodes of the other format have left, and sets its own. Versions before the format count as format 0. They refuse to join
because ``roster.lua`` sets their key ``partitions`` to 0, which differs from their own number of partitions.
"""

from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.wire import pattern
from soketpy.drivers.redis.writes import Lost

FORMAT = 3
"""Raise it whenever nodes of the version before would misread a key, a write or a message of the new version."""

STEP = 1000
"""Keys that Redis is asked to look at in one step."""


async def agree(commands: Commands, session_id: str, lease: int, partitions: int) -> None:
    """Begin a session with a lease of so many milliseconds. Raise Lost if the living nodes do not agree."""
    found, their_partitions, alive = await commands.script("begin", session_id, lease, FORMAT, partitions)
    if found != FORMAT and not alive:
        await _discard(commands)
        found, their_partitions, _ = await commands.script("begin", session_id, lease, FORMAT, partitions, "1")
    cluster = commands.prefix[:-1]
    if found != FORMAT:
        raise Lost(
            f"this version of soketpy writes data format {FORMAT}, but the nodes of {cluster} there write format"
            f" {found}: stop them all first, or choose another redis.prefix"
        )
    if their_partitions != partitions:
        raise Lost(f"redis.partitions is {partitions} here, but {their_partitions} for the nodes of {cluster} there")


async def _discard(commands: Commands) -> None:
    """Remove every key of another format, step by step, for as long as no node is alive."""
    cursor = b"0"
    while True:
        cursor, keys = await commands.ask("SCAN", cursor, "MATCH", f"{pattern(commands.prefix)}*", "COUNT", STEP)
        if keys and not await commands.script("discard", "", FORMAT, *keys):
            return
        if cursor == b"0":
            return
