"""The end of a connection over TLS, which cannot end one direction alone."""

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from soketpy.config.settings import Tls
from tests.web.rfc6455.wire import TEXT, Exchange, Wire, close_frame, frame, header, request

MEGABYTE = b"x" * (1 << 20)


@pytest.fixture
async def tls_wire(exchange: Exchange, tmp_path: Path) -> Wire:
    """Return a WebSocket over TLS whose greeting has been read."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key)
    peers = await exchange.start(tls=Tls(cert=str(cert), key=str(key)))
    context = ssl.create_default_context(cafile=str(cert))
    wire = exchange.keep(*await asyncio.open_connection("localhost", peers.port, ssl=context))
    await wire.send(request())
    await wire.greet()
    return wire


def write_certificate(cert: Path, key: Path) -> None:
    """Return a certificate for localhost that its own key has signed."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


async def test_a_close_is_answered_and_the_connection_ends(tls_wire: Wire) -> None:
    await tls_wire.is_alive()
    await tls_wire.send(close_frame(4321))
    assert await tls_wire.failed() == 4321


async def test_the_code_reaches_a_client_that_is_still_sending(tls_wire: Wire) -> None:
    await tls_wire.send(header(TEXT, len(MEGABYTE) * 8))
    for _ in range(8):
        await tls_wire.send(MEGABYTE)
    assert await tls_wire.close_code() == 1009


async def test_a_client_that_breaks_the_rules_and_never_goes_is_dropped(exchange: Exchange, tls_wire: Wire) -> None:
    await tls_wire.send(frame(TEXT, b"x", mask=None))
    assert await tls_wire.close_code() == 1002
    exchange.let_all_deadlines_come()
    await tls_wire.end()
