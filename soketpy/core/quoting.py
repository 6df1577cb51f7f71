"""The rule for texts of a configuration in errors and log lines: a text that may contain a secret is not shown.

A password is often written in the wrong place: in an address (``redis.host: user:password@host``), in the query of a
URL, or as the name of a setting. A field that is a secret by its declaration is never shown, whatever its value is.
"""

import re

HIDDEN = "a hidden text (it may contain a secret)"
"""The words in the place of a text that is not shown."""

HIDDEN_NAME = "(hidden name)"

_CREDENTIALS = re.compile(r":[^@]*@|[?&;#][^\s=]*=|\b(basic|bearer)\s", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9+_=-]{16,}")
_FEW = 4
"""Digits, and letters, of a word that is still no token."""


def may_be_shown(text: str) -> bool:
    """Return whether a text, which may be wrong, has no credentials and no word like a token in it."""
    return "@" not in text and not has_credentials(text) and not any(map(_is_token, _WORD.findall(text)))


def has_credentials(text: str) -> bool:
    """Return whether a text has the form of an address with a password, of a query, or of an authorization."""
    return _CREDENTIALS.search(text) is not None


def _is_token(word: str) -> bool:
    return sum(map(str.isdigit, word)) >= _FEW and sum(map(str.isalpha, word)) >= _FEW
