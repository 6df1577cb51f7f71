"""``log.format: json``: each line that a server writes is one object, also if the server cannot start."""

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_start import SOKETPY, run, started
from tests.patience import PATIENCE

JSON = {"SOKETPY_LOG_FORMAT": "json"}


def lines(text: str) -> list[dict[str, Any]]:
    """The objects of a log that has nothing else."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_mistake_in_the_configuration_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("log: {format: json}\nport: wrong\n")
    ended = run("start", "--config", str(config))
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = lines(ended.stderr)
    assert (line["level"], line["event"]) == ("error", "start_failed")
    assert line["reason"] == line["message"] == f"{config}:2: port: must be a whole number from 0 to 65535, not 'wrong'"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not valid"), ("log: {format: xml}", "log.format"), ("log: [json]", "log"), ("log: json", "log")],
)
def test_a_file_without_a_format_leads_to_the_same_error_as_before(tmp_path: Path, text: str, reason: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    ended = run("start", "--config", str(config))
    assert ended.returncode == 2
    assert ended.stderr.startswith("soketpy start: error: ")
    assert reason in ended.stderr


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    ended = run("start", "--config", str(tmp_path / "missing.yaml"), **JSON)
    assert ended.returncode == 2
    [line] = lines(ended.stderr)
    assert line["event"] == "start_failed"
    assert "cannot be read" in line["reason"]


def test_a_port_that_is_taken_is_one_more_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("start", "--host", "127.0.0.1", "--port", port, **JSON)
    assert ended.returncode == 1
    *_, line = lines(ended.stderr)
    assert line["event"] == "start_failed"
    assert line["reason"] == f"cannot listen on 127.0.0.1:{port}: address already in use"


def test_every_line_of_a_server_has_an_event(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("log: {format: json}\ntimeouts: {shutdown: 0}\napps: [{id: a, key: k, secret: well-hidden}]\n")
    with started("--config", str(config), "--host", "127.0.0.1", "--port", "0") as process:
        assert process.stdout is not None
        assert next(line for line in process.stdout if " trigger " in line)
        process.send_signal(signal.SIGTERM)
        _, written = process.communicate(timeout=PATIENCE)
    events = [line["event"] for line in lines(written)]
    assert [events[0], events[-1]] == ["starting", "stopped"]
    assert "listening" in events
    assert "other" not in events
    assert "well-hidden" not in written


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server: make tools")
def test_the_lines_of_workers_have_their_process_ids(tmp_path: Path) -> None:
    command = [*SOKETPY, "start", "--hint", "--workers", "2", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, **JSON}
    ) as process:
        assert process.stdout is not None
        assert next(line for line in process.stdout if " trigger " in line)
        process.send_signal(signal.SIGTERM)
        _, written = process.communicate(timeout=PATIENCE)
    found = lines(written)
    workers = {line["pid"] for line in found if line["event"] == "worker_ready"}
    assert len(workers) == 2
    assert {line["pid"] for line in found if line["event"] == "closing_clients"} == workers
    assert "pid" not in next(line for line in found if line["event"] == "listening")
