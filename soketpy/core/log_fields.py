"""The fields of log lines: names with a meaning of their own, which ``log.format: json`` writes beside the text.

A line gets one dict, which has the values of the text and its fields:

    log.warning("Redis at %(host)s is unavailable: %(reason)s", {"event": "redis_lost", "host": host, "reason": why})

The text is for people and may change. ``event`` is for programs: all lines of one kind have the same event, no other
kind has it, and it stays when the text changes. Values whose names are not in ``FIELDS`` are for the text only.
docs/operations.md has the events and the meaning of each field; ``tests/test_log_lines.py`` compares.
"""

FIELDS = (
    *("event", "app", "channel", "socket_id", "ip", "method", "path", "status", "code", "bytes", "duration_ms"),
    *("address", "host", "node", "nodes", "pid", "count", "reason", "trace_id"),
    *("added", "removed", "changed", "settings"),
)
"""The fields, in the order in which a line has them. A field with the value None is not written.

Text from a client must be on one line and of limited length. No field has a secret, a signature, or data of an event
or a member.
"""
