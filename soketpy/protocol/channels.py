"""Names and kinds of channels."""

import re
from dataclasses import dataclass

USER_PREFIX = "#server-to-user-"
PRESENCE_PREFIX = "presence-"

_NAME = re.compile(r"[A-Za-z0-9_\-=@,.;]+")
_USER_NAME = re.compile(re.escape(USER_PREFIX) + r"[^\x00-\x1f\x7f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a channel, which the prefix of its name decides (Pusher, "Channel naming conventions")."""

    guarded: bool = False
    presence: bool = False
    encrypted: bool = False
    cache: bool = False
    user: bool = False


PUBLIC = Kind()

_KINDS = {
    "private-": Kind(guarded=True),
    "private-cache-": Kind(guarded=True, cache=True),
    "private-encrypted-": Kind(guarded=True, encrypted=True),
    "private-encrypted-cache-": Kind(guarded=True, encrypted=True, cache=True),
    PRESENCE_PREFIX: Kind(guarded=True, presence=True),
    "presence-cache-": Kind(guarded=True, presence=True, cache=True),
    "cache-": Kind(cache=True),
    USER_PREFIX: Kind(user=True),
}

# The longest prefix first, so that the first match is the right one.
_PREFIX = re.compile("|".join(sorted(_KINDS, key=len, reverse=True)))


def kind_of(channel: str) -> Kind:
    """Return the kind of a channel."""
    prefix = _PREFIX.match(channel)
    return PUBLIC if prefix is None else _KINDS[prefix[0]]


def kind_name(channel: str) -> str:
    """Return the name of a channel's kind: its prefix, ``public``, ``user``, or ``internal`` for other names with #."""
    prefix = _PREFIX.match(channel)
    if prefix is None:
        return "internal" if channel.startswith("#") else "public"
    return "user" if prefix[0] == USER_PREFIX else prefix[0].removesuffix("-")


def user_channel(user_id: str) -> str:
    """Return the channel with the events for one user."""
    return USER_PREFIX + user_id


def reaches_user(user_id: str) -> bool:
    """Return whether a channel name can contain the id."""
    return _USER_NAME.fullmatch(user_channel(user_id)) is not None


def user_of(channel: str) -> str:
    """Return the user of a ``#server-to-user-`` channel."""
    return channel.removeprefix(USER_PREFIX)


def name_fault(channel: str, longest: int) -> str | None:
    """Return the reason why a channel name is invalid, or None. ``longest`` is in characters."""
    if not channel:
        return "The channel name is empty."
    if len(channel) > longest:
        return f"The channel name is longer than the allowed {longest} characters."
    if channel.startswith("#"):
        if _USER_NAME.fullmatch(channel):
            return None
        return f"A channel name that starts with # must be {USER_PREFIX} and a user id."
    if not _NAME.fullmatch(channel):
        return "The channel name may hold only letters, digits and _ - = @ , . ;"
    return None
