"""TLS with a certificate of the operator's own."""

import ssl

from soketpy.config import ConfigError


def tls_context(cert: str | None, key: str | None, passphrase: str | None, ca: str | None) -> ssl.SSLContext | None:
    """The server's side of TLS, or None without a certificate. Raises ConfigError for files that do not work."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ConfigError("tls: cert and key must be given together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # A passphrase must always be given, lest OpenSSL ask for it on the terminal.
        context.load_cert_chain(cert, key, passphrase or "")
    except (OSError, ssl.SSLError) as fault:
        raise ConfigError(f"tls: the certificate {cert} and key {key} cannot be used: {_reason(fault)}") from None
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as fault:
            raise ConfigError(f"tls.ca: {ca} cannot be used: {_reason(fault)}") from None
    return context


def _reason(fault: OSError) -> str:
    if isinstance(fault, ssl.SSLError):
        return fault.reason or "it is not valid PEM, or the key is not the certificate's"
    return fault.strerror or str(fault)
