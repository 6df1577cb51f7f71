"""The build and the run of the programs in C: the load generator and ``limit``."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import tls
from benchmarks.servers import GENERATOR_CORE, HERE, Running

Result = dict[str, Any]
"""The JSON object that the load generator prints."""

FAULTS = ("lost", "duplicated", "out_of_order", "stray", "failed", "unanswered")


def compiler() -> str | None:
    """Return the C compiler of this machine, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def speaks_tls() -> bool:
    """Return True if this machine can build the load generator with TLS."""
    found = compiler()
    return found is not None and tls.available(found)


def build(name: str, folder: Path) -> Path:
    """Compile ``name``.c and return the program. An older program is never used, because OpenSSL may be new."""
    found = compiler()
    if found is None:
        raise RuntimeError("There is no C compiler: install gcc.")
    source, program = HERE / f"{name}.c", folder / name
    folder.mkdir(parents=True, exist_ok=True)
    flags = tls.FLAGS if name == "loadgen" and tls.available(found) else ()
    subprocess.run([found, "-O2", "-Wall", "-Wextra", "-o", program, source, *flags], check=True)
    return program


def words(options: dict[str, str | int]) -> list[str]:
    """Return the options as arguments for the load generator."""
    return [f"{name}={value}" for name, value in options.items()]


def run(program: Path, server: Running, options: dict[str, str | int]) -> Result:
    """Run the load generator on its core. Raise CalledProcessError, or TimeoutExpired after its own time limit."""
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
    """Return the faults in the ledger of a run: empty if each event was delivered once and in order."""
    if "loads" in result:  # a scenario with several runs of the load generator
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
