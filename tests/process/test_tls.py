"""TLS with a certificate of the operator, which the tests create."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from soketpy import ConfigError, Server, Settings
from soketpy.cli import main
from soketpy.config import load
from soketpy.config.settings import Tls
from soketpy.core.refusals import Refusals
from soketpy.process.tls import tls_context
from soketpy.web.tls_handshakes import note_failed_handshakes
from tests.authority import ISSUED, Authority
from tests.conftest import Contained, Peers, Socket, StartServer, until
from tests.fakes import APP, FakeLoop
from tests.patience import PATIENCE, UNHURRIED
from tests.web.wire import request, signed, wire


async def ready(peers: Peers, authority: Authority) -> int:
    """Return the status of /ready for a client that trusts the authority."""
    url = f"https://127.0.0.1:{peers.port}/ready"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=authority.trusted()) as response:
        return response.status


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Authority")


async def test_with_a_certificate_websockets_and_rest_are_encrypted(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    cert, key = authority.issue(tmp_path)
    peers = await start_server(tls=Tls(cert=cert, key=key), apps=(replace(APP, tls_only=True),))
    assert peers.server.address == f"https://127.0.0.1:{peers.port}"
    trusted = authority.trusted()
    url = f"//127.0.0.1:{peers.port}"
    async with (
        websockets.connect(f"wss:{url}/app/app-key", ssl=trusted, **UNHURRIED) as peer,
        aiohttp.ClientSession() as session,
    ):
        client = Socket(peer)
        await client.hear()
        assert (await client.subscribe("room"))["event"] == "pusher_internal:subscription_succeeded"
        data = "d" * 100_000
        body = f'{{"name":"e","channel":"room","data":"{data}"}}'.encode()
        target = signed("POST", "/apps/app-id/events", body)
        async with session.post(f"https:{url}{target}", data=body, ssl=trusted) as response:
            assert (response.status, await response.json()) == (200, {})
        assert (await client.hear())["data"] == data
        await peer.close()


async def test_a_client_without_tls_gets_nothing_from_a_tls_port_but_the_reason(
    start_server: StartServer, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = authority.issue(tmp_path)
    peers = await start_server(tls=Tls(cert=cert, key=key))
    async with wire(peers.port) as stranger:
        stranger.send(request("GET", "/ready"))
        assert (await stranger.answer()).body == b"This port needs TLS: use https or wss.\n"
    assert await ready(peers, authority) == 200
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("trigger", "c", "e", "d"), "the port speaks TLS: give --tls"),
        (("healthcheck",), "the port speaks TLS, and tls.cert is not set"),
    ],
)
async def test_a_command_without_tls_names_a_port_that_speaks_tls(
    start_server: StartServer,
    authority: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    said: str,
) -> None:
    cert, key = authority.issue(tmp_path)
    port = (await start_server(tls=Tls(cert=cert, key=key))).port
    assert await asyncio.to_thread(main, [*argv, "--port", str(port)]) == 1
    assert capsys.readouterr().err == f"soketpy {argv[0]}: cannot reach http://127.0.0.1:{port}: {said}\n"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("sent", "reason", "answered"),
    [
        (request("GET", "/ready"), "HTTP_REQUEST", True),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "WRONG_VERSION_NUMBER", False),
    ],
)
def test_a_tls_handshake_that_fails_has_a_line_and_plain_http_an_answer(
    authority: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    loop: str,
    sent: bytes,
    reason: str,
    answered: bool,
) -> None:
    cert, key = authority.issue(tmp_path)
    caplog.set_level(logging.INFO, "soketpy")

    async def refuse() -> None:
        async with (
            Server(host="127.0.0.1", port=0, apps=(APP,), tls=Tls(cert=cert, key=key)) as server,
            wire(server.port or 0) as stranger,
        ):
            stranger.send(sent)
            if answered:
                answer = await stranger.answer()
                assert (answer.status, answer.headers["connection"]) == (400, "close")
                assert answer.body == b"This port needs TLS: use https or wss.\n"
                stranger.send(sent)  # a client that does not disconnect
            assert await stranger.rest() == b""

    factory = None if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(refuse())
    found = [each.getMessage() for each in caplog.records if each.name == "soketpy.refusals"]
    assert found == [f"No app: a TLS handshake failed: {reason}"]


def test_a_client_that_does_not_trust_the_certificate_has_a_line(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "soketpy")
    cert, key = authority.issue(tmp_path)
    context = tls_context(Settings(apps=(APP,), tls=Tls(cert=cert, key=key)))
    assert context is not None
    fake = FakeLoop()
    note_failed_handshakes(context, Refusals(fake.time, fake.call_later))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = ssl.create_default_context().wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    assert not caplog.records, "a handshake that goes on is no failure"
    with pytest.raises(ssl.SSLCertVerificationError):
        client.do_handshake()
    with pytest.raises(ssl.SSLError):
        server.do_handshake()
    [record] = caplog.records
    assert record.getMessage() == "No app: a TLS handshake failed: TLSV1_ALERT_UNKNOWN_CA"


async def test_a_log_that_fails_changes_nothing_for_a_failed_tls_handshake(
    start_server: StartServer,
    authority: Authority,
    tmp_path: Path,
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cert, key = authority.issue(tmp_path)
    peers = await start_server(tls=Tls(cert=cert, key=key))

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr("soketpy.core.refusals.log.log", fail)
    async with wire(peers.port) as stranger:
        stranger.send(request("GET", "/ready"))
        assert (await stranger.answer()).status == 400
    assert await ready(peers, authority) == 200
    assert contained.count == 1


async def test_a_connection_whose_handshake_has_begun_is_answered_though_the_server_stops(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.FIRST_REQUEST_TIMEOUT", 3600)
    cert, key = authority.issue(tmp_path)
    server = Server(host="127.0.0.1", port=0, apps=(APP,), tls=Tls(cert=cert, key=key))
    await server.start()
    raw = socket.socket()
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", server.port))

    async def accepted() -> bool:
        return len(server._handshakes) == 1

    async def draining() -> bool:
        return server._state.draining

    await until(accepted)
    stopping = asyncio.create_task(server.stop())
    await until(draining)
    reader, writer = await asyncio.open_connection(
        sock=raw, ssl=authority.trusted(), server_hostname="127.0.0.1", ssl_handshake_timeout=PATIENCE
    )
    writer.write(request("GET", "/ready"))
    assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 503 Service Unavailable\r\n"
    await asyncio.wait_for(stopping, PATIENCE)
    writer.close()
    await writer.wait_closed()


async def test_the_further_certificates_of_a_chain_are_sent(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    between = Authority("Between", authority)
    cert, key = between.issue(tmp_path)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(between.certificate.public_bytes(Encoding.PEM))
    peers = await start_server(tls=Tls(cert=cert, key=key, ca=str(ca)))
    assert await ready(peers, authority) == 200


async def test_a_key_may_have_a_passphrase(start_server: StartServer, authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue(tmp_path, "sesame")
    await start_server(tls=Tls(cert=cert, key=key, passphrase="sesame"))
    for wrong, said in (
        (None, f"tls.key: the private key in {key} is encrypted: give its passphrase, tls.passphrase"),
        ("sesam", f"tls.passphrase: does not decrypt the private key in {key}"),
        ("ü" * 513, "tls.passphrase: must not be longer than 1024 bytes"),
    ):
        with pytest.raises(ConfigError) as refusal:
            await start_server(tls=Tls(cert=cert, key=key, passphrase=wrong))
        assert str(refusal.value) == said


def without_certificate(cert: Path, key: Path, ca: Path) -> None:
    cert.unlink()


def without_key(cert: Path, key: Path, ca: Path) -> None:
    key.unlink()


def without_ca(cert: Path, key: Path, ca: Path) -> None:
    ca.unlink()


def certificate_is_not_pem(cert: Path, key: Path, ca: Path) -> None:
    cert.write_text("certificate")


def key_is_not_pem(cert: Path, key: Path, ca: Path) -> None:
    key.write_text("key")


def ca_is_not_pem(cert: Path, key: Path, ca: Path) -> None:
    ca.write_text("certificate")


def key_is_of_another_certificate(cert: Path, key: Path, ca: Path) -> None:
    content = cert.read_bytes()
    Authority("Another").issue(cert.parent)
    cert.write_bytes(content)


def certificate_is_broken(cert: Path, key: Path, ca: Path) -> None:
    cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def key_is_broken(cert: Path, key: Path, ca: Path) -> None:
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def key_is_of_another_type(cert: Path, key: Path, ca: Path) -> None:
    key.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def key_is_too_small(cert: Path, key: Path, ca: Path) -> None:
    small = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(small.public_key())
    builder = builder.serial_number(1).not_valid_before(ISSUED).not_valid_after(ISSUED + timedelta(days=36_500))
    cert.write_bytes(builder.sign(small, hashes.SHA256()).public_bytes(Encoding.PEM))
    key.write_bytes(small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def files_are_swapped(cert: Path, key: Path, ca: Path) -> None:
    key.write_bytes(cert.read_bytes())


def certificate_is_a_pipe(cert: Path, key: Path, ca: Path) -> None:
    cert.unlink()
    os.mkfifo(cert)


def key_is_a_pipe(cert: Path, key: Path, ca: Path) -> None:
    key.unlink()
    os.mkfifo(key)


def ca_is_a_pipe(cert: Path, key: Path, ca: Path) -> None:
    ca.unlink()
    os.mkfifo(ca)


def certificate_is_the_key(cert: Path, key: Path, ca: Path) -> None:
    cert.write_bytes(key.read_bytes())


OTHER_KEY = "2: tls.key: the private key in key.pem does not belong to the certificate in cert.pem"
SPOILT = [
    (without_certificate, "1: tls.cert: cert.pem cannot be read: No such file or directory"),
    (without_key, "2: tls.key: key.pem cannot be read: No such file or directory"),
    (without_ca, "3: tls.ca: ca.pem cannot be read: No such file or directory"),
    (certificate_is_a_pipe, "1: tls.cert: cert.pem cannot be read: it is not a file"),
    (key_is_a_pipe, "2: tls.key: key.pem cannot be read: it is not a file"),
    (ca_is_a_pipe, "3: tls.ca: ca.pem cannot be read: it is not a file"),
    (certificate_is_not_pem, "1: tls.cert: there is no certificate (PEM) in cert.pem"),
    (key_is_not_pem, "2: tls.key: there is no private key (PEM) in key.pem"),
    (ca_is_not_pem, "3: tls.ca: there is no certificate (PEM) in ca.pem"),
    (certificate_is_broken, "1: tls.cert: a certificate in cert.pem is broken"),
    (key_is_broken, "2: tls.key: the private key in key.pem is broken"),
    (certificate_is_the_key, "1: tls.cert: there is a private key instead of a certificate in cert.pem"),
    (files_are_swapped, "2: tls.key: there is a certificate instead of a private key in key.pem"),
    (key_is_of_another_certificate, OTHER_KEY),
    (key_is_of_another_type, OTHER_KEY),
    (key_is_too_small, "1: tls.cert: OpenSSL refuses the certificate in cert.pem: EE_KEY_TOO_SMALL"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_tls_files_that_do_not_work_are_named_with_the_line_of_the_setting(
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path, Path, Path], None],
    said: str,
) -> None:
    authority.issue(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    spoil(Path("cert.pem"), Path("key.pem"), Path("ca.pem"))
    Path("soketpy.yaml").write_text("tls: {cert: cert.pem,\n  key: key.pem,\n  ca: ca.pem}\nport: 0\n")
    with pytest.raises(ConfigError) as refusal:
        tls_context(load("soketpy.yaml", {}, {}))
    assert str(refusal.value) == f"soketpy.yaml:{said}"
    assert main(["check-config", "soketpy.yaml"]) == 2
    assert capsys.readouterr().err == f"soketpy check-config: error: soketpy.yaml:{said}\n"


def test_a_variable_whose_passphrase_is_wrong_is_named(
    authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = authority.issue(tmp_path, "sesame")
    for name, value in (("CERT", cert), ("KEY", key), ("PASS", "sesam")):
        monkeypatch.setenv(f"SOKETI_SSL_{name}", value)
    file = tmp_path / "soketpy.yaml"
    file.write_text("port: 7000\n")
    assert main(["check-config", str(file)]) == 2
    said = f"soketpy check-config: error: SOKETI_SSL_PASS: does not decrypt the private key in {key}"
    assert capsys.readouterr().err.splitlines()[-1] == said


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_both_forms_of_an_encrypted_key_need_a_passphrase(
    authority: Authority, tmp_path: Path, form: PrivateFormat
) -> None:
    cert, key = authority.issue(tmp_path)
    plain = load_pem_private_key(Path(key).read_bytes(), None)
    Path(key).write_bytes(plain.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"sesame")))
    assert tls_context(Settings(tls=Tls(cert=cert, key=key, passphrase="sesame"))) is not None
    with pytest.raises(ConfigError, match="is encrypted: give its passphrase"):
        tls_context(Settings(tls=Tls(cert=cert, key=key)))


def test_a_certificate_may_have_comments_and_its_key_may_be_in_the_same_file(
    authority: Authority, tmp_path: Path
) -> None:
    cert, key = authority.issue(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes("# ENCRYPTED für später\n".encode() + Path(cert).read_bytes() + Path(key).read_bytes())
    assert tls_context(Settings(tls=Tls(cert=str(both), key=str(both), ca=str(both)))) is not None


@pytest.mark.parametrize("given", [{"cert": "cert.pem"}, {"key": "key.pem"}])
async def test_a_certificate_and_its_key_belong_together(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^tls\.(cert|key): has no effect without tls\.(cert|key)$"):
        await Server(host="127.0.0.1", port=0, tls=Tls(**given)).start()


@pytest.mark.parametrize("given", [{"cert": "cert.pem"}, {"key": "key.pem"}])
def test_tls_is_not_left_off_where_one_of_both_is_given(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="cert and key must be given together"):
        tls_context(Settings(tls=Tls(**given)))
