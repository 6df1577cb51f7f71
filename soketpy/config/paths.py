"""Patterns for app ids, app keys and the path prefix, which must stand in a URL as they are.

Some clients encode other characters and some do not, so that they would not work everywhere. The characters are those
of RFC 3986, section 3.3, without ``:`` and, in keys, without ``&``: ``:`` ends the key of an ``auth``, and ``&`` the
``auth_key`` of a REST call. Clients resolve ``.`` and ``..`` as parts of a path.
"""

_CHARACTERS = r"\-A-Za-z0-9._~!$'()*+,;=@"
_NO_DOTS = r"(?!\.{1,2}(?:/|$))"

SAFE = "A-Z, a-z, 0-9 and -._~!$'()*+,;=@"
"""The characters, in words."""

APP_ID = f"{_NO_DOTS}[{_CHARACTERS}&]+"
APP_KEY = f"{_NO_DOTS}[{_CHARACTERS}]+"
PATH_PREFIX = f"(/{_NO_DOTS}[{_CHARACTERS}&:]+)*/?"
