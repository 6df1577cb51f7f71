"""A reader of the history of an app: the channels whose events are stored, from a file or a variable."""

from soketpy.config.errors import quote
from soketpy.config.problems import Problems
from soketpy.config.tables import read_values, table_of
from soketpy.config.tree import ConfigNode
from soketpy.config.values import items_of
from soketpy.core.history_rules import HistoryRule


def read_history(node: ConfigNode, path: str) -> tuple[HistoryRule, ...]:
    """Return the rules of an app. ``path`` is the name of their list in an error. Raise ConfigError."""
    found: dict[str, int] = {}
    rules, problems = list[HistoryRule](), Problems()
    for at, item in enumerate(items_of(node, path)):
        with problems.noted():
            rule = _rule(item, f"{path}[{at}]")
            if (first := found.setdefault(rule.channels, at)) != at:
                problem = f"{quote(rule.channels)} has a rule at {path}[{first}]: remove one of the two"
                raise item.position.error(f"{path}[{at}].channels", problem)
            rules.append(rule)
    problems.check()
    return tuple(rules)


def _rule(node: ConfigNode, path: str) -> HistoryRule:
    table = table_of(node, path, "a table with channels, such as {channels: private-orders-*}")
    given = read_values(HistoryRule, table, path, "no such setting of history")
    if "channels" not in given:
        raise node.position.error(path, "must have channels: the name of a channel, or a pattern such as room-*")
    return HistoryRule(**given)
