"""Two nodes of soketpy behind a real proxy, which runs with its file of ``deploy/proxies``."""

import json
import os
import signal
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from time import time
from types import MappingProxyType
from typing import Self
from urllib.request import urlopen

import pytest

from soketpy.protocol import signatures
from tests.authority import Authority
from tests.clients.programs import Launched
from tests.deploy.ports import launched
from tests.patience import PATIENCE, attempts, wait_until
from tests.proxies import find, path_of, run_caddy, run_nginx

FILES = Path(__file__).parent.parent.parent / "deploy/proxies"
KEY, SECRET = "the-key", "the-secret"
PREFIX = "/realtime"


@dataclass(frozen=True)
class Place:
    """The folder, the ports and the certificate of a proxy, and the changes of its files that these need."""

    folder: Path
    port: int
    plain_port: int
    certificate: str
    key: str
    changes: Mapping[str, str]

    def filled(self, name: str, changes: Mapping[str, str]) -> str:
        """Return a shipped file with other addresses. Each original text must be in the file."""
        text = (FILES / name).read_text()
        for old, new in changes.items():
            assert old in text, f"{name} does not contain {old}"
            text = text.replace(old, new)
        for old, new in self.changes.items():
            text = text.replace(old, new)
        return text

    def fill(self, name: str, changes: Mapping[str, str]) -> str:
        """Write a shipped file with other addresses, and return its path."""
        file = self.folder / name
        file.write_text(self.filled(name, changes))
        return str(file)


def nginx(place: Place, variant: Mapping[str, str]) -> Launched:
    changes = {
        **variant,
        "listen 443": f"listen 127.0.0.1:{place.port}",
        "listen 80": f"listen 127.0.0.1:{place.plain_port}",
        "/etc/ssl/soketpy/fullchain.pem": place.certificate,
        "/etc/ssl/soketpy/privkey.pem": place.key,
    }
    return run_nginx(place.folder, place.filled("nginx.conf", changes))


def caddy(place: Place, variant: Mapping[str, str]) -> Launched:
    site = f"https://localhost:{place.port} {{\n\tbind 127.0.0.1\n\ttls {place.certificate} {place.key}"
    text = place.filled("Caddyfile", {**variant, "ws.example.com {": site})
    return run_caddy(place.folder, text, f"http_port {place.plain_port}")


def haproxy(place: Place, variant: Mapping[str, str]) -> Launched:
    both = place.folder / "soketpy.pem"
    both.write_text(Path(place.certificate).read_text() + Path(place.key).read_text())
    changes = {
        **variant,
        "bind :443": f"bind 127.0.0.1:{place.port}",
        "bind :80": f"bind 127.0.0.1:{place.plain_port}",
        "/etc/haproxy/soketpy.pem": str(both),
    }
    return Launched(path_of("haproxy"), "-W", "-db", "-f", place.fill("haproxy.cfg", changes), ready="Loading success")


def traefik(place: Place, variant: Mapping[str, str]) -> Launched:
    program = find("traefik")
    if program is None:
        pytest.skip("needs Traefik, whose package has no program for this machine")
    changes = {
        "/etc/ssl/soketpy/fullchain.pem": place.certificate,
        "/etc/ssl/soketpy/privkey.pem": place.key,
    }
    ports = {
        '":443"': f'"127.0.0.1:{place.port}"',
        '":80"': f'"127.0.0.1:{place.plain_port}"',
        "/etc/traefik/traefik-soketpy.yaml": place.fill("traefik-soketpy.yaml", {**variant, **changes}),
    }
    file = place.fill("traefik.yaml", ports)
    return Launched(program, f"--configFile={file}", ready="Starting provider *file.Provider")


Proxy = Callable[[Place, Mapping[str, str]], Launched]
PROXIES: dict[Proxy, str] = {
    nginx: "nginx.conf",
    caddy: "Caddyfile",
    haproxy: "haproxy.cfg",
    traefik: "traefik-soketpy.yaml",
}
"""Each proxy, and its file that names the nodes."""

UNHEALTHY: dict[Proxy, str] = {
    caddy: "health_checker.active",
    haproxy: "is DOWN",
    traefik: "Health check failed",
}
"""The line in the log of a proxy after which it sends nothing to a node. nginx has no health checks."""


