"""The private Redis of the workers of one server, if no Redis is configured. It listens on a Unix socket only."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from soketpy.config import Settings
from soketpy.core.ports import Unreachable

log = logging.getLogger("soketpy.workers")

START_PATIENCE = 30.0
"""Seconds that Redis has to start."""

RETRY_PAUSE = 1.0
"""Seconds before the next attempt to start it."""

BUFFERS = ("--client-output-buffer-limit", "pubsub", "256mb", "64mb", "60")
"""The buffer of a worker that does not read for some seconds. Beyond it, Redis closes the connection."""


@asynccontextmanager
async def private_redis(settings: Settings) -> AsyncIterator[str]:
    """Run a Redis, restart it if it dies, and end it on exit. Yield the path of its socket.

    Raise Unreachable if it does not start, and what ``redis_server`` raises.
    """
    program = redis_server(settings)
    with tempfile.TemporaryDirectory(prefix="soketpy-") as folder:
        path = Path(folder) / "redis.sock"
        options: tuple[str, ...] = BUFFERS
        options += ("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "", "--dir", folder)
        process = await _start(program, options, path)

        async def supervise() -> None:
            nonlocal process
            while True:
                code = await process.wait()
                log.error(
                    "The private Redis of the workers ended with exit code %(exit_code)d: restarting it",
                    {"event": "private_redis_ended", "exit_code": code},
                )
                try:
                    process = await _start(program, options, path)
                except Unreachable as fault:
                    log.error("%(reason)s; trying again", {"event": "private_redis_not_started", "reason": fault})  # noqa: TRY400 - no traceback
                    await asyncio.sleep(RETRY_PAUSE)

        supervising = asyncio.create_task(supervise())
        try:
            yield str(path)
        finally:
            supervising.cancel()
            await asyncio.wait([supervising])
            await _end(process)


def redis_server(settings: Settings) -> str:
    """Return the path of the program. Raise ConfigError if it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        reason = "several workers need the program redis-server: install it, or use cluster: redis"
        raise settings.mistake("workers", reason)
    return program


async def _start(program: str, options: tuple[str, ...], path: Path) -> asyncio.subprocess.Process:
    """Start Redis and wait until it answers. If it does not, end it and raise Unreachable."""
    nothing = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            program, *options, stdin=nothing, stdout=nothing, start_new_session=True
        )
    except OSError as fault:
        raise Unreachable(f"redis-server does not start: {fault}") from None
    async with AsyncExitStack() as unless_it_answers:
        unless_it_answers.push_async_callback(_end, process)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE):
                while process.returncode is None:
                    if await _answers(path):
                        unless_it_answers.pop_all()
                        return process
                    await asyncio.sleep(0.02)
    raise Unreachable("redis-server does not start")


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()  # Redis has nothing to save
    await process.wait()


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
