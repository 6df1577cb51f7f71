"""One of many processes that serve one port, which ``soketpy.process.workers`` starts.

It talks with the process that started it over a socket: that one sends settings, and asks what was counted. When the
socket ends, so does the worker, as at SIGTERM; nothing is left running.
"""

import asyncio
import contextlib
import logging
import pickle
import shutil
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from soketpy.config import ConfigError, Settings
from soketpy.core.ports import Unreachable
from soketpy.core.traffic import Counted, Traffic
from soketpy.process.log import configure
from soketpy.process.memory import keep_collections_short
from soketpy.process.server import Server, event_loop, watch_memory
from soketpy.process.signals import closing_clients, unless

log = logging.getLogger("soketpy.worker")

READY, FAILED, COUNTED, SETTINGS, COUNT = "ready", "failed", "counted", "settings", "count"
"""What is said: the first three by a worker, the others to it."""


async def receive(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """What the other process says next. Raises IncompleteReadError at the end."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    said: tuple[str, Any] = pickle.loads(await reader.readexactly(size))  # noqa: S301 - of our own process
    return said


def send(writer: asyncio.StreamWriter, what: str, value: object = None) -> None:
    """Say something to the other process."""
    packed = pickle.dumps((what, value))
    writer.write(len(packed).to_bytes(4, "big") + packed)


def counted(server: Server) -> Counted:
    """What the server has counted so far."""
    apps = {
        app_id: (
            len(server.node.connections(app_id)),
            {name: getattr(traffic, name) for name in Traffic.__slots__},
        )
        for app_id, traffic in server.node.traffic.items()
    }
    return Counted(apps, server.totals())


async def work(channel: socket.socket, listeners: list[socket.socket], private_redis: Path | None) -> int:
    """Serve until SIGTERM, or until the other process has gone: then its Redis is ended too."""
    reader, writer = await asyncio.open_connection(sock=channel)
    _, settings = await receive(reader)
    configure(settings.log.level, settings.log.format)
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is for the process that started this one
    try:
        async with AsyncExitStack() as stack:
            server = await unless(stopped, stack.enter_async_context(Server(settings, listener=listeners)))
            if server is None:
                return 0
            send(writer, READY)
            keep_collections_short()
            tasks = [loop.create_task(watch_memory(server)), loop.create_task(_obey(server, reader, writer, stopped))]
            await stopped.wait()
            for task in tasks:
                task.cancel()
        send(writer, COUNTED, counted(server))
    except (Unreachable, ConfigError, OSError) as fault:
        send(writer, FAILED, str(fault))
        return 1
    finally:
        writer.close()
    if reader.at_eof() and private_redis is not None:
        await _end_redis(private_redis)
    return 0


async def _end_redis(path: Path) -> None:
    """End the Redis of a process that could not do it itself; where other workers do so first, all the better."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"SHUTDOWN NOSAVE\r\n")
        await reader.read()
        writer.close()
    shutil.rmtree(path.parent, ignore_errors=True)


async def _obey(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stopped: asyncio.Event
) -> None:
    try:
        while True:
            what, value = await receive(reader)
            if what == SETTINGS:
                assert isinstance(value, Settings)  # noqa: S101 - what our own process sends
                if closing := server.reload(value):
                    log.info("Applied the new apps: %s", closing_clients(closing))
            else:
                send(writer, COUNTED, counted(server))
    except (asyncio.IncompleteReadError, OSError):
        stopped.set()


def main() -> int:
    """Serve; the arguments are the descriptors of the channel and of the listening sockets, and perhaps a Redis."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    listeners = [socket.socket(fileno=int(number)) for number in sys.argv[2].split(",")]
    for listener in listeners:
        listener.setblocking(False)
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        return runner.run(work(channel, listeners, Path(sys.argv[3]) if len(sys.argv) > 3 else None))


if __name__ == "__main__":
    sys.exit(main())
