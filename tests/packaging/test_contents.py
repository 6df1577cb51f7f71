"""The contents of the wheel and the sdist."""

import sys
import tarfile
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from soketpy import __version__
from tests.packaging.conftest import ROOT, Dist, build, call

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


FOR_DEVELOPERS = {"test", "dist", "deploy", "bench"}
"""Extras that `all` does not have: the Makefile installs them."""

PYTHONS = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: Python :: 3." in each]


def package_files() -> set[str]:
    """Return every file of the package in the working tree, also those that are not Python."""
    paths = (ROOT / "soketpy").rglob("*")
    return {str(path.relative_to(ROOT)) for path in paths if path.is_file() and "__pycache__" not in path.parts}


def wheel_files(dist: Dist) -> dict[str, bytes]:
    with ZipFile(dist.wheel) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def sdist_files(dist: Dist) -> dict[str, bytes]:
    """Return the files of the sdist, without the name of its folder."""
    with tarfile.open(dist.sdist) as sdist:
        return {member.name.partition("/")[2]: file.read() for member in sdist if (file := sdist.extractfile(member))}


def metadata(dist: Dist) -> Message:
    return Parser().parsestr(wheel_files(dist)[f"soketpy-{__version__}.dist-info/METADATA"].decode())


def test_the_wheel_has_every_file_of_the_package_and_no_other(dist: Dist) -> None:
    files = wheel_files(dist)
    own = f"soketpy-{__version__}.dist-info/"
    assert {name for name in files if not name.startswith(own)} == package_files()
    assert {"soketpy/py.typed", "soketpy/drivers/redis/roster.lua"} <= files.keys()
    assert files[f"{own}licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert f"{own}entry_points.txt" in files


def test_the_sdist_has_the_package_its_documentation_and_what_builds_it(dist: Dist) -> None:
    files = sdist_files(dist)
    assert package_files() <= files.keys()
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "config/soketpy.yaml"} <= files.keys()
    assert {"docs/operations.md", "deploy/systemd/soketpy.service", "deploy/helm/soketpy/Chart.yaml"} <= files.keys()
    tops = {name.partition("/")[0] for name in files}
    assert not tops & {"tests", "benchmarks", "examples", ".venv", "build", "dist"}
    assert not [name for name in files if "__pycache__" in name or name.endswith((".pyc", ".db"))]


def test_the_sdist_builds_the_same_wheel(dist: Dist, tmp_path: Path) -> None:
    with tarfile.open(dist.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    (again,) = build(source, tmp_path / "again", "--wheel")
    assert again.name == dist.wheel.name
    assert again.read_bytes() == dist.wheel.read_bytes()


def test_the_metadata_passes_the_check_of_the_package_index(dist: Dist) -> None:
    call(sys.executable, "-m", "twine", "check", "--strict", dist.wheel, dist.sdist)


def test_the_metadata_names_the_version_the_licence_and_all_extras(dist: Dist) -> None:
    found = metadata(dist)
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("soketpy", __version__, "MIT")
    assert found["Requires-Python"] == PROJECT["requires-python"]
    assert set(found.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_the_declared_pythons_begin_with_the_oldest_that_can_install_it() -> None:
    assert PYTHONS == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", [PYTHONS[0], PYTHONS[-1]])
def test_all_extras_resolve_to_files_that_need_no_compiler(
    dist: Dist, tmp_path: Path, python: str, processor: str
) -> None:
    """Resolve as on a machine with this Python and this processor, where only wheels can be installed."""
    (of_all,) = PROJECT["optional-dependencies"]["all"]
    extras = ["all", *of_all.removeprefix("soketpy[").removesuffix("]").split(",")]
    assert {*extras, *FOR_DEVELOPERS} == set(PROJECT["optional-dependencies"])
    wanted = tmp_path / "wanted.in"
    wanted.write_text("".join(f"soketpy[{extra}] @ {dist.wheel.as_uri()}\n" for extra in extras))
    target = ["--python-version", python, "--python-platform", f"{processor}-unknown-linux-gnu"]
    tested = ["--constraint", str(ROOT / "constraints.txt")]
    words = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary", ":all:", *target, *tested]
    found = call(*words, wanted)
    for name in ("hiredis", "google-re2", "aiobotocore", "asyncpg", "asyncmy", "aiosqlite"):
        assert f"\n{name}==" in found
