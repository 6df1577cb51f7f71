"""Log lines about TLS handshakes that fail, because asyncio and uvloop close such connections silently."""

import logging
import ssl

from soketpy.core.containment import attempt
from soketpy.core.refusals import Refusals

log = logging.getLogger("soketpy.http")


def note_failed_handshakes(context: ssl.SSLContext, refusals: Refusals) -> None:
    """Log each handshake of this context that OpenSSL refuses, with OpenSSL's reason.

    The address of the client is unknown. A client that disconnects, or is silent, before OpenSSL finds a fault is not
    logged.
    """

    class Noted(ssl.SSLObject):
        """One TLS connection of this context."""

        def do_handshake(self) -> None:
            """Continue the handshake as far as possible. Raises SSLError."""
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise  # more bytes must be received or sent first
            except ssl.SSLError as fault:
                attempt(log, refusals.tls, fault.reason or str(fault))
                raise

    context.sslobject_class = Noted
