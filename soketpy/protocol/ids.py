"""User ids: strings. An id that was a JSON number can be written as a number again."""

import math
from decimal import Decimal

import msgspec

_encode = msgspec.json.Encoder().encode


class NumericId(str):
    """A user id that was a JSON number. It equals the string of the same digits: ``1`` and ``"1"`` are one user."""

    __slots__ = ()


def of(given: str | float) -> str:
    """Return the id of a user from a JSON string or number. Raises ValueError for an infinite number."""
    if isinstance(given, str):
        return given
    if math.isinf(given):
        raise ValueError("is a number out of range")
    return NumericId(number_text(given))


def number_text(number: float) -> str:
    """Return the text of a number as JavaScript writes it: ``5.0`` is ``5``, ``1e3`` is ``1000``.

    A whole number without an exponent keeps all its digits. JavaScript drops the digits after the 17th, so that two
    users could become one. Source: ECMAScript, ``Number::toString``.
    """
    if isinstance(number, int):
        return str(number)
    if number == 0:
        return "0"
    sign, digit_tuple, exponent = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + int(exponent)  # the position of the decimal point in the digits
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
        text = f"{mantissa}e{point - 1:+d}"
    return f"-{text}" if sign else text


def literal(user_id: str) -> bytes:
    """Return the JSON text of a user id: a number for a ``NumericId``, otherwise a string."""
    return user_id.encode() if isinstance(user_id, NumericId) else _encode(user_id)
