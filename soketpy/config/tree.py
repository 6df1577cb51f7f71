"""What was written, with the place where each value stands: the form that files, variables and flags share."""

from dataclasses import dataclass, field
from typing import TypeAlias

from soketpy.config.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a line of a file, an environment variable or a flag.

    ``name`` is what the writer called the setting, where that is not its path here; an empty one says that the
    source (a variable, a flag) already names it.
    """

    source: str
    line: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"

    def error(self, path: str, problem: str) -> ConfigError:
        """The error that says what is wrong with the setting at this place."""
        name = path if self.name is None else self.name
        return ConfigError(": ".join(part for part in (str(self), name, problem) if part))


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. A loose one came as text (a variable, a flag) or from soketi, and may be turned into another type."""

    value: bool | int | float | str | None = field(repr=False)
    place: Place
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of values."""

    items: "tuple[Node, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A named value of a table; the place is that of the name."""

    place: Place
    node: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """Named values; a name stands once in it."""

    entries: dict[str, Entry]
    place: Place


Node: TypeAlias = Scalar | Listing | Table


def kind(node: Node) -> str:
    """What a node is, in words that show nothing of its content."""
    match node:
        case Table():
            return "a table"
        case Listing():
            return "a list"
        case Scalar(value=None):
            return "null"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=str()):
            return "text"
    return "a number"
