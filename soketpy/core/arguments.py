"""The check of the arguments that a program gives to ``App``, ``Key``, ``Webhook`` and ``Filter``."""

from collections.abc import Sequence
from dataclasses import fields
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
    for each in fields(given):
        if not each.init:
            continue
        name, value, kind = f"{type(given).__name__}.{each.name}", getattr(given, each.name), each.type
        optional = isinstance(kind, UnionType) and NoneType in get_args(kind)
        if optional and value is None:
            continue
        if is_list(kind):
            object.__setattr__(given, each.name, _tuple_of(get_args(kind)[0], value, name))
        else:
            kind = get_args(kind)[0] if optional else kind
            _check_value(get_origin(kind) or kind, value, name, " or None" if optional else "")


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
