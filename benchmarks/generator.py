"""Builds and runs the programs in C: the load generator and the yardstick."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import tls
from benchmarks.servers import GENERATOR_CORE, HERE, Running

Result = dict[str, Any]
"""What the load generator prints."""

FAULTS = ("lost", "duplicated", "out_of_order", "stray", "failed", "unanswered")


def compiler() -> str | None:
    """The C compiler of this machine, if it has one."""
    return shutil.which("cc") or shutil.which("gcc")


def speaks_tls() -> bool:
    """Whether the load generator can be built with TLS here."""
    found = compiler()
    return found is not None and tls.available(found)


def build(name: str, folder: Path) -> Path:
    """Compile ``name``.c; return the program. Always anew, for OpenSSL may have come or gone meanwhile."""
    found = compiler()
    if found is None:
        raise RuntimeError("There is no C compiler: install gcc.")
    source, program = HERE / f"{name}.c", folder / name
    folder.mkdir(parents=True, exist_ok=True)
    flags = tls.FLAGS if name == "loadgen" and tls.available(found) else ()
    subprocess.run([found, "-O2", "-Wall", "-Wextra", "-o", program, source, *flags], check=True)
    return program


def words(options: dict[str, str | int]) -> list[str]:
    """Options as the load generator takes them."""
    return [f"{name}={value}" for name, value in options.items()]


def run(program: Path, server: Running, options: dict[str, str | int]) -> Result:
    """Run the load generator on its core. Raises CalledProcessError, or TimeoutExpired past its own bound."""
    command = [
        "taskset",
        "-c",
        GENERATOR_CORE,
        str(program),
        *server.words,
        *words(options),
    ]
    limit = int(options.get("seconds", 60)) + 30
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=limit)
    result: Result = json.loads(done.stdout)
    return result


def faults(result: Result) -> dict[str, int]:
    """What the ledger of a run found wrong; empty where each event came once and in order."""
    if "loads" in result:  # a play with any number of runs
        return {name: count for load in result["loads"] for name, count in faults(load).items()}
    found = {name: result["run"][name] for name in FAULTS if result["run"][name]}
    missing = result["subscribers"] - min(each["subscribed"] for each in result["connects"])
    if missing:
        found["never subscribed"] = missing
    for name in ("refused", "ended"):
        if result[name]:
            found[name] = result[name]
    for name in ("lost", "duplicated"):
        if "presence" in result and result["presence"][name]:
            found[f"members {name}"] = result["presence"][name]
    return found
