"""An answer that must be complete at a deadline and has a limit of its size. A server may be slow or hostile."""

import http.client
import io
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST = 16 * 1024 * 1024
"""Bytes of the largest answer that is read."""


class TooLarge(Exception):
    """An answer of more than LARGEST bytes."""

    def __str__(self) -> str:
        return f"the answer is larger than {LARGEST // 1024 // 1024} MiB"


class BoundedAnswer(http.client.HTTPResponse):
    """An answer whose bytes all arrive before ``deadline``, a time of the monotonic clock. Later, a read times out.

    The timeout of a socket alone is that of one read: a server that sends a byte a second would never reach it.
    """

    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Punctual(self.fp.detach(), sock, deadline))

    def read_bounded(self) -> bytes:
        """Return the body. Raise TooLarge, and TimeoutError at the deadline."""
        if self.length is not None:
            if self.length > LARGEST:
                raise TooLarge
            return self.read()
        body = self.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise TooLarge
        return body


class _Punctual(io.RawIOBase):
    """The bytes of a socket until a deadline."""

    def __init__(self, raw: Any, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """Return True: the bytes are read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """Read what is there. Raise TimeoutError at the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        """Close the socket's file."""
        super().close()
        self._raw.close()
