"""The address of a database server, and TLS to it."""

import ssl
from dataclasses import dataclass, field

from soketpy.core.app_registry import RegistryRefused

DISABLE, REQUIRE, VERIFY = "disable", "require", "verify-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A database server and a user of it. ``repr`` does not show the password.

    ``tls`` is ``disable`` (none), ``require`` (any certificate) or ``verify-full`` (the certificate and the host name
    are verified). ``ca`` is a PEM file with the certificate authorities; None for those of the system. A server without
    TLS is refused before the password is sent, unless ``tls`` is ``disable``.
    """

    host: str
    port: int
    username: str
    password: str | None = field(default=None, repr=False)
    database: str
    tls: str = DISABLE
    ca: str | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return the settings of TLS, or None without TLS. Raise RegistryRefused if ``ca`` cannot be read."""
        if self.tls == DISABLE:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as fault:
            reason = fault.strerror or type(fault).__name__
            raise RegistryRefused(f"the certificate authorities in {self.ca} cannot be read: {reason}") from None
        if self.tls != VERIFY:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
