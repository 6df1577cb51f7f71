"""The difference between two configurations in words, for the log. It has names and ids, never values."""

from collections.abc import Sequence
from dataclasses import dataclass

from soketpy.config.settings import Settings
from soketpy.core.fields import differing

MOST_NAMED = 10
"""Most names of one kind that one line has."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The apps and settings that differ. ``changed`` has the names of the changed fields of each app."""

    added: list[str]
    removed: list[str]
    changed: dict[str, list[str]]
    settings: list[str]

    def __str__(self) -> str:
        """Return the changes for people."""
        parts = {
            "apps added": self.added,
            "apps removed": self.removed,
            "apps changed": [f"{each} ({several(names)})" for each, names in self.changed.items()],
            "settings changed": self.settings,
        }
        return "; ".join(f"{what}: {several(names)}" for what, names in parts.items() if names)

    def fields(self) -> dict[str, list[str] | int | None]:
        """Return the fields of the log line: the first names of each kind, and the number of all changes."""
        kinds = {"added": self.added, "removed": self.removed, "changed": [*self.changed], "settings": self.settings}
        named = {kind: names[:MOST_NAMED] or None for kind, names in kinds.items()}
        return {**named, "count": sum(map(len, kinds.values()))}


def changes(before: Settings, after: Settings) -> Changes | None:
    """Return which apps and settings differ, or None if none do."""
    old, new = ({app.id: app for app in each.apps} for each in (before, after))
    fields = {each: list(differing(old[each], new[each])) for each in new if each in old}
    found = Changes(
        added=[each for each in new if each not in old],
        removed=[each for each in old if each not in new],
        changed={each: names for each, names in fields.items() if names},
        settings=changed_settings(before, after),
    )
    return found if str(found) else None


def changed_settings(before: Settings, after: Settings) -> list[str]:
    """Return the dotted paths of the settings that differ, without the apps."""
    ours, theirs = before.app_defaults, after.app_defaults
    defaults = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    settings = [name for name in differing(before, after) if name != "apps"]
    return settings + [f"app_defaults.{name}" for name in sorted(defaults)]


def several(names: Sequence[str]) -> str:
    """Return the first of these names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
