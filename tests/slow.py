"""The command behind ``make test-slow``: run the tests beside CPU hogs, and with very short and very long time slices.

A test that passes here does not depend on the speed of the machine. The arguments are those of pytest; ``--only NAME``
chooses one of the three runs, and ``--hogs N`` how many hogs there are.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

HOGS = min(8, 2 * len(os.sched_getaffinity(0)))
"""Processes that each keep one core busy: two per core, so that a test gets about a third of the machine."""

HOG_SECONDS = 3600
"""Seconds after which a hog ends, even if nothing else ends it."""

TEST_SECONDS = 600
"""Seconds that one test may take beside the hogs. Only a test that waits forever takes so long."""

END_SECONDS = 30
"""Seconds that pytest has to end after SIGINT."""

RUNS: dict[str, dict[str, str]] = {"hogs": {}, "zero": {"TIME_SLICES": "0"}, "minute": {"TIME_SLICES": "60"}}
"""The environment of each run."""

# A hog looks at its parent, so that it ends with the command even if the command is killed.
_HOG = """
import os, time
parent, end = os.getppid(), time.monotonic() + {seconds}
while os.getppid() == parent and time.monotonic() < end:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def hogs(number: int = HOGS, seconds: float = HOG_SECONDS) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep so many cores busy; kill the hogs at the end, also after an exception."""
    busy: list[subprocess.Popen[bytes]] = []
    try:
        hog = [sys.executable, "-c", _HOG.format(seconds=seconds)]
        busy.extend(subprocess.Popen(hog) for _ in range(number))
        yield busy
    finally:
        for each in busy:
            each.kill()
        for each in busy:
            each.wait()


def run(name: str, arguments: list[str], number: int = HOGS) -> int:
    """Run pytest once, beside so many hogs if it is their run; return its exit status."""
    print(f"== {name}: {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"timeout={TEST_SECONDS}", *arguments]
    environ = {**os.environ, **RUNS[name]}
    with hogs(number) if name == "hogs" else nullcontext():
        return _wait(subprocess.Popen(command, env=environ))


def _wait(tests: subprocess.Popen[bytes]) -> int:
    """Return the exit status of pytest. After SIGTERM, let pytest end what the tests have started."""
    try:
        return tests.wait()
    except SystemExit:
        tests.send_signal(signal.SIGINT)
        raise
    finally:  # a terminal sends SIGINT to pytest too
        try:
            tests.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            tests.kill()
            tests.wait()


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Make the runs; return 0 if all tests passed in every run."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=RUNS, help="make this run alone")
    parser.add_argument("--hogs", type=int, default=HOGS, metavar="N", help="so many hogs (default: %(default)s)")
    options, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, _stop)  # by an exception, so that the hogs are ended too
    chosen = [options.only] if options.only else list(RUNS)
    failed = [name for name in chosen if run(name, arguments, options.hogs)]
    print(f"== failed: {', '.join(failed)}" if failed else f"== all passed: {', '.join(chosen)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
