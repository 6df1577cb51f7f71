"""A Redis of the test's own, on a Unix socket, that can be killed, paused and started again."""

import asyncio
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

from tests.clients.programs import free_port

PATIENCE = 10.0


class Redis:
    """A redis-server with nothing on disk, but for what it is asked to save."""

    def __init__(self, folder: Path, *options: str, tcp: bool = False) -> None:
        self._tcp = tcp
        self._options = options
        self.socket = str(folder / "redis.sock")
        self.port = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, with the data that it had saved."""
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("needs redis-server: make tools")
        if self._tcp and not self.port:
            self.port = free_port()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket, "--save", ""]
        options += ["--dir", str(self._folder), "--enable-debug-command", "local", *self._options]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while not Path(self.socket).exists():
            assert time.monotonic() < until, "redis-server does not start"
            time.sleep(0.01)

    def save(self) -> None:
        """Write its data to disk."""
        self._ask("SAVE")

    def follows(self) -> bool:
        """Whether it is a replica that has all that its master has."""
        return b"connected" in self._ask("ROLE")

    async def sleep(self, seconds: float) -> None:
        """Let it stand still."""
        await asyncio.to_thread(self._ask, "DEBUG", "SLEEP", str(seconds))

    def _ask(self, *command: str) -> bytes:
        return _cli("-s", self.socket, *command)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            Path(self.socket).unlink(missing_ok=True)


class Sentinel:
    """One that watches a Redis, and makes its replica the master where that is gone for half a second."""

    def __init__(self, folder: Path, watched: Redis) -> None:
        self.port = free_port()
        program = shutil.which("redis-server")
        assert program is not None
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor chat 127.0.0.1 {watched.port} 1\n"
            "sentinel down-after-milliseconds chat 500\nsentinel failover-timeout chat 2000\n"
        )
        self._process = subprocess.Popen([program, str(config), "--sentinel"], stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def knows_a_replica(self) -> bool:
        """Whether there is one that it could make the master; it asks its Redis every ten seconds."""
        return b"slave" in _cli("-p", str(self.port), "SENTINEL", "REPLICAS", "chat")


def _cli(*words: str) -> bytes:
    return subprocess.run(["redis-cli", *words], check=True, stdout=subprocess.PIPE).stdout
