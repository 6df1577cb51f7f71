"""The reading of files that the settings name. It never waits for a pipe."""

import os
import stat

from soketpy.config import Settings
from soketpy.core.quoting import HIDDEN, may_be_shown

LARGEST = 16 * 1024 * 1024
"""Most bytes that are read from a file."""


def read_file(file: str) -> bytes:
    """Return the first bytes of a regular file. Raise OSError or ValueError.

    The open of a pipe would wait until a program writes to the pipe.
    """
    with open(file, "rb", opener=_open) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError("it is not a file")
        return opened.read(LARGEST)


def read_pem(settings: Settings, path: str, file: str) -> str:
    """Return the text of a PEM file. ``path`` is its setting. Raise ConfigError with the position of the setting."""
    try:
        return read_file(file).decode("ascii", "ignore")  # comments may have any characters
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise settings.mistake(path, f"{file if may_be_shown(file) else HIDDEN} cannot be read: {reason}") from None


def _open(file: str, flags: int) -> int:
    return os.open(file, flags | os.O_NONBLOCK)
