"""The warnings about valid settings of history that lose events, or that have no effect."""

from collections.abc import Iterator, Sequence

from soketpy.config.effects import naming, plain
from soketpy.config.settings import Settings
from soketpy.core.history_rules import HistoryRule
from soketpy.protocol.channels import USER_PREFIX

PRIVATE_REDIS = (
    "The stored events of channels with history are lost at each restart, because several workers without cluster:"
    " redis use a private Redis: set cluster: redis, or workers: 1"
)


def of_history(settings: Settings) -> Iterator[str]:
    """Yield each warning."""
    having = [app.id for app in settings.apps if app.history]
    alone = settings.cluster == "local"
    if alone and settings.workers > 1 and having:
        yield f"{PRIVATE_REDIS} ({naming(having)})"
    most, of_app = settings.history.mib, settings.history.app_mib
    written = "history.app_mib" in settings.positions
    if alone and settings.workers == 1 and having and written and of_app > most:
        problem = f"{plain(of_app)} cannot be reached, since history.mib is {plain(most)}"
        yield str(settings.mistake("history.app_mib", problem))
    yield from _of_rules(settings)


def _of_rules(settings: Settings) -> Iterator[str]:
    """Yield a warning of each rule that is not followed as written, once for all apps that have it."""
    found: dict[str, list[str]] = {}
    for app in settings.apps:
        for problem in _problems(app.history):
            found.setdefault(problem, []).append(app.id)
    for problem, ids in found.items():
        paths = (*(f"apps.{id}.history" for id in ids), "app_defaults.history")
        at = next((f"{settings.positions[one]}: " for one in paths if one in settings.positions), "")
        yield f"{at}{problem} ({naming(ids)})"


def _problems(rules: Sequence[HistoryRule]) -> Iterator[str]:
    for at, rule in enumerate(rules):
        before = next((earlier.channels for earlier in rules[:at] if _covers(earlier, rule)), None)
        if rule.channels.startswith(USER_PREFIX):
            yield f"history: the rule {rule.channels} has no effect: channels of users have no history"
        elif before is not None:
            yield f"history: the rule {rule.channels} is never used: move it in front of the rule {before}"
        if rule.rewind > rule.events:
            yield f"history: rewind ({rule.rewind}) of {rule.channels} is more than its events ({rule.events})"


def _covers(earlier: HistoryRule, later: HistoryRule) -> bool:
    """Return whether an earlier rule matches each channel that a later one matches."""
    start, star, end = later.channels.partition("*")
    if not star:
        return earlier.matches(later.channels)
    first, has_star, last = earlier.channels.partition("*")
    return bool(has_star) and start.startswith(first) and end.endswith(last)
