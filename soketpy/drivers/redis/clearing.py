"""Clearing up after a session: its entries in Redis are removed, and the transitions that follow are reported."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack

from soketpy.core.containment import contain
from soketpy.core.ports import Transition
from soketpy.drivers.redis.node_state import NodeState

log = logging.getLogger("soketpy.redis")

Script = Callable[..., Awaitable[Any]]
"""Runs ``roster.lua`` with arguments, and returns its answer. Raises Lost."""


class Unclear(Exception):
    """An entry of a ledger that could not be subtracted from the totals. It is removed from the ledger anyway."""


async def clear(script: Script, state: NodeState, session_id: str | bytes, *, own: bool = False) -> None:
    """Remove the entries that a session has left in Redis, slice by slice. Raises Lost.

    The session must have ended, unless it is the node's ``own``.
    """
    while True:
        cleared, transitions, faults = await script("clear", session_id, "1" if own else "0")
        for entry, why in zip(faults[::2], faults[1::2], strict=True):
            fault = Unclear(f"{entry!r}: {why.decode(errors='replace')}")
            contain(log, fault, "An entry was removed from the ledger of a node, but not from the totals")
        for transition, app_id, channel, user_id in msgpack.unpackb(transitions, unicode_errors="replace"):
            try:
                state.report(Transition(transition), app_id, channel, user_id or None)
            except Exception as fault:
                contain(log, fault, "App %s: %s on %s could not be reported", app_id, transition, channel)
        if not cleared:
            return
        if not own:
            log.info("Removed %(count)d entries of a dead node", {"event": "dead_node_cleared", "count": cleared})
