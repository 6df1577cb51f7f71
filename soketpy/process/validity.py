"""The time in which an X.509 certificate is valid, read from its DER encoding (RFC 5280, section 4.1).

Python's ssl module shows this time only of the other side's certificate, and only after a handshake.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from soketpy.process.files import read_file

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17
"""Tags: the optional version of a certificate, and a time with a year of two digits."""


@dataclass(frozen=True, slots=True)
class Validity:
    """The first and the last moment of a certificate, in Unix seconds."""

    begins: float
    ends: float

    def problem(self, now: float) -> str | None:
        """Return why no client accepts the certificate now, as the end of a sentence, or None."""
        if now > self.ends:
            return f"expired at {day(self.ends)}"
        return f"is not valid before {day(self.begins)}" if now < self.begins else None


def day(moment: float) -> str:
    """Return a moment for people to read, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def validity_of(pem: str) -> Validity:
    """Return the validity of the first certificate of a PEM text, which is that of the server in a chain.

    Raise ValueError if there is none.
    """
    from ssl import PEM_cert_to_DER_cert

    found = _CERTIFICATE.search(pem)
    if found is None:
        raise ValueError("there is no certificate")
    _, certificate, _ = _element(PEM_cert_to_DER_cert(found[0]), 0)
    _, fields, _ = _element(certificate, 0)
    tag, _, after = _element(fields, 0)
    at = after if tag == _VERSION else 0
    for _ in range(3):  # serial number, signature algorithm, issuer
        _, _, at = _element(fields, at)
    _, times, _ = _element(fields, at)
    begins_tag, begins, at = _element(times, 0)
    ends_tag, ends, _ = _element(times, at)
    return Validity(_moment(begins_tag, begins), _moment(ends_tag, ends))


def validity_of_file(cert: str) -> Validity | None:
    """Return the validity of the certificate in a file, or None if it cannot be read."""
    try:
        return validity_of(read_file(cert).decode("ascii", "ignore"))
    except (OSError, ValueError):
        return None


def _element(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Return the tag and the content of the DER element at a position, and the position after the element."""
    if at + 2 > len(der):
        raise ValueError("the certificate is cut off")
    size, start = der[at + 1], at + 2
    if size & 0x80:
        digits = size & 0x7F
        size, start = int.from_bytes(der[start : start + digits], "big"), start + digits
    if start + size > len(der):
        raise ValueError("the certificate is cut off")
    return der[at], der[start : start + size], start + size


def _moment(tag: int, text: bytes) -> float:
    """Return the Unix seconds of UTCTime or GeneralizedTime, which end with Z (RFC 5280, section 4.1.2.5)."""
    written = text.decode("ascii")
    if tag == _UTC_TIME:
        written = ("19" if written[:2] >= "50" else "20") + written
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
