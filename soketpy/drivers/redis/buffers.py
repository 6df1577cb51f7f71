"""The output buffer limit of Redis: whether it is high enough for a node that does not read for some seconds."""

from typing import Any

HARD, SOFT = 256 * 1024**2, 64 * 1024**2
"""Bytes that Redis should buffer for a node, at once and for a minute."""

NAME = "client-output-buffer-limit"

ADVICE = f"{NAME} pubsub 256mb 64mb 60"
"""The line for redis.conf that sets a sufficient limit."""


def too_low(reply: Any) -> str | None:
    """Return the limit of Redis for subscribers if it is too low, else None. ``reply`` is that of CONFIG GET.

    A limit of 0 means no limit. A reply of another form counts as high enough.
    """
    limit = reply.get(NAME.encode()) if isinstance(reply, dict) else None
    words = limit.decode(errors="replace").split() if isinstance(limit, bytes) else []
    if "pubsub" not in words:
        return None
    found = words[words.index("pubsub") :][:4]
    try:
        hard, soft, _ = map(int, found[1:])
    except ValueError:
        return None
    return " ".join(found) if 0 < hard < HARD or 0 < soft < SOFT else None
