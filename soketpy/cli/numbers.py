"""Numbers in arguments, with errors that name the allowed range."""

import argparse
import math


def positive(text: str) -> int:
    """Return a whole number above 0. Raise ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Return a number of seconds above 0. Raise ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return number


class Between:
    """A type of whole numbers from ``least`` to ``most``, for ``add_argument``."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def __call__(self, text: str) -> int:
        """Return the number. Raise ArgumentTypeError."""
        if text.isascii() and text.isdecimal() and len(text) <= 9 and self._least <= int(text) <= self._most:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from {self._least} to {self._most}, not {text!r}")
