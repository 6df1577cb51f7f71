"""The applications of ``examples/``: installed, built and started as their READMEs say."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pusher.http import Request
from pusher.pusher_client import PusherClient

from tests.clients.programs import Balancer, Launched, free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """A folder of ``examples/`` with an npm package."""

    name: str
    start: tuple[str, ...]
    """The arguments of Node that start it. If empty, the script of ``npm start`` starts it."""

    ready: str
    """A part of the line that it prints when it serves."""

    prefix: str
    """The prefix of the variables that the build writes into the pages."""

    private: str = ""
    """The prefix of the variables that stay on the server."""

    @property
    def folder(self) -> Path:
        return EXAMPLES / self.name

    def env(self, realtime_port: int, **private: str) -> dict[str, str]:
        """Return the variables with the address of the realtime server, and these private ones."""
        return {
            f"{self.prefix}PUSHER_HOST": "127.0.0.1",
            f"{self.prefix}PUSHER_PORT": str(realtime_port),
            f"{self.private}PUSHER_HOST": "127.0.0.1",
            f"{self.private}PUSHER_PORT": str(realtime_port),
            "NEXT_TELEMETRY_DISABLED": "1",
            "NUXT_TELEMETRY_DISABLED": "1",
            **{f"{self.private}{name}": value for name, value in private.items()},
        }

    @property
    def command(self) -> tuple[str, ...]:
        """The command that starts it as one process, which a test can stop."""
        if self.start:
            return (node(), *self.start)
        script = json.loads((self.folder / "package.json").read_text())["scripts"]["start"]
        return ("sh", "-c", f"exec {script}")

    def install(self) -> None:
        """Run ``npm ci`` if the lock file has changed since the last time."""
        install(self.folder)

    def build(self, env: Mapping[str, str]) -> None:
        """Install it and run ``npm run build``."""
        self.install()
        npm(self.folder, "run", "build", env=env)


NEXTJS = Example("nextjs-chat", start=(), ready="Ready in", prefix="NEXT_PUBLIC_")


class Started:
    """An example that serves at ``url``. The URL stays the same after a restart."""

    def __init__(self, example: Example, env: Mapping[str, str]) -> None:
        self.example = example
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = env
        self._program = self._launch()

    def _launch(self) -> Launched:
        path = os.pathsep.join([str(self.example.folder / "node_modules" / ".bin"), os.environ["PATH"]])
        env = {**self._env, "PATH": path, "PORT": str(self.port)}
        return Launched(*self.example.command, ready=self.example.ready, env=env, cwd=self.example.folder)

    @property
    def preamble(self) -> str:
        """The output before it was ready."""
        return self._program.preamble

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, kill: bool = False) -> None:
        """Stop it with SIGTERM or SIGKILL. A second call does nothing."""
        self._program.end(kill)

    def end_and_read(self) -> str:
        """Stop it and return its output since it was ready."""
        return self._program.end_and_read()

    def kill(self) -> None:
        """End it as a crash would."""
        self.end(kill=True)

    def start_again(self, secret: str | None = None) -> None:
        """Start it again after a kill. Another secret makes the earlier sessions invalid."""
        if secret is not None:
            self._env = {**self._env, f"{self.example.private}SESSION_SECRET": secret}
        self._program = self._launch()


class StartedModule(Launched):
    """A Python example with pusher-js from npm: ``python -m`` with these arguments, at ``url``."""

    def __init__(self, folder: Path, *words: str, ready: str, realtime_port: int, env: Mapping[str, str]) -> None:
        install(folder)
        port = str(free_port())
        realtime = {"PUSHER_HOST": "127.0.0.1", "PUSHER_PORT": str(realtime_port)}
        super().__init__(
            *(sys.executable, "-m", *(word.replace("PORT", port) for word in words)),
            ready=ready,
            env={**env, **realtime, "PORT": port, "PYTHONUNBUFFERED": "1"},
            cwd=folder,
        )
        self.url = f"http://127.0.0.1:{port}"


class DefaultServer:
    """``soketpy start`` with the default app, on a port that stays the same after a restart.

    ``env`` has more variables; client events are always enabled.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._env = {"SOKETPY_APP_CLIENT_EVENTS": "true", **(env or {})}
        self._server = self._launch({})
        self.is_killed = False
        self.network = Balancer(self.own_port)
        self.port = self.network.port

    def _launch(self, env: Mapping[str, str]) -> Launched:
        return Launched(
            *(sys.executable, "-m", "soketpy", "start", "--host", "127.0.0.1", "--port", "0"),
            ready="Listening on",
            env={**self._env, **env},
        )

    @property
    def own_port(self) -> int:
        """The port of the server itself, without the simulated network in front of it."""
        found = re.search(r"127\.0\.0\.1:(\d+)", self._server.greeting)
        assert found is not None, self._server.greeting
        return int(found[1])

    def __enter__(self) -> "DefaultServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.end()
        self.network.__exit__()

    def kill(self) -> None:
        """End it as a crash would."""
        self._server.end(kill=True)
        self.is_killed = True

    def forget(self) -> None:
        """Remove the stored events of the server, which must not run."""
        path = Path(self._env["SOKETPY_HISTORY_PATH"])
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()

    def start_again(self, **env: str) -> None:
        """Start the server again, with these additional variables."""
        self._server = self._launch(env)
        self.is_killed = False
        self.network.behind = self.own_port


def server_of(example: Example, folder: Path) -> DefaultServer:
    """Start the realtime server of the README of an example, without webhooks. It has its files in this folder."""
    config = yaml.safe_load((example.folder / "soketpy.yaml").read_text())
    for app in config["apps"]:
        app.pop("webhooks", None)
    (folder / "soketpy.yaml").write_text(json.dumps(config))
    return DefaultServer(
        {"SOKETPY_CONFIG": str(folder / "soketpy.yaml"), "SOKETPY_HISTORY_PATH": str(folder / "history.db")}
    )


def stored(server: DefaultServer, channel: str) -> list[Any]:
    """Return the data of the last events of a channel with history, from the oldest to the newest."""
    client = PusherClient("1", "app-key", "app-secret", host="127.0.0.1", port=server.own_port, ssl=False)
    page = client.http.send_request(Request(client, "GET", f"/apps/1/channels/{channel}/events", {"limit": "1000"}))
    return [json.loads(event["data"]) for event in page["events"]]


def install(folder: Path) -> None:
    """Run ``npm ci`` in a folder if the lock file has changed since the last time."""
    installed = folder / "node_modules" / ".installed"
    if not installed.exists() or installed.stat().st_mtime < (folder / "package-lock.json").stat().st_mtime:
        npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        installed.touch()


def npm(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> None:
    """Run npm in a folder. Raise an error if npm fails."""
    done = subprocess.run(
        [node("npm"), *words],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"npm {' '.join(words)} in {folder.name}:\n{done.stdout}"


def node(name: str = "node") -> str:
    """Return the path of Node or npm."""
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: install Node.js 20 with npm"
    return found
