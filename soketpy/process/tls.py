"""TLS with the operator's certificate, and with certificate authorities of the operator."""

import ssl

from soketpy.config import ConfigError, Settings
from soketpy.config.problems import Problems
from soketpy.process.files import read_pem

LONGEST_PASSPHRASE = 1024
"""Most bytes of a passphrase that Python passes to OpenSSL."""

_ENCRYPTED = ("BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED")
"""Marks of a private key that needs a passphrase: PKCS #8, and OpenSSL's older format."""

_OTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons for a key that does not belong to the certificate. The last one means another type of key."""


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the server, or None without a certificate.

    Raise ConfigError, with the position of the setting, for files that do not work.
    """
    tls = settings.tls
    if tls.cert is None and tls.key is None:
        return None
    if tls.cert is None or tls.key is None:
        raise ConfigError("tls: cert and key must be given together")
    problems, encrypted = Problems(), False
    with problems.noted():
        check_certificates(settings, "tls.cert", tls.cert)
    with problems.noted():
        encrypted = _check_key(settings, tls.key)
    problems.check()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a passphrase, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.cert, tls.key, tls.passphrase or "")
    except ssl.SSLError as fault:
        raise _refused(settings, fault, encrypted=encrypted) from None
    except OSError as fault:  # a file was removed a moment ago
        raise ConfigError(f"tls: {tls.cert} and {tls.key} cannot be read: {fault.strerror or fault}") from None
    if tls.ca is not None:
        check_certificates(settings, "tls.ca", tls.ca)
        context.load_verify_locations(tls.ca)
    return context


def receivers_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of connections to receivers of webhooks, or None for the default one.

    It trusts the certificate authorities of the system and those of ``webhooks.ca``. Raise ConfigError, with the
    position of the setting, for a file that does not work.
    """
    file = settings.webhooks.ca
    if file is None:
        return None
    check_certificates(settings, "webhooks.ca", file)
    context = ssl.create_default_context()
    context.load_verify_locations(file)
    return context


def check_certificates(settings: Settings, path: str, file: str) -> None:
    """Raise ConfigError for a file that has no certificates, or broken ones. ``path`` is its setting."""
    text = read_pem(settings, path, file)
    if "CERTIFICATE-----" not in text:
        found = "a private key instead of a certificate" if "PRIVATE KEY-----" in text else "no certificate (PEM)"
        raise settings.mistake(path, f"there is {found} in {file}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise settings.mistake(path, f"a certificate in {file} is broken") from None


def _check_key(settings: Settings, file: str) -> bool:
    """Return whether a private key is encrypted. Raise ConfigError if there is none, or a passphrase is missing."""
    text, passphrase = read_pem(settings, "tls.key", file), settings.tls.passphrase
    if "PRIVATE KEY-----" not in text:
        found = "a certificate instead of a private key" if "CERTIFICATE-----" in text else "no private key (PEM)"
        raise settings.mistake("tls.key", f"there is {found} in {file}")
    encrypted = any(sign in text for sign in _ENCRYPTED)
    if encrypted and not passphrase:
        raise settings.mistake(
            "tls.key", f"the private key in {file} is encrypted: give its passphrase, tls.passphrase"
        )
    if passphrase is not None and len(passphrase.encode()) > LONGEST_PASSPHRASE:
        raise settings.mistake("tls.passphrase", f"must not be longer than {LONGEST_PASSPHRASE} bytes")
    return encrypted


def _refused(settings: Settings, fault: ssl.SSLError, *, encrypted: bool) -> ConfigError:
    """Return the error for a certificate and a key that are PEM files but do not work together."""
    tls = settings.tls
    if fault.reason in _OTHER_KEY:
        return settings.mistake(
            "tls.key", f"the private key in {tls.key} does not belong to the certificate in {tls.cert}"
        )
    if fault.reason:
        return settings.mistake("tls.cert", f"OpenSSL refuses the certificate in {tls.cert}: {fault.reason}")
    if encrypted:
        return settings.mistake("tls.passphrase", f"does not decrypt the private key in {tls.key}")
    return settings.mistake("tls.key", f"the private key in {tls.key} is broken")
