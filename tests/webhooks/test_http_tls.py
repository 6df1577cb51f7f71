"""Webhooks over TLS: certificates are verified, and the operator may add certificate authorities."""

import logging
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from soketpy import ConfigError, Settings
from soketpy.cli import main
from soketpy.config import settings as config
from soketpy.core.webhook_ports import Outcome
from soketpy.core.webhooks import Webhook
from soketpy.process.webhooks import http_target
from tests.authority import Authority
from tests.conftest import StartServer
from tests.fakes import APP
from tests.raw_receiver import RawReceiver, accept, raw_receiving
from tests.webhooks.conftest import delivery_for


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Our own")


@pytest.fixture(scope="module")
def served(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """The context of a receiver with a certificate for 127.0.0.1 and localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(tmp_path_factory.mktemp("receiver")))
    return context


@pytest.fixture
def ca(authority: Authority, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    return str(file)


async def send(receiver: RawReceiver, host: str = "127.0.0.1", **given: str) -> Outcome:
    webhook = Webhook(url=receiver.url(host=host), event_types=("channel_occupied",))
    target = http_target(Settings(webhooks=config.Webhooks(**given)))  # type: ignore[arg-type]
    try:
        return await target.send(delivery_for(webhook), APP, webhook)
    finally:
        await target.close()


async def test_an_unknown_authority_is_refused(served: ssl.SSLContext, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "asyncio")  # the receiver logs the failed handshake
    async with raw_receiving(accept, served) as receiver:
        outcome = await send(receiver)
        assert outcome == Outcome("the TLS certificate is refused: unable to get local issuer certificate")
        assert receiver.requests == []


@pytest.mark.parametrize("private_addresses", ["auto", "allow"])
async def test_an_authority_of_the_operator_is_trusted(served: ssl.SSLContext, ca: str, private_addresses: str) -> None:
    async with raw_receiving(accept, served) as receiver:
        assert await send(receiver, ca=ca, private_addresses=private_addresses) == Outcome()
        assert await send(receiver, "localhost", ca=ca) == Outcome()


async def test_private_addresses_are_blocked_by_the_setting(served: ssl.SSLContext, ca: str) -> None:
    async with raw_receiving(accept, served) as receiver:
        assert "private" in (await send(receiver, ca=ca, private_addresses="block")).error
        assert receiver.connections == 0


async def test_a_certificate_for_another_name_is_refused(
    served: ssl.SSLContext, ca: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.CRITICAL, "asyncio")

    def found(host: str, port: int, *_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with raw_receiving(accept, served) as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", found)
        outcome = await send(receiver, "other.test", ca=ca)
        assert outcome == Outcome(
            "the TLS certificate is refused: Hostname mismatch, certificate is not valid for 'other.test'."
        )
        assert receiver.requests == []


def write(folder: Path, ca: Path) -> str:
    file = folder / "soketpy.yaml"
    file.write_text(f"webhooks:\n  ca: {ca}\n")
    return str(file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read"),
        ("", "no certificate (PEM)"),
        ("-----BEGIN PRIVATE KEY-----", "a private key instead of a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is broken"),
    ],
)
def test_a_bad_file_of_authorities_is_a_mistake_with_its_position(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, problem: str
) -> None:
    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_text(text)
    file = write(tmp_path, ca)
    for command in ("check-config", "start"):
        assert main(["start", "--config", file] if command == "start" else ["check-config", file]) == 2
        error = capsys.readouterr().err
        assert f"{file}:2:" in error
        assert "webhooks.ca" in error
        assert problem in error
        assert len(error.splitlines()) == 1


async def test_a_server_in_a_program_raises_the_same_error(start_server: StartServer, tmp_path: Path) -> None:
    app = replace(APP, webhooks=(Webhook(url="https://a.test/", event_types=("cache_miss",)),))
    with pytest.raises(ConfigError, match=r"webhooks\.ca"):
        await start_server(apps=(app,), webhooks=config.Webhooks(ca=str(tmp_path / "missing.pem")))
