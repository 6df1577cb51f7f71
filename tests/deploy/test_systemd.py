"""The unit of systemd: its syntax, its hardening, and its commands, run without systemd."""

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

import pytest

from soketpy.config import Settings
from tests.clients.programs import Launched
from tests.patience import PATIENCE, wait_until

ROOT = Path(__file__).parent.parent.parent
UNIT = ROOT / "deploy/systemd/soketpy.service"
EXPOSURE = "20"
"""Highest exposure, in tenths, by `systemd-analyze security`. A unit without any hardening has 96."""

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def values(name: str) -> list[str]:
    """Return the values of a setting of the unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), flags=re.M)


def value(name: str) -> str:
    (found,) = values(name)
    return found


def command(line: str, places: Mapping[str, str]) -> list[str]:
    """Return the words of a command, with other paths."""
    return [places.get(word, word) for word in shlex.split(line)]


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze, of Debian's package systemd")
    return subprocess.run([program, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


@pytest.fixture
def program() -> str:
    """The command `soketpy` of this Python."""
    return str(Path(sys.executable).with_name("soketpy"))


@pytest.fixture
def unit(tmp_path: Path, program: str) -> Path:
    """The unit with the path of a program that exists."""
    file = tmp_path / UNIT.name
    file.write_text(UNIT.read_text().replace("/opt/soketpy/bin/soketpy", program))
    return file


def test_systemd_understands_each_line_of_the_unit(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_is_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout


def test_the_unit_leaves_the_server_time_to_stop() -> None:
    timeouts = Settings().timeouts
    assert int(value("TimeoutStopSec")) >= timeouts.drain + 2 * timeouts.shutdown + 20


def status(port: int, path: str) -> int:
    """Return the status of an unsigned request."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def deny_executable_memory() -> None:
    """Set what `MemoryDenyWriteExecute=` sets, if the kernel knows it (Linux 6.3)."""
    ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)


def test_the_commands_of_the_unit_start_reload_and_stop_the_server(tmp_path: Path, program: str) -> None:
    config, state = tmp_path / "soketpy.yaml", tmp_path / "state"
    state.mkdir()
    config.write_text("host: 127.0.0.1\nport: 0\napps:\n  - {id: '1', key: k, secret: a-secret}\n")
    places = {"/opt/soketpy/bin/soketpy": program, "/etc/soketpy/soketpy.yaml": str(config)}
    assert value("MemoryDenyWriteExecute") == "yes"
    start = command(value("ExecStart"), places)
    check, hang_up = (command(line, places) for line in values("ExecReload"))
    with Launched(*start, ready="Listening on", cwd=state, preexec_fn=deny_executable_memory) as server:
        port = int(server.greeting.partition("127.0.0.1:")[2].split()[0])
        assert subprocess.run(check, check=False, capture_output=True).returncode == 0
        config.write_text(config.read_text() + "  - {id: '2', key: k2, secret: b-secret}\n")
        subprocess.run([word.replace("$MAINPID", str(server.pid)) for word in hang_up], check=True)
        wait_until(lambda: status(port, "/apps/2/channels") == 401)  # 404 while the app is unknown
        config.write_text("prot: 1\n")
        refused = subprocess.run(check, check=False, capture_output=True, text=True)
        assert (refused.returncode, "did you mean port" in refused.stderr) == (2, True)
        os.kill(server.pid, signal.SIGTERM)
        server.read_to("Stopped")


def test_a_wrong_configuration_is_not_started_again(tmp_path: Path, program: str) -> None:
    (tmp_path / "soketpy.yaml").write_text("prot: 1\n")
    start = command(
        value("ExecStart"),
        {"/opt/soketpy/bin/soketpy": program, "/etc/soketpy/soketpy.yaml": str(tmp_path / "soketpy.yaml")},
    )
    done = subprocess.run(start, check=False, capture_output=True)
    assert str(done.returncode) in value("RestartPreventExitStatus").split()
