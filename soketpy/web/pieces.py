"""The bytes of a client, cut where a request with an Upgrade header ends.

aiohttp's parser drops the bytes that come in the same piece behind a request whose upgrade it does not know, such as
``Upgrade: h2c``. So no piece may go on behind the end of such a request.
"""

from collections.abc import Iterator

_HEADER = b"\r\nupgrade:"
_END = b"\r\n\r\n"


class Pieces:
    """Cuts what comes on one connection."""

    __slots__ = ("_before", "_body", "_ends")

    def __init__(self) -> None:
        self._before = b""  # the last bytes, in which what is looked for may begin
        self._ends = False  # whether an empty line is the next place to cut
        self._body = 0  # bytes of a body behind which to cut

    def cut(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes in pieces. ``expect_body`` and ``expect_chunks`` may be called between two pieces."""
        while data:
            size = self._size(data)
            piece, data = data[:size], data[size:]
            self._body = max(0, self._body - len(piece))
            yield piece

    def _size(self, data: bytes) -> int:
        if self._body:
            return self._body
        joined = self._before + data
        wanted = _END if self._ends else _HEADER
        found = (joined if self._ends else joined.lower()).find(wanted)
        if found < 0:
            self._before = joined[1 - len(wanted) :]
            return len(data)
        size = found + len(wanted) - len(self._before)
        # The empty line may begin with the line end of the header, but no header begins in front of a cut.
        self._before, self._ends = b"", not self._ends
        return size

    def expect_body(self, size: int) -> None:
        """Cut behind so many bytes."""
        self._body = size

    def expect_chunks(self) -> None:
        """Cut behind the next empty line, which may be the end of a chunked body."""
        self._ends = True
