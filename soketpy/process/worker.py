"""The program of a worker: one of several processes on one port. ``soketpy.process.workers`` starts it.

The worker and its parent process exchange messages over a socket: settings and requests for counters in one
direction, counters in the other. When the socket closes, the worker stops as at SIGTERM, so that no process is left
behind.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import shutil
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from soketpy.config import ConfigError, Settings
from soketpy.core.apps import App
from soketpy.core.ports import Unreachable
from soketpy.process.configuration import closing_clients
from soketpy.process.counting import Reporter
from soketpy.process.log import configure, log_unhandled
from soketpy.process.memory import keep_collections_short
from soketpy.process.server import Server
from soketpy.process.signals import unless
from soketpy.process.single import event_loop, watch_memory

log = logging.getLogger("soketpy.worker")

READY, LEAVING, FAILED, COUNTED = "ready", "leaving", "failed", "counted"
"""Kinds of messages that a worker sends."""

SETTINGS, COUNT, DRAIN, LEAVE = "settings", "count", "drain", "leave"
"""Kinds of messages that a worker receives."""

APPS = "apps"
"""The kind of the messages with some of the apps each, which come before SETTINGS."""

APPS_AT_ONCE = 100
"""Apps in one message. A worker serves its clients between two messages, and reading 10,000 apps takes 0.4 s."""


async def receive(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """Return the kind and value of the next message. Raise IncompleteReadError when the socket is closed."""
    apps: list[App] = []
    while True:
        size = int.from_bytes(await reader.readexactly(4), "big")
        kind, value = pickle.loads(await reader.readexactly(size))  # noqa: S301 - from our own process
        if kind != APPS:
            return kind, replace(value, apps=tuple(apps)) if kind == SETTINGS else value
        apps += value
        await asyncio.sleep(0)


def send_settings(writer: asyncio.StreamWriter, settings: Settings) -> None:
    """Send settings to a worker, which receives them as one message."""
    apps = settings.apps
    for start in range(0, len(apps), APPS_AT_ONCE):
        send(writer, APPS, apps[start : start + APPS_AT_ONCE])
    send(writer, SETTINGS, replace(settings, apps=()))


def send(writer: asyncio.StreamWriter, kind: str, value: object = None) -> None:
    """Send a message to the process at the other end of the socket."""
    packed = pickle.dumps((kind, value))
    if not writer.is_closing():  # uvloop raises RuntimeError if the other process has ended
        writer.write(len(packed).to_bytes(4, "big") + packed)


class Departure:
    """The end of a worker: ``begun`` is set when ``/ready`` must answer 503, and ``due`` when clients must be closed.

    The parent process announces the end and then gives the order to leave. SIGTERM without an announcement leaves
    ``drain`` seconds between the two: a service manager may send SIGTERM to all processes before the parent reacts.
    """

    def __init__(self, drain: float) -> None:
        self.begun, self.due = asyncio.Event(), asyncio.Event()
        self._drain = drain
        self._timer: asyncio.TimerHandle | None = None
        self._announced = False

    def announce(self) -> None:
        """Begin, and wait for the order to leave."""
        self._announced = True
        self._forget_timer()
        self.begun.set()

    def leave(self) -> None:
        """Begin and end at once."""
        self._forget_timer()
        self.begun.set()
        self.due.set()

    def at_signal(self) -> None:
        """Begin, and end after the delay. A second signal ends the delay."""
        if self._announced:
            return
        if self.begun.is_set() or self._drain <= 0:
            self.leave()
        else:
            self.begun.set()
            self._timer = asyncio.get_running_loop().call_later(self._drain, self.leave)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def work(channel: socket.socket, listeners: list[socket.socket], private_redis: Path | None) -> int:
    """Serve until SIGTERM, or until the parent process has ended. Return the exit code.

    If the parent process has ended, also end its private Redis.
    """
    reader, writer = await asyncio.open_connection(sock=channel)
    _, settings = await receive(reader)
    configure(settings.log.level, settings.log.format, pid=os.getpid())
    log_unhandled()
    departure, loop = Departure(settings.timeouts.drain), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, departure.at_signal)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is for the process that started this one
    try:
        async with AsyncExitStack() as stack:
            server = await unless(departure.begun, stack.enter_async_context(Server(settings, listener=listeners)))
            if server is None:
                return 0
            node = server.node
            reporter = Reporter(
                node.traffic, lambda app_id: len(node.connections(app_id)), server.webhook_traffic(), server.measures
            )
            send(writer, READY)
            keep_collections_short()
            tasks = [
                loop.create_task(watch_memory(server)),
                loop.create_task(_follow(server, reporter, reader, writer, departure)),
            ]
            await departure.begun.wait()
            if not departure.due.is_set():  # a worker that is replaced leaves at once, and the port is still served
                server.announce_stop()
            await departure.due.wait()
            for task in tasks:
                task.cancel()
            send(writer, LEAVING)  # no request for counters is answered from now on
        send(writer, COUNTED, await reporter.report())
    except (Unreachable, ConfigError, OSError) as fault:
        send(writer, FAILED, str(fault))
        return 1
    finally:
        writer.close()
    if reader.at_eof() and private_redis is not None:
        await _end_redis(private_redis)
    return 0


async def _end_redis(path: Path) -> None:
    """End the private Redis of a process that was killed. Another worker may have ended it already."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"SHUTDOWN NOSAVE\r\n")
        await reader.read()
        writer.close()
    shutil.rmtree(path.parent, ignore_errors=True)


async def _follow(
    server: Server,
    reporter: Reporter,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    departure: Departure,
) -> None:
    try:
        while True:
            kind, value = await receive(reader)
            if kind == SETTINGS:
                assert isinstance(value, Settings)  # noqa: S101 - what our own process sends
                if closing := server.reload(value):
                    log.info(
                        "Applied the new apps: %(closing)s",
                        {"event": "apps_applied", "closing": closing_clients(closing), "count": closing},
                    )
            elif kind == DRAIN:
                departure.announce()
            elif kind == LEAVE:
                departure.leave()
            else:
                send(writer, COUNTED, await reporter.report())
    except (asyncio.IncompleteReadError, OSError):
        departure.leave()


def main() -> int:
    """Serve. The arguments are the descriptors of the message socket and the listening sockets, and a private Redis.

    The signals for the parent process, which a terminal sends to all processes, have no effect here.
    """
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    listeners = [socket.socket(fileno=int(number)) for number in sys.argv[2].split(",")]
    for listener in listeners:
        listener.setblocking(False)
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        return runner.run(work(channel, listeners, Path(sys.argv[3]) if len(sys.argv) > 3 else None))


if __name__ == "__main__":
    sys.exit(main())
