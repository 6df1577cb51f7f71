"""The wheel and the sdist, built once for all tests of this process, and a new environment with the wheel alone."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Dist:
    """The two files of a release."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def call(*words: str | Path, cwd: Path = ROOT) -> str:
    """Run a command to its end and return its standard output. The test fails if the command fails."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(source: Path, folder: Path, *kinds: str) -> list[Path]:
    """Build distributions from a source tree, with the installed hatchling."""
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, *kinds, source)
    return sorted(folder.iterdir())


def new_environment(folder: Path, package: Path) -> Environment:
    """Create a virtual environment and install a package with pip, and what it needs in the tested versions."""
    call(sys.executable, "-m", "venv", "--without-pip", folder)  # the pip of the tests: to unpack another takes seconds
    environment = Environment(folder)
    pip = [sys.executable, "-m", "pip", "--python", environment.program("python"), "install", "--quiet"]
    call(*pip, "--constraint", ROOT / "constraints.txt", package, cwd=folder)
    return environment


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    """Build the wheel and the sdist, each from the working tree."""
    sdist, wheel = build(ROOT, tmp_path_factory.mktemp("dist"), "--sdist", "--wheel")
    if sdist.suffix == ".whl":
        sdist, wheel = wheel, sdist
    return Dist(wheel, sdist)


@pytest.fixture(scope="session")
def installed(dist: Dist, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel with pip in a new environment, without extras."""
    return new_environment(tmp_path_factory.mktemp("installed") / "venv", dist.wheel)
