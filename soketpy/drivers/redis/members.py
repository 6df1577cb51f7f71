"""How a member of a presence channel is written in Redis.

A member is a field of a hash: the user id is its name, and the user_info (JSON text, or nothing) its value. The value
of an id that is to be a JSON number begins with ``#``, which no JSON text does.
"""

from soketpy.protocol.ids import NumericId

_NUMERIC = b"#"


def value_of(user_id: str, info: bytes) -> bytes:
    """Return the value that is written for a member."""
    return _NUMERIC + info if isinstance(user_id, NumericId) else info


def member_of(user_id: str, value: bytes) -> tuple[str, bytes]:
    """Return the user id and the user_info of a member, from its name and its value."""
    if value.startswith(_NUMERIC):
        return NumericId(user_id), value[1:]
    return user_id, value
