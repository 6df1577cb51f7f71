"""The difference between two configurations in words, for the log. It has names and ids, never values."""

from collections.abc import Iterator, Sequence

from soketpy.config.settings import Settings
from soketpy.core.fields import differing

MOST_NAMED = 10
"""Most names of one kind that one line has."""


def changes(before: Settings, after: Settings) -> str | None:
    """Return which apps and settings differ, or None if none do."""
    parts = [*_of_apps(before, after)]
    if names := changed_settings(before, after):
        parts.append(f"settings changed: {several(names)}")
    return "; ".join(parts) or None


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


def _of_apps(before: Settings, after: Settings) -> Iterator[str]:
    """Yield the ids of the apps that are new, that are removed, and that differ, with the names of their fields."""
    old, new = ({app.id: app for app in each.apps} for each in (before, after))
    if added := [each for each in new if each not in old]:
        yield f"apps added: {several(added)}"
    if removed := [each for each in old if each not in new]:
        yield f"apps removed: {several(removed)}"
    fields = {each: list(differing(old[each], new[each])) for each in new if each in old}
    if changed := [f"{each} ({several(names)})" for each, names in fields.items() if names]:
        yield f"apps changed: {several(changed)}"
