"""The events of encrypted channels: NaCl secret boxes with a key for each channel (Pusher, "Encrypted channels")."""

import base64
import binascii
import hashlib
import json
from typing import Any

from soketpy.cli.faults import Mistake

KEY_SIZE = 32
"""Bytes of a master key."""

MISSING = "--master-key-file needs the library PyNaCl: pip install 'soketpy[encryption]'"


class Undecryptable(Exception):
    """Data that is not encrypted with this master key."""


class MasterKey:
    """The key of all encrypted channels of an app. It is never shown."""

    def __init__(self, text: str) -> None:
        """Take the key in base64. Raise Mistake for another text, and if PyNaCl is missing."""
        try:
            from nacl import secret  # noqa: F401 - the first event is too late for this error
        except ImportError:
            raise Mistake(MISSING) from None
        try:
            self._key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self._key = b""
        if len(self._key) != KEY_SIZE:
            raise Mistake(f"--master-key-file: the first line must be {KEY_SIZE} bytes in base64")

    def decrypt(self, channel: str, data: Any) -> str:
        """Return the data of an event. ``data`` is the decoded JSON of the message. Raise Undecryptable."""
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox

        box = SecretBox(hashlib.sha256(channel.encode() + self._key).digest())
        try:
            nonce, sealed = base64.b64decode(data["nonce"]), base64.b64decode(data["ciphertext"])
            return box.decrypt(sealed, nonce).decode()
        except (KeyError, TypeError, ValueError, CryptoError):
            raise Undecryptable(f"an event on {json.dumps(channel)} is not encrypted with this master key") from None
