"""A Redis of the test's own, on a Unix socket, that can be killed, paused and started again."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from typing import Self

import pytest

from tests.clients.programs import free_port
from tests.patience import wait_until

LEASE = 10.0
"""Seconds, for a test in which the death of a node must be noticed: a living node is never silent for so long."""

LONG_LEASE = 600.0
"""Seconds, for a test in which every node lives."""

SLOW_REDIS = {"soketpy.drivers.redis.wire.PATIENCE": 10.0}
"""A limit for nodes in processes of their own: seconds for Redis to answer, of which a quarter delays a renewal."""

SLOTS = 16384
NEVER_MS = 3_600_000
"""Milliseconds of silence after which a Redis is taken for gone: no slow machine is silent for so long."""


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
        wait_until(self._listens)

    def _listens(self) -> bool:
        """Return whether it can be connected to. Its socket is there a moment earlier."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.socket) == 0

    def option(self, name: str) -> str:
        """What it was started with."""
        return self._options[self._options.index(name) + 1]

    def save(self) -> None:
        """Write its data to disk."""
        self.ask("SAVE")

    def follows(self) -> bool:
        """Whether it is a replica that has all that its master has."""
        return b"connected" in self.ask("ROLE")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let it answer nothing until the end of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: str) -> bytes:
        """What it answers to a command."""
        return _cli("-s", self.socket, *command)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            Path(self.socket).unlink(missing_ok=True)


class Sentinel:
    """One that watches a Redis, and makes its replica the master once it may notice that the Redis is gone."""

    def __init__(self, folder: Path, watched: Redis) -> None:
        self.port = free_port()
        program = shutil.which("redis-server")
        assert program is not None
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor chat 127.0.0.1 {watched.port} 1\n"
            f"sentinel down-after-milliseconds chat {NEVER_MS}\nsentinel failover-timeout chat 2000\n"
        )
        self._process = subprocess.Popen([program, str(config), "--sentinel"], stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def notice(self) -> None:
        """Let it take its Redis for gone after half a second of silence."""
        _cli("-p", str(self.port), "SENTINEL", "SET", "chat", "down-after-milliseconds", "500")

    def knows_a_replica(self) -> bool:
        """Whether there is one that it could make the master; it asks its Redis every ten seconds."""
        return b"slave" in _cli("-p", str(self.port), "SENTINEL", "REPLICAS", "chat")


class Shards:
    """A Redis Cluster of three masters and, if asked for, of a replica for each, which takes over when it is told."""

    def __init__(self, folders: Callable[[str], Path], *, replicas: bool = False) -> None:
        self._folders = folders
        self._with_replicas = replicas
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.masters = [self._start(stack) for _ in range(3)]
            self.replicas = [self._start(stack) for _ in range(3 if self._with_replicas else 0)]
            self._join()
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: ExitStack) -> Redis:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NEVER_MS)]
        options += ["--repl-diskless-sync-delay", "0"]
        return stack.enter_context(
            Redis(self._folders("shard"), *options, "--cluster-port", str(free_port()), tcp=True)
        )

    def _join(self) -> None:
        every = [*self.masters, *self.replicas]
        for number, master in enumerate(self.masters):
            slots = range(number * SLOTS // 3, (number + 1) * SLOTS // 3)
            master.ask("CLUSTER", "ADDSLOTS", *map(str, slots))
        for one, other in combinations(every, 2):  # all pairs, since gossip takes seconds
            one.ask("CLUSTER", "MEET", "127.0.0.1", str(other.port), other.option("--cluster-port"))
        wait_until(lambda: all(each.ask("CLUSTER", "NODES").count(b" connected") == len(every) for each in every))
        for master, replica in zip(self.masters, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID").decode().strip())
        wait_until(lambda: all(each.follows() for each in self.replicas))
        wait_until(lambda: all(each.ask("CLUSTER", "NODES").count(b"slave ") == len(self.replicas) for each in every))
        wait_until(lambda: all(b"cluster_state:ok" in each.ask("CLUSTER", "INFO") for each in every))

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Host and port of each master."""
        return tuple(f"127.0.0.1:{each.port}" for each in self.masters)

    def of(self, key: str) -> Redis:
        """The master that has a key."""
        slot = int(self.masters[0].ask("CLUSTER", "KEYSLOT", key))
        return self.masters[slot * 3 // SLOTS]


def _cli(*words: str) -> bytes:
    return subprocess.run(["redis-cli", *words], check=True, stdout=subprocess.PIPE).stdout
