"""A reader of tables with settings: the items of lists such as the webhooks of an app, from a file or a variable."""

from collections.abc import Callable, Iterable
from typing import Any

from soketpy.config.errors import guess, quote_name
from soketpy.config.problems import Problems
from soketpy.config.tree import ConfigNode
from soketpy.config.values import convert
from soketpy.core.fields import Field, fields_of, kind

Convert = Callable[[Field, str, ConfigNode, str], object]
"""Returns the value of a field. It gets the written name of the field, the node, and the path for an error."""

Hint = Callable[[str, Iterable[str]], str]
"""Returns the end of the error for an unknown name. It gets the name and the known names."""


def table_of(node: ConfigNode, path: str, like: str) -> dict[str, ConfigNode]:
    """Return the values of a table. Raise ConfigError for another value; ``like`` describes the table in words."""
    if not isinstance(node.value, dict):
        raise node.position.error(path, f"must be {like}, not {kind(node.value)}")
    return node.value


def _plain_value(field: Field, name: str, node: ConfigNode, path: str) -> object:
    return convert(field, node, path)


def read_values(
    of: type,
    table: dict[str, ConfigNode],
    path: str,
    unknown: str,
    value_of: Convert = _plain_value,
    hint: Hint = guess,
) -> dict[str, Any]:
    """Return the values of a table by the names of the fields of ``of``.

    A field whose name is a word of Python's has a ``_`` at its end, which the configuration leaves out. Raise
    ConfigError for an unknown name, a wrong value, and a value without the one that it needs.
    """
    fields = {name.rstrip("_"): each for name, each in fields_of(of).items()}
    given, problems = dict[str, Any](), Problems()
    for name, each in table.items():
        where, field = f"{path}.{quote_name(name)}", fields.get(name)
        with problems.noted():
            if field is None:
                raise each.at.error(where, f"{unknown}{hint(name, fields)}")
            given[field.name] = value_of(field, name, each, where)
    problems.check()
    for name, field in fields.items():
        if field.needs is not None and given.get(field.name) is not None and given.get(field.needs) is None:
            raise table[name].at.error(f"{path}.{name}", f"has no effect without {field.needs}")
    return given
