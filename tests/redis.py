"""A Redis that the test owns, on a Unix socket. The test can kill, pause and restart it."""

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
"""Seconds, for a test in which no node dies."""

SLOW_REDIS = {"soketpy.drivers.redis.wire.PATIENCE": 10.0}
"""A limit for nodes in processes of their own: seconds for Redis to answer, of which a quarter delays a renewal."""

SLOTS = 16384
NEVER_MS = 3_600_000
"""Milliseconds without an answer after which Sentinel considers a Redis down. No slow machine needs so long."""


class Redis:
    """A redis-server that writes to disk only in ``save``."""

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
        """Start the server with its saved data."""
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
        """Return whether the server accepts connections. Its socket file exists a moment earlier."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.socket) == 0

    def option(self, name: str) -> str:
        """Return the value of an option that the server was started with."""
        return self._options[self._options.index(name) + 1]

    def save(self) -> None:
        """Write the data to disk."""
        self.ask("SAVE")

    def follows(self) -> bool:
        """Return whether this is a replica with all data of its master."""
        return b"connected" in self.ask("ROLE")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Pause the server until the end of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: str) -> bytes:
        """Return the answer to a command."""
        return _cli("-s", self.socket, *command)

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            Path(self.socket).unlink(missing_ok=True)


class Sentinel:
    """A Sentinel. After ``notice``, it promotes the replica if the watched Redis is down."""

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
        """Consider the Redis down after half a second without an answer."""
        _cli("-p", str(self.port), "SENTINEL", "SET", "chat", "down-after-milliseconds", "500")

    def knows_a_replica(self) -> bool:
        """Return whether Sentinel knows a replica that it can promote. Sentinel asks its Redis every ten seconds."""
        return b"slave" in _cli("-p", str(self.port), "SENTINEL", "REPLICAS", "chat")


class Shards:
    """A Redis Cluster of three masters, optionally with one replica each, which takes over on request."""

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
