"""Requests whose body is incomplete."""

from soketpy.protocol.bodies import BadBody, BodyTooLarge, ChunkedBody, SizedBody
from soketpy.web.errors import broken_off, too_large
from soketpy.web.exchange import Exchange


class IncompleteRequest:
    """A request and the part of its body that has arrived.

    ``exchange`` is None once the request has its answer: the rest of the body is discarded then.
    """

    __slots__ = ("_body", "_limit", "exchange")

    def __init__(self, exchange: Exchange | None, length: int | None, limit: int) -> None:
        """Expect a body of ``length`` bytes, or in chunks if that is None, and of at most ``limit`` bytes."""
        self.exchange = exchange
        self._limit = limit
        self._body = ChunkedBody(limit) if length is None else SizedBody(length)
        if exchange is None:
            self._body.discard()

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the connection. Return those after the end of the body, or None if it is incomplete.

        Raises RequestError: 413 for a body that is too large, 400 for one that breaks the rules of its framing.
        """
        try:
            return self._body.feed(data)
        except BodyTooLarge:
            raise too_large(self._limit) from None
        except BadBody:
            raise broken_off() from None

    def discard(self) -> None:
        """Discard the rest of the body, because the request has its answer."""
        self.exchange = None
        self._body.discard()

    def body(self) -> bytes:
        """Return the body, which is complete."""
        return self._body.whole()
