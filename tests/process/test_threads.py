"""Calls in threads, which a caller may leave, and which never keep a process alive."""

import subprocess
import sys

import pytest

from soketpy.process.threads import in_thread
from tests.patience import PATIENCE

STUCK = """
import asyncio, threading
from soketpy.process.threads import in_thread

async def main():
    began = threading.Event()
    def wait():
        began.set()
        threading.Event().wait()
    task = asyncio.create_task(in_thread(wait))
    while not began.is_set():
        await asyncio.sleep(0)
    task.cancel()
    print("the end")

asyncio.run(main())
"""


async def test_a_call_returns_and_raises_what_the_function_does() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


def test_a_process_ends_although_a_call_is_stuck() -> None:
    run = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "the end\n", "")
