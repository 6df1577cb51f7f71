"""The environment of the measurements: versions and machine."""

import json
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.servers import NODE, REDIS, ROOT, SOKETI
from soketpy import __version__


def facts() -> list[tuple[str, str]]:
    """Return names and values for the page."""
    found = [
        ("Date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Commit", commit()),
        ("Machine", f"{processor()}, {os.cpu_count()} cores, {memory()}"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("soketpy", f"{__version__}, Python {platform.python_version()}, {packages('uvloop', 'httptools', 'msgspec')}"),
    ]
    if NODE.exists():
        bindings = package_version("uWebSockets.js")
        found.append(
            ("soketi", f"{package_version('@soketi/soketi')}, Node {node_version()}, uWebSockets.js {bindings}")
        )
    return found


def redis() -> tuple[str, str]:
    """Return the version of Redis as a name and a value."""
    said = subprocess.run([REDIS.command[0], "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\S+)", said)
    return "Redis", f"{found[1] if found else '?'}, over TCP"


def commit() -> str:
    """Return the commit, with a note if the files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    name = subprocess.run([git, "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    changed = subprocess.run([git, "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode
    return f"`{name.stdout.strip()}`" + (" with changes" if changed else "")


def processor() -> str:
    """Return the name of the processor."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    return " ".join(found[1].split()) if found else platform.machine()


def memory() -> str:
    """Return the memory of the machine, in GiB."""
    found = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), flags=re.M)
    return f"{int(found[1]) / 2**20:.0f} GiB" if found else "?"


def packages(*names: str) -> str:
    """Return the versions of Python packages."""
    listed = []
    for name in names:
        try:
            listed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            listed.append(f"no {name}")
    return ", ".join(listed)


def package_version(name: str) -> str:
    """Return the version of one of soketi's packages."""
    found: str = json.loads((SOKETI / name / "package.json").read_text())["version"]
    return found


def node_version() -> str:
    """Return the version of the Node that runs soketi."""
    return subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
