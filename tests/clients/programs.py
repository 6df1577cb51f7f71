"""Programs that a test starts, listens to line by line, and ends by their own id."""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

from tests.patience import PATIENCE as PATIENCE

APP = {
    "id": "1",
    "key": "app-key",
    "secret": "app-secret",
    "client_events": True,
    "subscription_count_events": True,
    "max_event_payload_in_kb": 8,
}
DISABLED_APP = {"id": "2", "key": "disabled-key", "secret": "app-secret", "enabled": False}


class Program:
    """One process. ``on_line`` gets each line that it writes, in a thread of its own, and None at the end."""

    def __init__(
        self, *command: str, on_line: Callable[[str | None], None], env: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self._on_line = on_line
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            encoding="utf-8",
            **options,
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._on_line(line)
        self._on_line(None)

    def write(self, line: str) -> None:
        """Give the program one line to read."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close_input(self) -> None:
        """Let the program read no more, and wait until it has ended of itself."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(PATIENCE)

    def end(self, kill: bool = False) -> None:
        """End the process by SIGTERM, or by SIGKILL, and wait until it has."""
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._thread.join(PATIENCE)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()


class Launched:
    """A server program that says in a line of its output that it is ready; ``preamble`` is what it wrote before."""

    def __init__(self, *command: str, ready: str, env: Mapping[str, str] | None = None, **options: Any) -> None:
        self.lines: Queue[str | None] = Queue()
        self._program = Program(*command, on_line=self.lines.put, env=env, stderr=subprocess.STDOUT, **options)
        try:
            *preamble, self.greeting = self.read_to(ready)
            self.preamble = "".join(preamble)
        except BaseException:
            self.end(kill=True)
            raise

    def read_to(self, text: str) -> list[str]:
        """Wait for a line with this text; all lines up to it, behind those that were read before."""
        lines: list[str] = []
        until = time.monotonic() + PATIENCE
        with suppress(Empty):
            while (line := self.lines.get(timeout=max(0, until - time.monotonic()))) is not None:
                lines.append(line)
                if text in line:
                    return lines
        raise AssertionError(f"It has not written {text!r}, but:\n" + "".join(lines))

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._program.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, kill: bool = False) -> None:
        """End it by SIGTERM, or by SIGKILL, and wait until it has; nothing the second time."""
        self._program.end(kill)

    def end_and_read(self) -> str:
        """End it; what it has written since it was ready."""
        self.end()
        return "".join(iter(self.lines.get, None))


class SoketpyServer(Launched):
    """``soketpy start`` with the apps of these tests, or with ``app``. ``folder`` is its working directory."""

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        app: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        config = folder / "soketpy.json"
        apps = [APP, DISABLED_APP] if app is None else [app]
        config.write_text(json.dumps({"host": "127.0.0.1", "log": {"format": "json"}, "apps": apps, **settings}))
        command = (sys.executable, "-m", "soketpy", "start", "--config", str(config), "--port", str(port))
        super().__init__(*command, ready="Listening on", env=env, cwd=folder)
        message: str = json.loads(self.greeting)["message"]
        self.port = int(message.partition("127.0.0.1:")[2].split()[0])


class Balancer(socketserver.ThreadingTCPServer):
    """A port in front of a server which can be exchanged for another: what a proxy does in a deploy."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.behind = behind
        self.open: set[socket.socket] = set()
        self.is_cut = False
        self.is_silent = False
        self._passes = threading.Event()
        self._passes.set()
        self.upward = 0  # bytes from clients that were passed on
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._passes.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        self.is_cut = True
        for each in list(self.open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def delay(self) -> None:
        """Break all connections, and let new ones wait: a client that is refused tries again only after 15 s."""
        self._passes.clear()
        self.cut()
        self.is_cut = False

    def mend(self) -> None:
        """Let connections be made again."""
        self.is_cut = False
        self._passes.set()

    def wait(self) -> None:
        """Wait until connections are made."""
        self._passes.wait(PATIENCE)

    def silence(self) -> None:
        """Lose all that is passed on, without a word to either end, until it speaks again."""
        self.is_silent = True

    def speak(self) -> None:
        """Break the connections that have lost something, and pass on what comes by new ones."""
        self.cut()
        self.is_silent = False
        self.mend()


class _Forward(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Balancer)
        if self.server.is_cut:
            return
        self.server.wait()
        self.server.open.add(self.request)
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            upward = threading.Thread(target=self._pump, args=(self.request, behind), daemon=True)
            upward.start()
            self._pump(behind, self.request)
            upward.join()
        self.server.open.discard(self.request)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass on what comes, and then the end of it."""
        assert isinstance(self.server, Balancer)
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.server.is_silent:
                    sink.sendall(data)
                    if source is self.request:
                        self.server.upward += len(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
