"""The nodes of a cluster, as one node knows them, and a log line for each node that joins, leaves or dies."""

import logging
from collections.abc import Mapping

log = logging.getLogger("soketpy.redis")


class Membership:
    """The living nodes by session id, each with the end of its lease. Only one node of a server ``announces`` changes.

    A node that leaves removes its lease, which would last for two thirds of its length at least. Another node removes
    the lease of a dead node, after its end. All leases end by the clock of Redis.
    """

    def __init__(self, length: float) -> None:
        """Begin without nodes. ``length`` is that of a lease, in milliseconds."""
        self.announces = False
        self._length = length
        self._ends: dict[str, float] | None = None  # None before the first look, and while Redis is unavailable

    def __len__(self) -> int:
        return 0 if self._ends is None else len(self._ends)

    def look(self, ends: Mapping[str, float], own: str) -> None:
        """Note the leases, and log the differences to the last look. Node ``own`` has just renewed its lease."""
        known, self._ends = self._ends, dict(ends)
        if known is None or own not in ends or not self.announces:
            return
        nodes, now = len(ends), ends[own] - self._length
        for node in ends:
            if node not in known:
                log.info(
                    "Node %(node)s joined; %(number)s",
                    {"event": "node_joined", "node": node, "nodes": nodes, "number": _number(nodes)},
                )
        for node, end in known.items():
            if node in ends:
                continue
            if now + self._length / 3 < end:
                log.info(
                    "Node %(node)s left; %(number)s",
                    {"event": "node_left", "node": node, "nodes": nodes, "number": _number(nodes)},
                )
            else:
                log.warning(
                    "Node %(node)s died: it did not renew its lease; %(number)s",
                    {"event": "node_died", "node": node, "nodes": nodes, "number": _number(nodes)},
                )

    def forget(self) -> None:
        """Forget the nodes, because Redis is unavailable. The next look logs no difference."""
        self._ends = None


def leases(reply: object) -> dict[str, float]:
    """Return the leases from the reply of ``ZRANGE … WITHSCORES`` (RESP3). Raise ValueError for another reply."""
    if not isinstance(reply, list):
        raise ValueError(f"no leases: {reply!r}")  # noqa: TRY004 - not the type of an argument
    try:
        return {node.decode("ascii", "replace"): float(end) for node, end in reply}
    except (AttributeError, TypeError, ValueError) as fault:
        raise ValueError(f"no leases: {reply!r}") from fault


def _number(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"
