"""The rules of channels with history: the channels of an app whose events are stored, and the limits of their logs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import partial

from soketpy.core.arguments import check_types
from soketpy.core.fields import setting
from soketpy.protocol import channels

KIB = 1024

MOST_EVENTS = 100_000
"""The most events of one log."""

MOST_READ = 1_000
"""The most events that are read at once."""

LONGEST = 10 * 365 * 86_400
"""The most seconds for which events are stored."""


def pattern_problem(pattern: str) -> str | None:
    """Return what is wrong with the pattern of channel names, or None."""
    if pattern.count("*") > 1:
        return "may contain one * at most"
    bare = pattern.replace("*", "")
    if bare and channels.name_fault(bare, len(bare)) is not None:
        return "may contain only the characters of channel names, and one *"
    return None


class _Derived:
    """Values that a rule computes once from its fields."""

    __slots__ = ("size",)

    size: int
    """The most bytes of one log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRule(_Derived):
    """The channels of an app that have history, and the limits of each of their logs.

    Of several rules, the first one that matches a channel applies. The constructor raises TypeError for a value of
    another type than its field has, and ValueError for a wrong value.
    """

    channels: str = field(
        metadata={
            "help": "The name of a channel, or a pattern: * stands for any text.",
            "check_text": pattern_problem,
        }
    )
    events: int = setting(1_000, "Most events of a log. Beyond it, the oldest are dropped.", most=MOST_EVENTS)
    seconds: float = setting(86_400, "Seconds for which events are stored.", most=LONGEST)
    kib: float = setting(512, "Most KiB of a log. Beyond it, the oldest events are dropped.", most=1024 * 1024)
    rewind: int = setting(0, "Most events of the log that a new subscriber gets.", least=0, most=MOST_READ)
    rewind_seconds: float | None = setting(
        None, "A new subscriber gets only events of the last seconds; null for events of any age.", most=LONGEST
    )
    client_events: bool = setting(False, "Store client events too.")

    def __post_init__(self) -> None:
        check_types(self)
        if (problem := pattern_problem(self.channels)) is not None:
            raise ValueError(f"HistoryRule.channels {problem}")
        object.__setattr__(self, "size", int(self.kib * KIB))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the fields only; the rest is derived from them again."""
        return partial(HistoryRule, **{each.name: getattr(self, each.name) for each in fields(self)}), ()

    def matches(self, channel: str) -> bool:
        """Return whether the rule is for a channel. Channels of users (``#server-to-user-``) have no history."""
        start, star, end = self.channels.partition("*")
        if not star:
            return channel == start and not start.startswith(channels.USER_PREFIX)
        if channel.startswith(channels.USER_PREFIX) or len(channel) < len(start) + len(end):
            return False
        return channel.startswith(start) and channel.endswith(end)


def rule_of(rules: Sequence[HistoryRule], channel: str) -> HistoryRule | None:
    """Return the rule for a channel: the first one that matches, or None if the channel has no history."""
    for rule in rules:
        if rule.matches(channel):
            return rule
    return None
