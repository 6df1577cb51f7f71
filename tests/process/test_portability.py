"""Systems other than Linux: a missing feature is not needed, or an error of one line names it."""

import os
import subprocess
import sys

import pytest

from soketpy import Settings
from soketpy.process import listening
from soketpy.process.requirements import number_of

REASON = "soketpy serves on Linux, macOS and other POSIX systems; on Windows, run it in WSL or in a container"
WINDOWS = """
import asyncio, os, signal, socket, sys
for module, names in (
    (os, ["sched_getaffinity", "sysconf", "fork"]),
    (signal, ["SIGHUP", "SIGUSR1", "SIGUSR2"]),
    (socket, ["AF_UNIX"]),
):
    for name in names:
        vars(module).pop(name, None)
sys.modules["resource"] = sys.modules["uvloop"] = None
"""
"""The modules that Python does not have on Windows. Its asyncio for Linux needs them while it is imported."""


def on_windows(statement: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", f"{WINDOWS}\n{statement}"]
    return subprocess.run(words, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    "statement",
    [
        "import soketpy, soketpy.testing",
        "from soketpy import App, ConfigError, Key, Settings",
        *(
            f"from soketpy.cli import main; sys.exit(main({argv}))"
            for argv in (["--version"], ["check-config", os.devnull], ["sign", "channel", "1.2", "private-a"])
        ),
    ],
)
def test_all_but_the_server_works_on_windows(statement: str) -> None:
    ended = on_windows(statement)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_import_of_the_server_on_windows_raises_an_error_with_advice() -> None:
    ended = on_windows("from soketpy import Server")
    assert ended.stderr.splitlines()[-1] == f"ImportError: {REASON}"


def test_the_start_on_windows_prints_one_line_with_advice() -> None:
    ended = on_windows("from soketpy.cli import main; sys.exit(main(['start']))")
    assert (ended.returncode, ended.stderr) == (1, f"soketpy start: {REASON}\n")


def test_to_ask_over_a_unix_socket_on_windows_is_a_failure() -> None:
    ended = on_windows("from soketpy.cli import main; sys.exit(main(['healthcheck', '--unix-socket', 's']))")
    said = "soketpy healthcheck: cannot reach s: this system has no Unix sockets\n"
    assert (ended.returncode, ended.stderr) == (1, said)


@pytest.mark.parametrize(("cores", "number"), [(8, 8), (None, 1)])
def test_workers_are_as_many_as_cores_where_the_system_does_not_say_which_it_may_use(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, number: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert number_of(Settings(workers=0)) == number
    assert number_of(Settings(workers=3)) == 3


async def test_workers_share_one_socket_where_the_kernel_does_not_spread_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "REUSE_PORT_SPREADS", False)
    listeners = await listening.open_for_workers(Settings(host="127.0.0.1", port=0), 3)
    try:
        assert len({listener.getsockname() for listener in listeners}) == 1
        inodes = {os.fstat(listener.fileno()).st_ino for listener in listeners}
        assert len(inodes) == 1
    finally:
        for listener in listeners:
            listener.close()
