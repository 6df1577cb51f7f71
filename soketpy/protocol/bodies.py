"""The body of an HTTP request, as its bytes arrive: a body of a stated length, or one in chunks."""

import re

import httptools

_CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

_END = re.compile(b"\r\n\r\n")
"""The bytes with which every chunked body ends; they may also occur before the end."""


class BodyTooLarge(ValueError):
    """A body with more bytes than allowed."""


class BadBody(ValueError):
    """A body that breaks the rules of its framing."""


class SizedBody:
    """A body of a stated length."""

    __slots__ = ("_content", "_left")

    def __init__(self, length: int) -> None:
        self._left = length
        self._content: bytearray | None = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the connection. Return those after the end of the body, or None if it is incomplete."""
        if self._content is not None:
            self._content += data[: self._left]
        size = len(data)
        if size < self._left:
            self._left -= size
            return None
        rest, self._left = data[self._left :], 0
        return rest

    def discard(self) -> None:
        """Keep no bytes of the body: neither those that have arrived nor those that follow."""
        self._content = None

    def whole(self) -> bytes:
        """Return the body, if all of it has arrived and was not discarded."""
        return bytes(self._content or b"")


class ChunkedBody:
    """A chunked body of at most ``limit`` bytes, parsed by llhttp.

    llhttp does not tell where in its input a message ends, and would parse what follows as the next request. So it gets
    the input in pieces that end wherever the body may end.
    """

    __slots__ = ("_content", "_limit", "_parser", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = _Content()
        self._parser = httptools.HttpRequestParser(self._content)
        self._parser.feed_data(_CHUNKED)
        self._tail = b""  # the last bytes of the input so far, with which the end may begin

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the connection. Return those after the end of the body, or None if it is incomplete.

        Raises BadBody or BodyTooLarge.
        """
        joined = self._tail + data
        ends = [end.end() for end in _END.finditer(joined)]
        start = len(self._tail)
        for end in [*ends, len(joined)]:
            self._parse(joined[start:end])
            if self._content.complete:
                return joined[end:]
            start = end
        self._tail = joined[-3:]
        return None

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as fault:
            raise BadBody(str(fault)) from None
        if len(self._content.body or b"") > self._limit:
            raise BodyTooLarge

    def discard(self) -> None:
        """Keep no bytes of the body: neither those that have arrived nor those that follow."""
        self._content.body = None

    def whole(self) -> bytes:
        """Return the body, if all of it has arrived and was not discarded."""
        return bytes(self._content.body or b"")


class _Content:
    """Receives the content of a chunked body from the parser."""

    def __init__(self) -> None:
        self.body: bytearray | None = bytearray()  # one buffer: objects for tiny chunks would take 20 times as much
        self.complete = False

    def on_body(self, piece: bytes) -> None:
        if self.body is not None:
            self.body += piece

    def on_message_complete(self) -> None:
        self.complete = True
