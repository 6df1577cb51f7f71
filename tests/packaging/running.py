"""A server that a test starts with an installed command, and the same checks of it for each way of installation."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import websockets

from tests.patience import PATIENCE, UNHURRIED

APP = {"SOKETPY_APP_ID": "1", "SOKETPY_APP_KEY": "key-of-a-test", "SOKETPY_APP_SECRET": "secret-of-a-test"}


def environment() -> dict[str, str]:
    """Return the environment for an installed command: no settings of soketpy but ``APP``, no import path."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SOKET", "PYTHON", "COV"))}
    return {**inherited, **APP}


async def output_of(folder: Path, *words: str) -> str:
    """Run a command to its end and return all its output. The test fails if the command fails."""
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@asynccontextmanager
async def started(folder: Path, *command: str) -> AsyncIterator[int]:
    """Run ``command start`` in a folder and yield the port. Then stop the server by SIGTERM: it must end with 0."""
    words = [*command, "start", "--host", "127.0.0.1", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, env=environment(), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    lines = [""]
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(r"Listening on http://127\.0\.0\.1:(\d+)", lines[-1])):
                lines.append((await process.stderr.readline()).decode())
                assert lines[-1], "".join(lines)
        yield int(found[1])
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            lines.append((await process.stderr.read()).decode())
        assert await process.wait() == 0, "".join(lines)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def check(folder: Path, *command: str) -> None:
    """Start the server with an installed command, send an event to a client, check its health, and stop the server."""
    async with started(folder, *command) as port:
        key = APP["SOKETPY_APP_KEY"]
        async with websockets.connect(f"ws://127.0.0.1:{port}/app/{key}?protocol=7", **UNHURRIED) as client:
            await client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "my-channel"}}))
            assert json.loads(await client.recv())["event"] == "pusher:connection_established"
            assert json.loads(await client.recv())["event"] == "pusher_internal:subscription_succeeded"
            address = ["--host", "127.0.0.1", "--port", str(port)]
            await output_of(folder, *command, "trigger", *address, "my-channel", "my-event", '{"message":"hello"}')
            event = json.loads(await client.recv())
            assert (event["event"], event["data"]) == ("my-event", '{"message":"hello"}')
            await output_of(folder, *command, "healthcheck", *address)
