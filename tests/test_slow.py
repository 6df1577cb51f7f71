"""``make test-slow``: its hogs end with it, and its time slices apply in every process."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

import pytest

from tests import slow
from tests.cli.test_workers import children_of, command_of
from tests.patience import PATIENCE, wait_until
from tests.slices.sitecustomize import CONSTANT, environment, install
from tests.test_house_rules import PACKAGE, ROOT, modules

SLICED = {
    "soketpy.drivers.entries",
    "soketpy.process.counting",
    "soketpy.web.exposition",
    "soketpy.web.http",
    "soketpy.web.websocket",
}
"""The modules that work on one thing for a time slice, and then let others work."""


def runs(pid: int) -> bool:
    """Return whether a process exists, and has not ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0] != "Z"
    return False


# The command


def command(*arguments: str, folder: Path, test: str) -> list[str]:
    """Return the command, for one test of its own."""
    (folder / "test_own.py").write_text(test)
    return [sys.executable, "-m", "tests.slow", *arguments, "-p", "no:cacheprovider", "-p", "no:soketpy", str(folder)]


WAITS = """
import os, pathlib, time
def test_waits():
    parent = os.getppid()
    pathlib.Path({ready!r}).touch()
    while os.getppid() == parent:
        time.sleep(0.05)
"""


@pytest.fixture
def hogs_beside_a_test(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], set[int], int]]:
    """The command with two hogs beside a test that waits forever; the hogs; and pytest."""
    waits = WAITS.format(ready=str(tmp_path / "ready"))
    with ExitStack() as stack:
        words = command("--only", "hogs", "--hogs", "2", folder=tmp_path, test=waits)
        running = stack.enter_context(
            subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        stack.callback(running.kill)
        wait_until((tmp_path / "ready").exists)
        hogs = {pid for pid in children_of(running.pid) if "time.monotonic" in command_of(pid)}
        [tests] = children_of(running.pid) - hogs
        yield running, hogs, tests


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_hogs_end_with_the_command(
    hogs_beside_a_test: tuple[subprocess.Popen[bytes], set[int], int], number: signal.Signals
) -> None:
    running, hogs, tests = hogs_beside_a_test
    assert len(hogs) == 2
    assert all(runs(each) for each in hogs)
    running.send_signal(number)
    code = running.wait(PATIENCE)
    wait_until(lambda: not any(runs(each) for each in hogs))
    if number == signal.SIGTERM:
        assert code == 128 + number
        assert not runs(tests)


def test_hogs_end_with_their_block_and_when_their_time_is_up() -> None:
    busy: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with slow.hogs(2) as hogs:
            busy.extend(hogs)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert [each.returncode for each in busy] == [-signal.SIGKILL] * 2
    with slow.hogs(1, seconds=0) as busy:
        assert busy[0].wait(PATIENCE) == 0


@pytest.mark.parametrize(("name", "slices"), [("zero", "0"), ("minute", "60")])
def test_a_run_sets_the_time_slices_and_fails_with_its_tests(tmp_path: Path, name: str, slices: str) -> None:
    for wanted, code, said in ((slices, 0, f"== all passed: {name}"), ("7", 1, f"== failed: {name}")):
        test = f"import os\ndef test_slices():\n  assert os.environ['TIME_SLICES'] == {wanted!r}\n"
        words = command("--only", name, folder=tmp_path, test=test)
        ended = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE)
        assert (ended.returncode, ended.stdout.splitlines()[-1]) == (code, said)


# Time slices and limits


def test_the_time_slices_of_this_run_hold_here_and_in_other_processes() -> None:
    here = {name: getattr(import_module(name), CONSTANT) for name in SLICED}
    if "TIME_SLICES" in os.environ:
        assert set(here.values()) == {float(os.environ["TIME_SLICES"])}
    assert slices_in_a_process(dict(os.environ)) == here


def test_a_run_with_other_time_slices_has_them_here_and_in_other_processes() -> None:
    this = f"{__file__}::{test_the_time_slices_of_this_run_hold_here_and_in_other_processes.__name__}"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this]
    ended = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"TIME_SLICES": "7"}, check=False, capture_output=True, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stdout


def slices_in_a_process(environ: dict[str, str]) -> dict[str, float]:
    """Return the time slices that modules have in a new process."""
    names = sorted(SLICED)
    text = f"import importlib\nfor name in {names}:\n  print(importlib.import_module(name).{CONSTANT})"
    ended = subprocess.run([sys.executable, "-c", text], env=environ, check=True, capture_output=True, timeout=PATIENCE)
    return dict(zip(names, map(float, ended.stdout.split()), strict=True))


def test_a_server_in_another_process_takes_slices_and_limits_from_its_environment() -> None:
    environ = os.environ | environment({"soketpy.web.websocket.CLOSING_TIMEOUT": 600}) | {"TIME_SLICES": "7"}
    assert slices_in_a_process(environ) == dict.fromkeys(SLICED, 7.0)
    text = "from soketpy.process import draining; print(draining.CLOSING_TIMEOUT)"
    ended = subprocess.run([sys.executable, "-c", text], env=environ, check=True, capture_output=True, timeout=PATIENCE)
    assert ended.stdout == b"600.0\n"


def test_a_limit_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    with pytest.raises(AttributeError, match="NO_LIMIT"):
        install(None, {"soketpy.web.http.NO_LIMIT": 1})


# The sources of soketpy


CLOCKS = {"perf_counter", "perf_counter_ns", "monotonic_ns", "time_ns", "process_time", "thread_time"}
"""Clocks that measure how long something takes. ``monotonic`` and the time of the event loop serve for deadlines."""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_measures_time_is_a_time_slice_that_the_command_can_set(path: Path) -> None:
    tree = ast.parse(path.read_text())
    read = {each for node in ast.walk(tree) for each in names_in(node)}
    defined = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert (CONSTANT in defined) == bool(read & CLOCKS) == (module in SLICED)
    imported = {name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in names_in(node)}
    assert CONSTANT not in imported, "a copy would keep its value"
    parameters = " ".join(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.arguments))
    assert CONSTANT not in parameters, "a default would keep its value"


def names_in(node: ast.AST) -> set[str]:
    """Return the names that a node uses or imports."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.ImportFrom):
        return {alias.name for alias in node.names}
    return set()