class Node:
    """A node of the cluster, with its metrics."""

    def __init__(self, folder: Path, redis: str, prefix: str, more: Mapping[str, str]) -> None:
        folder.mkdir()
        env = {
            "SOKETPY_HOST": "127.0.0.1",
            "SOKETPY_CLUSTER": "redis",
            "SOKETPY_REDIS_UNIX_SOCKET": redis,
            "SOKETPY_REDIS_PREFIX": prefix,
            "SOKETPY_METRICS_ENABLED": "true",
            "SOKETPY_METRICS_HOST": "127.0.0.1",
            "SOKETPY_LOG_ACCESS": "true",
            "SOKETPY_PATH_PREFIX": PREFIX,
            "SOKETPY_PROXIES": "127.0.0.1",
            "SOKETPY_TIMEOUTS_DRAIN": "3600",
            "SOKETPY_TIMEOUTS_SHUTDOWN": "0.5",
            "SOKETPY_APP_ID": "1",
            "SOKETPY_APP_KEY": KEY,
            "SOKETPY_APP_SECRET": SECRET,
            "SOKETPY_APP_TLS_ONLY": "true",
            **more,
        }

        def start(port: int, metrics_port: int) -> Launched:
            own = {"SOKETPY_PORT": str(port), "SOKETPY_METRICS_PORT": str(metrics_port)}
            command = (sys.executable, "-m", "soketpy", "start")
            return Launched(*command, ready="Listening on", env=env | own, cwd=folder)

        self._process, (self.port, self._metrics_port) = launched(2, start)
        self._drains = False

    def log(self, text: str) -> str:
        """Wait for a line with this text in the log, and return the line."""
        return self._process.read_to(text)[-1]

    def drain(self) -> None:
        """Let /ready answer 503, until the node is stopped. Everything else works."""
        self._drains = True
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.read_to("Draining")

    def stop(self) -> None:
        """Stop the node, and wait until its process has ended."""
        if not self._drains:
            self.drain()
        self._process.end()

    def connections(self) -> int:
        """Return the number of connected clients."""
        with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("soketi_connected{"))


class Front:
    """A proxy with TLS in front of two ports of this machine."""

    def __init__(self, proxy: Proxy, variant: Mapping[str, str], folder: Path, behind: Sequence[int]) -> None:
        authority = Authority("An authority")
        certificate, key = authority.issue(folder)
        self._trusted = authority.trusted()
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(authority.pem())
        changes = {f"10.0.0.{number}:6001": f"127.0.0.1:{port}" for number, port in enumerate(behind, 1)}
        changes["ws.example.com"] = "localhost"
        self._name = proxy

        def start(port: int, plain_port: int) -> Launched:
            return proxy(Place(folder, port, plain_port, certificate, key, changes), variant)

        self._proxy, (self.port, self.plain_port) = launched(2, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.end()

    def ssl(self) -> ssl.SSLContext:
        """Return the context of a client that trusts the certificate of the proxy."""
        return self._trusted

    def request(self, method: str, target: str, body: bytes | None = None) -> tuple[int, str]:
        """Return status and body of the answer to a request over HTTPS."""
        connection = HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=self._trusted)
        try:
            connection.request(method, target, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def redirect(self, target: str) -> tuple[int, str | None]:
        """Return status and location of the answer to a request over plain HTTP."""
        connection = HTTPConnection("localhost", self.plain_port, timeout=PATIENCE)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location")
        finally:
            connection.close()

    def call(self, path: str, value: object, prefix: str = "") -> int:
        """Send a signed REST call, and return the status of the answer."""
        body = json.dumps(value).encode()
        query = signatures.signed_query(KEY, SECRET, "POST", f"/apps/1{path}", body, int(time()), None)
        return self.request("POST", f"{prefix}/apps/1{path}?{query}", body)[0]

    def serves(self, target: str = "/ready") -> bool:
        """Return whether the proxy passes requests to a node. A proxy may listen before it has read its files."""
        try:
            return self.request("GET", target) == (200, "OK")
        except (OSError, RemoteDisconnected):
            return False

    def wait(self, target: str = "/ready") -> None:
        """Wait until the proxy passes requests to a node."""
        wait_until(lambda: self.serves(target))

    def notice(self, nodes: int = 1) -> None:
        """Wait until the proxy has noticed that so many nodes are not ready, if it has health checks."""
        if self._name in UNHEALTHY:
            for _ in range(nodes):
                self._proxy.read_to(UNHEALTHY[self._name])


class Site(Front):
    """A proxy in front of two nodes. The nodes serve TLS clients only, by the header of the proxy."""

    def __init__(
        self,
        proxy: Proxy,
        variant: Mapping[str, str],
        folder: Path,
        redis: str,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        with ThreadPoolExecutor() as pool:
            starting = [pool.submit(Node, folder / name, redis, str(folder), settings) for name in ("one", "two")]
        self.nodes = [each.result() for each in starting if each.exception() is None]
        if len(self.nodes) < len(starting):
            self._stop_nodes()
            raise next(fault for each in starting if (fault := each.exception()))
        try:
            super().__init__(proxy, variant, folder, [node.port for node in self.nodes])
        except BaseException:
            self._stop_nodes()
            raise

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._stop_nodes()

    def _stop_nodes(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Node.stop, self.nodes))

    def node_of_the_client(self) -> Node:
        """Return the node that has the only client."""
        for _ in attempts():
            for node in self.nodes:
                if node.connections():
                    return node
        raise AssertionError
