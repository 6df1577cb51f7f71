"""The check of the arguments that a program gives to ``App``, ``Key``, ``Webhook`` and ``Filter``."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from math import inf
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from soketpy.core.fields import is_list

_WORDS = {str: "a str", bool: "True or False", int: "an int", float: "a number"}


def check_types(given: Any) -> None:
    """Check each field of a dataclass against its type. Make tuples of lists.

    Raise TypeError for a value of another type, and ValueError for an empty text and for a number that is below 0 or
    infinite.
    """
    of: type = type(given)
    for rule in _rules(of):
        value = getattr(given, rule.field)
        if rule.optional and value is None:
            continue
        if rule.many:
            object.__setattr__(given, rule.field, _tuple_of(rule.kind, value, rule.name))
        else:
            _check_value(rule.kind, value, rule.name, " or None" if rule.optional else "")


@dataclass(frozen=True, slots=True)
class _Rule:
    """The type of a field, read from its declaration. ``name`` is that in errors."""

    field: str
    name: str
    kind: Any
    optional: bool
    many: bool


@cache
def _rules(of: type) -> tuple[_Rule, ...]:
    """Return the rules of a dataclass. They are read once: an app from a database is checked at each refresh."""
    return tuple(_rule(of, each.name, each.type) for each in fields(of) if each.init)


def _rule(of: type, field: str, kind: Any) -> _Rule:
    optional, many = isinstance(kind, UnionType) and NoneType in get_args(kind), is_list(kind)
    if many or optional:
        kind = get_args(kind)[0]
    return _Rule(field, f"{of.__name__}.{field}", kind if many else get_origin(kind) or kind, optional, many)


def _tuple_of(kind: type, value: object, name: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} must be a list or tuple of {kind.__name__}, not {type(value).__name__}")
    for one in value:
        if not isinstance(one, kind):
            raise TypeError(f"{name} must be a list or tuple of {kind.__name__}, not of {type(one).__name__}")
    return tuple(value)


def _check_value(kind: Any, value: object, name: str, otherwise: str) -> None:
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name} must be {_WORDS.get(kind, f'a {kind.__name__}')}{otherwise}, not {_type_of(value)}")
    if value == "":
        raise ValueError(f"{name} must not be empty")
    if isinstance(value, int | float) and kind is not bool and not 0 <= value < inf:
        raise ValueError(f"{name} must be 0 or more{otherwise}, not {value}")


def _type_of(value: object) -> str:
    return type(value).__name__
