"""The encoding of the members of a presence channel in Redis.

A member is a field of a hash. The name of the field is the user id, and its value the user_info (JSON text, or
nothing). The value of an id that is a JSON number begins with ``#``, which no JSON text does.
"""

from collections.abc import Iterable, Iterator

from soketpy.drivers.redis.damage import note_damage
from soketpy.protocol.grammar import is_json
from soketpy.protocol.ids import NumericId

_NUMERIC = b"#"

_NUMBER = frozenset(b"%c" % character for character in b"-0123456789")
"""The characters that a JSON number can begin with."""


def value_of(user_id: str, info: bytes) -> bytes:
    """Return the value that is written for a member."""
    return _NUMERIC + info if isinstance(user_id, NumericId) else info


def member_of(user_id: str, value: bytes) -> tuple[str, bytes]:
    """Return the user id and the user_info of a member, from its name and its value."""
    if value.startswith(_NUMERIC):
        return NumericId(user_id), value[1:]
    return user_id, value


def readable(app_id: str, channel: str, flat: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the user id and the value of each member in a reply of Redis.

    Skip a member whose id is not UTF-8, or whose value is not one that ``value_of`` returns, and log it once.
    """
    for user_id, value in pairs(flat):
        try:
            text = user_id.decode()
        except UnicodeDecodeError:
            _skip(app_id, channel, user_id)
            continue
        if _is_value(user_id, value):
            yield text, value
        else:
            _skip(app_id, channel, user_id)


def _is_value(user_id: bytes, value: bytes) -> bool:
    """Return whether a value is empty or JSON and, if it marks the user id as a JSON number, whether the id is one."""
    if value.startswith(_NUMERIC):
        if user_id[:1] not in _NUMBER or not is_json(user_id):
            return False
        value = value[1:]
    return not value or is_json(value)


def _skip(app_id: str, channel: str, user_id: bytes) -> None:
    note_damage(f"App {app_id}: a member of {channel}", f"{user_id!r} is not UTF-8, or its user_info is not JSON")


def pairs(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """Return the pairs of a flat list."""
    return zip(flat[::2], flat[1::2], strict=True)
