"""A certificate authority that the tests own."""

import ssl
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

ISSUED = datetime(2020, 1, 1)
ENDS = ISSUED + timedelta(days=36_500)

SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""The key of an authority signs certificates."""

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey


class Authority:
    """A certificate authority, instead of a public one."""

    def __init__(self, name: str, issuer: "Authority | None" = None) -> None:
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.key = generate_private_key(SECP256R1())
        self.certificate = (issuer or self).sign(self.name, self.key, True)

    def sign(self, name: x509.Name, key: PrivateKey, authority: bool, ends: datetime = ENDS) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ISSUED)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
            # Since Python 3.13 a client requires the extensions that RFC 5280 requires.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if authority:
            builder = builder.add_extension(SIGNS, True)
        else:
            names = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(
        self, folder: Path, passphrase: str | None = None, *, key: PrivateKey | None = None, ends: datetime = ENDS
    ) -> tuple[str, str]:
        """Return the files of a certificate for 127.0.0.1 and of its key."""
        key = key or generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        cert_file, key_file = folder / "cert.pem", folder / "key.pem"
        cert_file.write_bytes(self.sign(name, key, False, ends).public_bytes(Encoding.PEM))
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return str(cert_file), str(key_file)

    def trusted(self) -> ssl.SSLContext:
        """Return the context of a client that trusts only this authority."""
        return ssl.create_default_context(cadata=self.pem().decode())

    def pem(self) -> bytes:
        """Return the certificate."""
        return self.certificate.public_bytes(Encoding.PEM)
