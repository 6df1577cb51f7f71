"""Pods of the plain manifests, as servers of this machine: their command, variables, files, probes and stop."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import pytest
import websockets
import yaml

from soketpy.protocol import signatures
from tests.clients.programs import Launched
from tests.deploy.chart import PLAIN, manifests
from tests.deploy.ports import launched
from tests.patience import PATIENCE, UNHURRIED, wait_until

KEY, SECRET = "my-key", "my-secret"


class Pod:
    """The container of a pod. Its ports, its folders and its Redis are of the test; all else is of the manifest."""

    def __init__(self, folder: Path, redis: str) -> None:
        rendered = manifests((PLAIN / "soketpy.yaml").read_text())
        self._by_kind: dict[str, Any] = {each["kind"]: each for each in rendered}
        (self._container,) = self._by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
        config = yaml.safe_load(self._by_kind["ConfigMap"]["data"]["soketpy.yaml"])
        names = [each["name"] for each in self._container["ports"]]
        (folder / "etc").mkdir(parents=True)
        (folder / "data").mkdir()
        env = {each["name"]: each["value"] for each in self._container["env"]}
        env["SOKETPY_CONFIG"] = env["SOKETPY_CONFIG"].replace("/etc/soketpy", str(folder / "etc"))
        env |= {"SOKETPY_APP_KEY": KEY, "SOKETPY_APP_SECRET": SECRET}
        env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = [*self._container["command"], *self._container["args"]]
        config |= {"host": "127.0.0.1", "redis": {"unix_socket": redis, "prefix": str(folder.parent)}}

        def start(port: int, metrics_port: int) -> Launched:
            config["port"] = port
            config["metrics"] |= {"host": "127.0.0.1", "port": metrics_port}
            (folder / "etc/soketpy.yaml").write_text(yaml.safe_dump(config))
            return Launched(*command, ready="Listening on", env=env, cwd=folder / "data")

        self._process, found = launched(2, start)
        self._ports: dict[str, int] = dict(zip(names, found, strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    @property
    def port(self) -> int:
        return self._ports["http"]

    def probe(self, name: str) -> int:
        """Return the status that the answer to a probe has."""
        get = self._container[f"{name}Probe"]["httpGet"]
        return self.request("GET", get["path"], port=get["port"])

    def request(self, method: str, target: str, body: bytes | None = None, port: str = "http") -> int:
        connection = HTTPConnection("127.0.0.1", self._ports[port], timeout=PATIENCE)
        try:
            connection.request(method, target, body)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        """End the pod as Kubernetes does: by its hook, and then SIGTERM."""
        subprocess.run(self._container["lifecycle"]["preStop"]["exec"]["command"], check=True)
        self._process.end()


@pytest.fixture
def pods(tmp_path: Path, redis: str) -> Iterator[list[Pod]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Pod(tmp_path / name, redis)) for name in ("one", "two")]


async def test_two_pods_pass_their_probes_share_events_and_stop(pods: list[Pod]) -> None:
    one, two = pods
    assert {one.probe(name) for name in ("startup", "liveness", "readiness")} == {200}
    assert one.request("GET", "/metrics", port="metrics") == 200
    async with websockets.connect(f"ws://127.0.0.1:{two.port}/app/{KEY}?protocol=7", **UNHURRIED) as peer:
        await peer.recv()
        await peer.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "my-channel"}}))
        await peer.recv()
        body = json.dumps({"name": "my-event", "channel": "my-channel", "data": "hello"}).encode()
        query = signatures.signed_query(KEY, SECRET, "POST", "/apps/1/events", body, int(time.time()), None)
        assert one.request("POST", f"/apps/1/events?{query}", body) == 200
        assert json.loads(await peer.recv())["data"] == "hello"
    one.stop()
    wait_until(lambda: two.probe("readiness") == 200)
