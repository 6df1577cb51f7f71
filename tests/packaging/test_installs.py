"""The built files, installed by each installer that the README names, and started."""

import os
import sys
from pathlib import Path

import pytest

from soketpy import __version__
from tests.packaging.conftest import ROOT, Dist, Environment, call, new_environment
from tests.packaging.running import check, output_of

BIN = Path(sys.executable).parent
PYTHON = os.path.realpath(sys.executable)
"""The interpreter itself, outside of the virtual environment of the tests."""


async def test_the_wheel_runs_where_pip_has_installed_it(installed: Environment, tmp_path: Path) -> None:
    soketpy = installed.program("soketpy")
    assert await output_of(tmp_path, soketpy, "--version") == f"soketpy {__version__}\n"
    await check(tmp_path, soketpy)
    await check(tmp_path, installed.program("python"), "-m", "soketpy")


async def test_the_sdist_runs_where_pip_has_built_and_installed_it(dist: Dist, tmp_path: Path) -> None:
    environment = new_environment(tmp_path / "venv", dist.sdist)
    await check(tmp_path, environment.program("soketpy"))


async def test_the_wheel_runs_where_pipx_has_installed_it(
    dist: Dist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "BIN_DIR", "MAN_DIR"):
        monkeypatch.setenv(f"PIPX_{name}", str(tmp_path / name.lower()))
    constraints = f"--constraint {ROOT / 'constraints.txt'}"
    call(BIN / "pipx", "install", "--quiet", "--python", PYTHON, f"--pip-args={constraints}", dist.wheel)
    await check(tmp_path, str(tmp_path / "bin_dir" / "soketpy"))


async def test_the_wheel_runs_with_uvx(dist: Dist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_TOOL_DIR", str(tmp_path / "tools"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_CONSTRAINT", str(ROOT / "constraints.txt"))
    soketpy = [str(BIN / "uvx"), "--python", PYTHON, "--from", str(dist.wheel), "soketpy"]
    assert call(*soketpy, "--version", cwd=tmp_path) == f"soketpy {__version__}\n"
    await check(tmp_path, *soketpy)
