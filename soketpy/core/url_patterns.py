"""Patterns for app ids, app keys and the path prefix. A URL contains all of these without percent-encoding.

Some clients percent-encode other characters and some do not, so other characters would not work with every client. The
allowed characters are those of RFC 3986, section 3.3, without ``:`` and, in keys, without ``&``: a ``:`` ends the key
of an ``auth``, and an ``&`` ends the ``auth_key`` of a REST request. An id or a key must not be ``.`` or ``..``, which
clients resolve as parts of a path.
"""

_CHARACTERS = r"\-A-Za-z0-9._~!$'()*+,;=@"
_NO_DOTS = r"(?!\.{1,2}(?:/|$))"

SAFE = "A-Z, a-z, 0-9 and -._~!$'()*+,;=@"
"""The characters, in words."""

APP_ID = f"{_NO_DOTS}[{_CHARACTERS}&]+"
APP_KEY = f"{_NO_DOTS}[{_CHARACTERS}]+"
PATH_PREFIX = f"(/{_NO_DOTS}[{_CHARACTERS}&:]+)*/?"
