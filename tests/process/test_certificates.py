"""A renewed certificate is loaded while the server runs, whatever way its files are replaced in."""

import asyncio
import json
import logging
import shutil
import signal
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from soketpy import Server
from soketpy.config.settings import Settings, Tls
from soketpy.process.certificates import Certificate
from soketpy.process.validity import validity_of
from tests.authority import ENDS, ISSUED, Authority
from tests.cli.test_workers import Start
from tests.cli.test_workers import start as start
from tests.conftest import Socket, until
from tests.fakes import APP
from tests.patience import PATIENCE, UNHURRIED
from tests.process.test_signals import StartProcess, configuration
from tests.process.test_signals import start_process as start_process

LOADED = "Loaded the new certificate in "
KEPT = "Kept the old certificate, because the new one does not work: "


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Authority")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tls").mkdir()
    return tmp_path / "tls"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The lines about certificates, which grow during the test."""
    found: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler, log = Lines(), logging.getLogger("soketpy.tls")
    caplog.set_level(logging.INFO, "soketpy.tls")
    log.addHandler(handler)
    yield found
    log.removeHandler(handler)


async def served(port: int, authority: Authority, name: str = "127.0.0.1") -> int:
    """Return the serial number of the certificate that a new connection gets. An address is no server name (SNI)."""
    async with asyncio.timeout(PATIENCE):
        trusted = authority.trusted()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname=name)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(found).serial_number


def serial_of(file: str) -> int:
    return x509.load_pem_x509_certificate(Path(file).read_bytes()).serial_number


def settings_for(cert: str, key: str, passphrase: str | None = None) -> Settings:
    return Settings(tls=Tls(cert=cert, key=key, passphrase=passphrase))


@pytest.mark.parametrize("kind", ["the same type of key", "another type of key"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_new_connections_get_the_new_certificate_and_open_ones_stay(
    authority: Authority, folder: Path, loop: str, kind: str
) -> None:
    key = None if kind == "the same type of key" else rsa.generate_private_key(65537, 2048)
    tls = Tls(**dict(zip(("cert", "key"), authority.issue(folder, key=key), strict=True)))

    async def renew() -> None:
        async with Server(host="127.0.0.1", port=0, apps=(APP,), tls=tls) as server:
            assert server.port is not None
            url = f"wss://127.0.0.1:{server.port}/app/app-key"
            async with websockets.connect(url, ssl=authority.trusted(), **UNHURRIED) as peer:
                client = Socket(peer)
                await client.hear()
                for name in ("127.0.0.1", "localhost"):
                    assert await served(server.port, authority, name) == serial_of(tls.cert or "")
                authority.issue(folder)
                server.reload(server.settings)
                await until(lambda: server._certificate is not None and server._certificate._loaded == now())
                for name in ("127.0.0.1", "localhost"):
                    assert await served(server.port, authority, name) == serial_of(tls.cert or "")
                assert (await client.subscribe("room"))["event"] == "pusher_internal:subscription_succeeded"
                await peer.close()

    def now() -> object:
        return Certificate(settings_for(tls.cert or "", tls.key or ""))._loaded

    factory = None if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(renew())


async def test_a_running_server_notices_that_links_are_replaced(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes replaces the link ``..data``, and certbot each link in ``live``."""
    monkeypatch.setattr("soketpy.process.certificates.LOOK_INTERVAL", 0.01)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        authority.issue(tmp_path / name)
    (tmp_path / "..data").symlink_to("first")
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    tls = Tls(cert=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem"))
    async with Server(host="127.0.0.1", port=0, apps=(APP,), tls=tls) as server:
        port = server.port or 0
        assert await served(port, authority) == serial_of(str(tmp_path / "first/cert.pem"))
        (tmp_path / "new").symlink_to("second")
        (tmp_path / "new").rename(tmp_path / "..data")
        second = serial_of(str(tmp_path / "second/cert.pem"))

        async def renewed() -> bool:
            return await served(port, authority) == second

        await until(renewed)


async def test_files_that_are_replaced_one_after_the_other_are_no_fault(
    authority: Authority, folder: Path, tmp_path: Path, lines: list[str]
) -> None:
    cert, key = authority.issue(folder)
    certificate = Certificate(settings_for(cert, key))
    new_cert, new_key = authority.issue(tmp_path)
    shutil.copy(new_cert, cert)
    await certificate.look()
    assert lines == []
    shutil.copy(new_key, key)
    await certificate.look()
    assert [line.startswith(f"{LOADED}{cert}, valid until 2119-12-08 00:00 UTC;") for line in lines] == [True]
    await certificate.look()
    assert len(lines) == 1


@pytest.mark.parametrize("fault", ["broken", "other key", "no file", "expired", "not yet valid"])
async def test_a_certificate_that_does_not_work_keeps_the_old_one_and_is_logged_once(
    authority: Authority, folder: Path, tmp_path: Path, lines: list[str], fault: str
) -> None:
    cert, key = authority.issue(folder)
    moment = [datetime(2026, 1, 1, tzinfo=UTC).timestamp()]
    certificate = Certificate(settings_for(cert, key), now=lambda: moment[0])
    before, expires = certificate._newest, certificate.expires
    if fault == "broken":
        (folder / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
        said = f"tls.cert: a certificate in {cert} is broken"
    elif fault == "other key":
        shutil.copy(authority.issue(tmp_path)[1], key)
        said = f"tls.key: the private key in {key} does not belong to the certificate in {cert}"
    elif fault == "no file":
        (folder / "key.pem").unlink()
        said = f"tls.key: {key} cannot be read: No such file or directory"
    elif fault == "expired":
        authority.issue(folder, ends=datetime(2025, 6, 1))
        said = f"tls.cert: the certificate in {cert} expired at 2025-06-01 00:00 UTC"
    else:
        moment[0] = datetime(2019, 1, 1, tzinfo=UTC).timestamp()
        authority.issue(folder)
        said = f"tls.cert: the certificate in {cert} is not valid before 2020-01-01 00:00 UTC"
    for _ in range(3):
        await certificate.look()
    assert (lines, certificate._newest, certificate.expires) == ([KEPT + said], before, expires)
    await certificate.look(asked=True)
    assert len(lines) == 1
    moment[0] = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    authority.issue(folder)
    await certificate.look()
    assert lines[1].startswith(LOADED)
    assert certificate._newest is not before


async def test_a_look_that_is_asked_for_logs_a_fault_at_once(
    authority: Authority, folder: Path, lines: list[str]
) -> None:
    cert, key = authority.issue(folder)
    certificate = Certificate(settings_for(cert, key))
    (folder / "cert.pem").write_text("nothing")
    await certificate.look(asked=True)
    assert lines == [f"{KEPT}tls.cert: there is no certificate (PEM) in {cert}"]


async def test_a_certificate_that_becomes_valid_is_loaded_without_another_change(
    authority: Authority, folder: Path, lines: list[str]
) -> None:
    cert, key = authority.issue(folder)
    moment = [(ISSUED - timedelta(days=1)).timestamp()]
    certificate = Certificate(settings_for(cert, key), now=lambda: moment[0])
    authority.issue(folder)
    await certificate.look()
    moment[0] = (ISSUED + timedelta(days=2)).timestamp()
    await certificate.look()
    assert [line.startswith(LOADED) for line in lines] == [True]


async def test_the_passphrase_of_the_start_decrypts_the_new_key_and_is_never_logged(
    authority: Authority, folder: Path, lines: list[str]
) -> None:
    cert, key = authority.issue(folder, "the-passphrase")
    certificate = Certificate(settings_for(cert, key, "the-passphrase"))
    authority.issue(folder, "the-passphrase")
    await certificate.look(asked=True)
    assert lines[0].startswith(LOADED)
    authority.issue(folder, "another-passphrase")
    await certificate.look(asked=True)
    assert lines[1] == f"{KEPT}tls.passphrase: does not decrypt the private key in {key}"
    assert "the-passphrase" not in "".join(lines)


async def test_an_expired_certificate_is_no_error_at_the_start(authority: Authority, folder: Path) -> None:
    cert, key = authority.issue(folder, ends=datetime(2021, 1, 1))
    assert Certificate(settings_for(cert, key)).expires == datetime(2021, 1, 1, tzinfo=UTC).timestamp()


async def test_sighup_loads_the_certificate(authority: Authority, folder: Path, start_process: StartProcess) -> None:
    cert, key = authority.issue(folder)
    content = json.dumps({**json.loads(configuration(APP)), "tls": {"cert": cert, "key": key}})
    process = await start_process(content, listens=False)
    port = int((await process.logged(r"Listening on https://127\.0\.0\.1:(\d+) with"))[1])
    authority.issue(folder)
    process.signal(signal.SIGHUP)
    await process.logged(LOADED)
    assert await served(port, authority) == serial_of(cert)
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0


@pytest.mark.usefixtures("redis")
async def test_every_worker_loads_the_certificate(authority: Authority, folder: Path, start: Start) -> None:
    cert, key = authority.issue(folder)
    server = start(tls={"cert": cert, "key": key})
    authority.issue(folder)
    server.signal(signal.SIGHUP)
    for _ in range(2):
        await server.written(LOADED)
    for _ in range(8):
        assert await served(server.port, authority) == serial_of(cert)


@pytest.mark.parametrize("ends", [datetime(2049, 12, 31, 23, 59, 59), datetime(2050, 1, 1), datetime(9999, 12, 31)])
def test_the_validity_is_read_as_other_libraries_read_it(authority: Authority, folder: Path, ends: datetime) -> None:
    pem = Path(authority.issue(folder, ends=ends)[0]).read_text()
    found, other = validity_of(pem + authority.pem().decode()), x509.load_pem_x509_certificate(pem.encode())
    assert found.begins == other.not_valid_before_utc.timestamp()
    assert found.ends == other.not_valid_after_utc.timestamp()


def test_a_certificate_that_is_cut_off_has_no_validity(authority: Authority) -> None:
    der = ssl.PEM_cert_to_DER_cert(authority.pem().decode())
    for size in range(100):
        with pytest.raises(ValueError, match=r".+"):
            validity_of(ssl.DER_cert_to_PEM_cert(der[:size]))
    with pytest.raises(ValueError, match="there is no certificate"):
        validity_of("nothing")


def test_the_problem_of_a_certificate_depends_on_the_time(authority: Authority) -> None:
    validity = validity_of(authority.pem().decode())
    moments = [ISSUED - timedelta(1), ISSUED, ENDS, ENDS + timedelta(1)]
    problems = [validity.problem(each.replace(tzinfo=UTC).timestamp()) for each in moments]
    assert problems == ["is not valid before 2020-01-01 00:00 UTC", None, None, "expired at 2119-12-08 00:00 UTC"]
