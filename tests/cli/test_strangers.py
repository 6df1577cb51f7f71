"""Hostile clients of a server with TLS that runs as for users: with uvloop, in a separate process."""

import http.client
import re
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait_until
from tests.web.rfc6455.test_tls import write_certificate

pytest.importorskip("uvloop")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="The limit of another process is Linux's to set.")

DESCRIPTORS = 64


@dataclass
class Started:
    """A server with few file descriptors, and its output."""

    port: int
    log: Path
    trusted: ssl.SSLContext

    def knock(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def is_ready(self) -> bool:
        client = http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=self.trusted)
        try:
            client.request("GET", "/ready")
            return client.getresponse().status == 200
        except OSError:
            return False
        finally:
            client.close()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    cert, key, log = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "log"
    write_certificate(cert, key)
    config = tmp_path / "config.yaml"
    config.write_text(f"host: 127.0.0.1\nport: 0\ntls: {{cert: {cert}, key: {key}}}\n")
    with log.open("wb") as file:
        process = subprocess.Popen(
            (sys.executable, "-m", "soketpy", "start", "--config", str(config)),
            stderr=file,
        )
    try:
        server = Started(port_in(log), log, ssl.create_default_context(cafile=str(cert)))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        yield server
    finally:
        process.kill()
        process.wait()


def port_in(log: Path) -> int:
    """Return the port in the log. Wait until the log has it."""
    wait_until(lambda: "Listening on" in log.read_text())
    found = re.search(r"Listening on https://127\.0\.0\.1:(\d+) with", log.read_text())
    assert found is not None
    return int(found[1])


def test_those_who_only_knock_leave_no_line_in_the_log(started: Started) -> None:
    before = started.log.read_text()
    for _ in range(5):
        started.knock().close()
    assert started.is_ready()
    assert started.log.read_text() == before


def test_clients_that_use_all_descriptors_do_not_fill_the_log_and_others_are_served_after_them(
    started: Started,
) -> None:
    before = started.log.read_text()
    with ExitStack() as strangers:
        knocking = [strangers.enter_context(started.knock()) for _ in range(2 * DESCRIPTORS)]
        assert knocking[-1].recv(1) == b""  # turned away: no descriptor was left
    wait_until(started.is_ready)
    assert started.log.read_text() == before
