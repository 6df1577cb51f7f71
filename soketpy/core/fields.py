"""The fields of apps and settings: the type, range, default and line of help of each, and the check of a value.

A dataclass declares its fields with ``setting``. ``fields_of`` reads the declarations. ``Field.check`` checks a value
from outside (a file, a variable, a database, an API) against these rules.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, TypedDict, Unpack, get_args, get_origin, get_type_hints

from soketpy.core.quoting import HIDDEN, may_be_shown
from soketpy.protocol.origins import origin_problem

LARGEST = 2**53
LONGEST_SHOWN = 60
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,19})?")


class FieldError(ValueError):
    """A value that its field does not take. ``at`` is the position in a list, None for the value as a whole."""

    def __init__(self, name: str, problem: str, at: int | None = None) -> None:
        super().__init__(f"{name}{'' if at is None else f'[{at}]'}: {problem}")
        self.problem = problem
        self.at = at


class Rules(TypedDict, total=False):
    """The rules of a field besides its type. See ``Field``."""

    secret: bool
    choices: tuple[str, ...]
    least: float
    most: float
    pattern: str
    like: str
    needs: str
    excludes: tuple[str, ...]
    auto: int
    null: str
    check_text: Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. ``type`` is that of its value, or of each value in a list.

    A field with ``many`` takes a list, one with ``one_or_many`` a value or a list, and an ``optional`` one takes None.
    Without ``least`` a number must be above 0. ``pattern`` is a regular expression that a whole text must match, and
    ``like`` describes the pattern in words. ``needs`` is the field of the same class that must be given too;
    ``excludes`` are the fields that must not be given. ``auto`` is the number that the word auto stands for,
    ``null`` what null stands for if it is not the absence of a limit or of a value.
    ``check_text`` returns what is wrong with a text, as the end of a sentence, or None. Errors never show the value of
    a ``secret`` field.
    """

    name: str
    type: type
    help: str
    default: Any = None
    many: bool = False
    one_or_many: bool = False
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
    null: str = ""
    check_text: Callable[[str], str | None] | None = None

    @property
    def is_group(self) -> bool:
        """True if the type of this field is a dataclass with fields of its own."""
        return is_dataclass(self.type) and not self.many

    def check(self, value: object, written: object = None) -> object:
        """Return the value with the type of this field; a list becomes a tuple.

        ``written`` is the text that the value was read from, for the error. Raise FieldError for a wrong value.
        """
        if self.many or (self.one_or_many and isinstance(value, list | tuple)):
            return self._check_each(value, written)
        return self._check_one(value, written, None)

    def describe(self, *, with_most: bool = False) -> str:
        """Return in words which values this field takes. ``with_most`` adds the largest number of any field."""
        if self.type is bool:
            words = "true or false"
        elif self.choices:
            words = either(self.choices)
        elif self.type is str:
            words = self.like or "text"
        else:
            words = self._describe_number(with_most) + (" or auto" if self.auto is not None else "")
        if not self.optional:
            return words
        return f"{words}, or null for {self.null or ('no limit' if self.type in (int, float) else 'none')}"

    def _check_each(self, values: object, written: object) -> tuple[object, ...]:
        if not isinstance(values, list | tuple):
            raise FieldError(self.name, f"must be a list, not {kind(values if written is None else written)}")
        if self.one_or_many and not values:
            raise FieldError(self.name, f"must be {self.describe()}, not an empty list")
        return tuple(self._check_one(value, None, at) for at, value in enumerate(values))

    def _check_one(self, value: object, written: object, at: int | None) -> object:
        if self.auto is not None and value == "auto":
            return self.auto
        if self.optional and (value is None or (self.type is not str and type(value) in (int, float) and value == -1)):
            return None
        typed = float(value) if self.type is float and type(value) is int and abs(value) <= LARGEST else value
        problem: str | None = None
        if isinstance(typed, str) and self.type is str:
            problem = self._text_problem(typed, written)
        elif type(typed) is not self.type or not self._is_in_range(typed):
            problem = self._problem(value, written)
        if problem is not None:
            raise FieldError(self.name, problem, at)
        return typed

    def _text_problem(self, value: str, written: object) -> str | None:
        if _CONTROL.search(value) or not _is_unicode(value):
            return "must not have control characters or broken Unicode in it"
        fits = re.fullmatch(self.pattern, value) if self.pattern is not None else value != ""
        if not fits or (self.choices and value not in self.choices):
            return self._problem(value, written)
        problem = None if self.check_text is None else self.check_text(value)
        return problem if problem is None or self.secret or not may_be_shown(value) else f"{shown(value)} {problem}"

    def _is_in_range(self, value: Any) -> bool:
        if isinstance(value, bool):
            return True
        if not isfinite(value) or value > (LARGEST if self.most is None else self.most):
            return False
        return bool(value > 0 if self.least is None else value >= self.least)

    def _problem(self, value: object, written: object) -> str:
        """Return the text of the error for a value that this field does not take, with the probable mistake."""
        given = value if written is None else written
        if given == "" and self.type is str:
            return "must not be empty"
        found, hint = kind(given), ""
        if self.type is str and type(given) in (int, float, bool):
            hint = "; put it in quotes"
        elif self.check_text is origin_problem and given is None:
            hint = '; for the origin null, write "null" in quotes'
        elif given == "":
            found = "empty"
        elif isinstance(given, str) and "://" in given:
            found = "a URL"  # a URL may contain a password
        elif isinstance(given, bool) and not self.secret:
            found = str(given).lower()
        elif isinstance(given, str | int | float) and not self.secret:
            found = shown(given)
            if written is None and self._fits_without_quotes(given):
                hint = ", which is text: write it without quotes"
        too_large = isinstance(value, int | float) and value > LARGEST
        return f"must be {self.describe(with_most=too_large)}, not {found}{hint}"

    def _fits_without_quotes(self, value: object) -> bool:
        if not isinstance(value, str) or self.type is str:
            return False
        if self.type is bool:
            return value in ("true", "false")
        return (_WHOLE if self.type is int else _DECIMAL).fullmatch(value) is not None

    def _describe_number(self, with_most: bool) -> str:
        words = "a whole number" if self.type is int else "a number"
        least = self.least if self.least is not None else 1 if self.type is int else None
        most = LARGEST if with_most and self.most is None else self.most
        if least is None:
            return f"{words} above 0" + ("" if most is None else f" and at most {most:.0f}")
        return f"{words} of {least:g} or more" if most is None else f"{words} from {least:g} to {most:.0f}"


