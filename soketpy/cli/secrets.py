"""Secrets from files and from standard input. A command never takes a secret as an argument."""

import sys
from pathlib import Path

from soketpy.cli.faults import Mistake

LONGEST = 4096
"""Most characters of a secret."""


def read_secret(path: str, option: str) -> str:
    """Return the first line of a file, or of standard input for ``-``. Raise Mistake, which never shows the secret."""
    try:
        if path == "-":
            text = sys.stdin.readline(LONGEST)
        else:
            with Path(path).open(encoding="utf-8") as file:
                text = file.readline(LONGEST)
    except OSError as error:
        raise Mistake(f"{option}: {path} cannot be read: {error.strerror or error}") from None
    secret = text.strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise Mistake(f"{option}: the first line must be a secret of printable ASCII characters")
    return secret
