"""The rows of a settings class: what each setting is called, what it may be, and its line of help."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting. ``type`` is that of the value, or of each value where there may be many.

    ``some`` is for a setting that takes one value or a list of them.
    """

    name: str
    type: type
    help: str
    default: Any = None
    many: bool = False
    some: bool = False
    optional: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    pattern: str | None = None
    like: str = ""
    needs: str | None = None
    excludes: tuple[str, ...] = ()
    auto: int | None = None
    check: Callable[[str], str | None] | None = None

    @property
    def is_group(self) -> bool:
        """Whether this is a group of settings rather than one."""
        return is_dataclass(self.type) and not self.many


def row(
    default: Any,
    help: str,
    *,
    secret: bool = False,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    most: float | None = None,
    pattern: str | None = None,
    like: str = "",
    needs: str | None = None,
    excludes: tuple[str, ...] = (),
    auto: int | None = None,
    check: Callable[[str], str | None] | None = None,
) -> Any:
    """A setting with its default, its line of help and what it may be.

    Without ``least`` a number must be above 0. ``pattern`` is a regular expression that a text must match as a whole,
    ``like`` says so in words. ``needs`` is the setting of the same group that must be given too, ``excludes``
    are those that must not. The value of a secret one is never shown. ``auto`` is what the word auto stands for in a
    number. ``check`` returns what is wrong with a text, or None.
    """
    limits = {
        "choices": choices,
        "least": least,
        "most": most,
        "pattern": pattern,
        "like": like,
        "needs": needs,
        "excludes": excludes,
        "auto": auto,
        "check": check,
    }
    return field(default=default, repr=not secret, metadata={"help": help, "secret": secret, **limits})


@cache
def rows(of: type) -> Mapping[str, Row]:
    """The rows of a dataclass by name, in the order of its fields; those without a line of help are none."""
    hints = get_type_hints(of)
    found: dict[str, Row] = {}
    for each in fields(of):
        if "help" not in each.metadata:
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        found[each.name] = Row(name=each.name, default=default, **shape(hints[each.name]), **each.metadata)
    return found


def differing(one: Any, other: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of the settings in which two of one class differ."""
    of: type = type(one)
    for name, row in rows(of).items():
        values = getattr(one, name), getattr(other, name)
        if row.is_group:
            yield from differing(*values, f"{prefix}{name}.")
        elif values[0] != values[1]:
            yield prefix + name


def shape(hint: Any) -> dict[str, Any]:
    """What a type hint says of a row: ``tuple[T, ...]`` is many, ``T | None`` optional, ``T | tuple[T, ...]`` some."""
    if get_origin(hint) is UnionType and get_origin(get_args(hint)[-1]) is tuple:
        return {"type": get_args(hint)[0], "some": True}
    optional = get_origin(hint) is UnionType and NoneType in get_args(hint)
    if optional:
        hint = next(part for part in get_args(hint) if part is not NoneType)
    many = get_origin(hint) is tuple
    return {"type": get_args(hint)[0] if many else hint, "many": many, "optional": optional}
