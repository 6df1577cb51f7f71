"""Written values with their positions. Files, variables and flags are all read into this form."""

from dataclasses import dataclass, field
from typing import TypeAlias

from soketpy.config.errors import ConfigError, quote_name

DEEPEST = 32
"""Levels of nesting that a file may have."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a written value: a line of a file, an environment variable or a flag.

    ``name`` is the writer's name for the setting, if it differs from the setting's path. An empty one means that the
    source (a variable, a flag) names the setting already.
    """

    source: str
    line: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"

    def error(self, path: str, problem: str) -> ConfigError:
        """Return the error for a problem with the setting at this position."""
        name = path if self.name is None else self.name
        return ConfigError(": ".join(part for part in (str(self), name, problem) if part))


Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class ConfigNode:
    """A value, a list of nodes or a table of nodes.

    ``name_position`` is that of its name in a table. A ``loose`` value came as text (from a variable or a flag) or in
    soketi's names, and may be converted to another type.
    """

    value: "Scalar | list[ConfigNode] | dict[str, ConfigNode]" = field(repr=False)
    position: Position
    name_position: Position | None = None
    loose: bool = False

    @property
    def at(self) -> Position:
        """The position of the name, or of the value if it has no name."""
        return self.name_position or self.position


def add(table: dict[str, ConfigNode], name: str, node: ConfigNode) -> None:
    """Add a named value to a table. Raise ConfigError if the table has the name already."""
    if name in table:
        first = str(table[name].at)
        raise node.at.error(quote_name(name), f"given twice, first at {first}" if first else "given twice")
    table[name] = node
