"""TLS handshakes that fail: each leaves a line in the log. asyncio and uvloop close such a connection silently."""

import logging
import ssl

from soketpy.core.containment import attempt
from soketpy.core.refusals import Refusals

log = logging.getLogger("soketpy.http")


def note_failed_handshakes(context: ssl.SSLContext, refusals: Refusals) -> None:
    """Leave a line in the log about each handshake of this context that OpenSSL breaks off, with OpenSSL's reason.

    Neither the address of the client is known here, nor a client that goes, or is silent, before OpenSSL finds a fault.
    """

    class Noted(ssl.SSLObject):
        """One TLS connection of this context."""

        def do_handshake(self) -> None:
            """Take the handshake as far as it goes. Raises SSLError."""
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise  # more has to come, or to go out, first
            except ssl.SSLError as fault:
                attempt(log, refusals.tls, fault.reason or str(fault))
                raise

    context.sslobject_class = Noted