def setting(default: Any, help: str, **rules: Unpack[Rules]) -> Any:
    """Return a field of a dataclass with its default, its line of help and its rules."""
    return field(default=default, repr=not rules.get("secret", False), metadata={"help": help, **rules})


@cache
def fields_of(of: type) -> Mapping[str, Field]:
    """Return the fields of a dataclass by name, in their order. Fields without a line of help are left out."""
    hints = get_type_hints(of)
    found: dict[str, Field] = {}
    for each in fields(of):
        if "help" in each.metadata:
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            found[each.name] = Field(name=each.name, default=default, **_shape(hints[each.name]), **each.metadata)
    return found


def check_texts(given: Any) -> None:
    """Check each text of a dataclass against the rules of its field. Raise ValueError, which names the class."""
    of: type = type(given)
    for name, each in fields_of(of).items():
        value = getattr(given, name)
        if each.type is str and value is not None:
            try:
                each.check(value)
            except FieldError as error:
                raise ValueError(f"{of.__name__}.{error}") from None


def differing(one: Any, other: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the fields in which two values of one class differ."""
    of: type = type(one)
    for name, each in fields_of(of).items():
        values = getattr(one, name), getattr(other, name)
        if each.is_group:
            yield from differing(*values, f"{prefix}{name}.")
        elif values[0] != values[1]:
            yield prefix + name


def either(words: Sequence[str]) -> str:
    """Return a choice in words: ``a, b or c``."""
    return " or ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def kind(value: object) -> str:
    """Return what a value is, in words that do not show the value."""
    match value:
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
    return "a number"


def _shape(hint: Any) -> dict[str, Any]:
    """Return what a type hint says of a field.

    ``tuple[T, ...]`` and ``Sequence[T]`` are many, ``T | None`` is optional, and ``T | tuple[T, ...]`` is one_or_many.
    """
    if get_origin(hint) is UnionType and get_origin(get_args(hint)[-1]) is tuple:
        return {"type": get_args(hint)[0], "one_or_many": True}
    optional = get_origin(hint) is UnionType and NoneType in get_args(hint)
    if optional:
        hint = next(part for part in get_args(hint) if part is not NoneType)
    many = is_list(hint)
    return {"type": get_args(hint)[0] if many else hint, "many": many, "optional": optional}


def is_list(hint: object) -> bool:
    """Return whether a type hint is that of a list: ``tuple[T, ...]`` or ``Sequence[T]``."""
    return get_origin(hint) in (tuple, Sequence)


def shown(value: object) -> str:
    """Return a value for an error; a long one is cut, and one that may contain a secret is not shown."""
    if isinstance(value, str) and not may_be_shown(value):
        return HIDDEN
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
