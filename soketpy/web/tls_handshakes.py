"""TLS handshakes that fail: log lines, and an answer to plain HTTP. asyncio and uvloop only close the connections."""

import logging
import ssl
from http import HTTPStatus
from typing import Any

from soketpy.core.containment import attempt
from soketpy.core.refusals import Refusals
from soketpy.web.answers import SOFTWARE, TEXT, Reply
from soketpy.web.encoding import encode

log = logging.getLogger("soketpy.http")


def _answer() -> bytes:
    """Return the answer to plain HTTP."""
    headers = {"Content-Type": TEXT, "Server": SOFTWARE, "Connection": "close"}
    return encode(Reply(HTTPStatus.BAD_REQUEST, headers, b"This port needs TLS: use https or wss.\n"), with_body=True)


PLAIN_HTTP = "HTTP_REQUEST"
"""OpenSSL's reason for refusing a client that sends plain HTTP."""


def note_failed_handshakes(context: ssl.SSLContext, refusals: Refusals) -> None:
    """Log each handshake of this context that OpenSSL refuses, with OpenSSL's reason. Answer plain HTTP with 400.

    The address of the client is unknown. A client that disconnects, or is silent, before OpenSSL finds a fault is not
    logged.
    """

    class Noted(ssl.SSLObject):
        """One TLS connection of this context."""

        outgoing: ssl.MemoryBIO | None = None
        refused = False

        def do_handshake(self) -> None:
            """Continue the handshake as far as possible. Raises SSLError."""
            if self.refused:
                raise ssl.SSLError(ssl.SSL_ERROR_SSL, "plain HTTP")
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise  # more bytes must be received or sent first
            except ssl.SSLError as fault:
                attempt(log, refusals.tls, fault.reason or str(fault))
                if fault.reason != PLAIN_HTTP or self.outgoing is None:
                    raise
                self.refused = True
                self.outgoing.write(_answer())
            else:
                self.outgoing = None
                return
            # The event loop now sends the answer, and waits until the client disconnects or the handshake times out.
            raise ssl.SSLWantReadError

    def wrap_bio(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        wrapped = wrap(incoming, outgoing, *args, **options)
        assert isinstance(wrapped, Noted)  # noqa: S101 - the context makes no others
        wrapped.outgoing = outgoing
        return wrapped

    wrap = context.wrap_bio
    context.sslobject_class = Noted
    context.wrap_bio = wrap_bio  # type: ignore[method-assign]
