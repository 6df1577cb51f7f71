"""The output of the log never waits for its reader: pipes and sockets that nobody reads, and outputs with a fault."""

import asyncio
import json
import logging
import os
import pty
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from soketpy.process import log_output
from soketpy.process.log_output import LineOutput
from tests.patience import PATIENCE, attempts, wait_until
from tests.slices.sitecustomize import environment
from tests.web.wire import request, wire

Opened = Callable[[int], LineOutput]


def sockets() -> tuple[int, int]:
    """Return two ends of a socket, as systemd gives one to a service."""
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


@pytest.fixture(params=[os.pipe, sockets, pty.openpty], ids=["pipe", "socket", "terminal"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The end that is read, and the end that the log is written to."""
    reader, writer = request.param()
    yield reader, writer
    for each in (reader, writer):
        with suppress(OSError):
            os.close(each)


@pytest.fixture(params=[True, False], ids=["without a thread", "with a thread only"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to write: at once if possible, and in the thread, where the output cannot be opened again."""
    if not request.param:
        monkeypatch.setattr(log_output, "nonblocking", lambda *_: None)


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Open outputs, and close them after the test."""
    with ExitStack() as stack:
        yield lambda descriptor: stack.enter_context(closing(LineOutput(descriptor)))


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, "", 0, text, None, None)


def fill(output: LineOutput) -> int:
    """Log numbered lines until some of them must have been dropped. Return their number."""
    number = 0
    for _ in attempts():
        if output._dropped:
            break
        output.handle(record(f"line {number:04} {'x' * 90}"))
        number += 1
    return number


def lines_until(reader: int, last: str) -> list[str]:
    """Read until a line contains this text. Return all lines."""
    received = b""
    for _ in attempts():
        if last in received.decode().rpartition("\n")[0]:
            break
        received += os.read(reader, 65_536)
    return received.decode().splitlines()


@pytest.mark.usefixtures("way")
def test_lines_that_do_not_fit_are_counted_and_all_others_arrive_in_order(
    opened: Opened, ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_output, "LARGEST_QUEUE", 10_000)
    reader, writer = ends
    output = opened(writer)
    logged = fill(output)
    for _ in range(4):
        output.handle(record("dropped too"))
    lines = lines_until(reader, "log lines are missing here")
    missing = re.match(r"(\d+) log lines are missing here", lines[-1])
    assert missing is not None
    assert int(missing[1]) == 5
    assert [line[:9] for line in lines[:-1]] == [f"line {number:04}" for number in range(logged - 1)]
    output.handle(record("and the next line"))
    assert lines_until(reader, "and the next line") == ["and the next line"]


@pytest.mark.usefixtures("way")
def test_the_exit_writes_the_lines_that_wait(
    opened: Opened, ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_output, "EXIT_PATIENCE", PATIENCE)
    reader, writer = ends
    output = opened(writer)
    for _ in attempts():
        if output._waiting:
            break
        output.handle(record("x" * 1000))
    output.handle(record("the last line"))
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(lines_until, reader, "the last line")
        output.flush()
        assert not output._waiting
        assert reading.result()[-1] == "the last line"


@pytest.mark.usefixtures("way")
def test_a_reader_that_has_ended_is_harmless(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "EXIT_PATIENCE", PATIENCE)
    reader, writer = os.pipe()
    output = opened(writer)
    os.close(reader)
    for number in range(3):
        output.handle(record("nobody reads this"))
        output.flush()
        wait_until(lambda: output._dropped == number + 1)  # noqa: B023 - it is called before the next number
    os.close(writer)


def test_the_flag_of_the_shared_descriptor_stays(opened: Opened) -> None:
    reader, writer = os.pipe()
    output = opened(writer)
    output.handle(record("one"))
    assert os.get_blocking(writer)
    assert output._thread is None
    for each in (reader, writer):
        os.close(each)


def test_a_file_is_appended_to(opened: Opened, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("before\n")
    with file.open("ab") as appending:
        output = opened(appending.fileno())
        output.handle(record("one"))
        output.handle(record("tw\ud800"))
    assert file.read_text() == "before\none\ntw\\ud800\n"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_server_whose_log_nobody_reads_still_answers(tmp_path: Path, workers: str) -> None:
    config = {"host": "127.0.0.1", "port": 0, "log": {"access": True, "format": "json"}, "timeouts": {"shutdown": 0}}
    (tmp_path / "soketpy.json").write_text(json.dumps(config))
    reader, writer = os.pipe()
    limits = {
        "soketpy.process.log_output.LARGEST_QUEUE": 50_000.0,
        "soketpy.process.log_output.EXIT_PATIENCE": PATIENCE,
    }
    command = (sys.executable, "-m", "soketpy", "start", "--config", "soketpy.json", "--workers", workers)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stderr=writer, env={**os.environ, **environment(limits)}
    )
    os.close(writer)
    try:
        with closing(os.fdopen(reader, "rb")) as log:
            found: re.Match[bytes] | None = None
            for _ in attempts():
                if found is not None:
                    break
                line = await asyncio.to_thread(log.readline)
                assert line
                found = re.search(rb"Listening on \S*:(\d+) with", line)
            calls = 0
            assert found is not None
            for _ in range(30):  # more than 300 KiB of log
                async with wire(int(found[1])) as connection:
                    for _ in range(50):
                        connection.send(request("GET", f"/apps/{'x' * 200}/channels"))
                        assert (await connection.answer()).status == 404
                        calls += 1
            events: list[dict[str, Any]] = []
            for _ in attempts():
                if events and events[-1]["event"] == "log_lines_dropped":
                    break
                events.append(json.loads(await asyncio.to_thread(log.readline)))
            process.send_signal(signal.SIGTERM)
            events += [json.loads(each) for each in (await asyncio.to_thread(log.read)).splitlines()]
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    missing = sum(each["count"] for each in events if each["event"] == "log_lines_dropped")
    assert missing > 0
    assert sum(each["event"] == "call" for each in events) + missing >= calls
    assert events[-1]["event"] == "stopped"
