"""The reload of a configuration: files are read in a thread, one read at a time, and a stop does not wait for it."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from soketpy import App, Key
from soketpy.config.settings import Settings
from soketpy.process.configuration import Configuration
from tests.patience import PATIENCE, until


class SlowReader:
    """A disk that answers when the test says so. ``reads`` is the number of reads that have begun."""

    def __init__(self) -> None:
        self.reads = 0
        self.answers = threading.Semaphore(0)

    def __call__(self) -> Settings:
        self.reads += 1
        self.answers.acquire(timeout=PATIENCE)
        return Settings(apps=(App(id=str(self.reads), keys=(Key("k", "s"),)),))


@pytest.fixture
def reader() -> Iterator[SlowReader]:
    """Yield a reader, and end its threads after the test."""
    slow = SlowReader()
    yield slow
    slow.answers.release(10)


async def test_signals_during_a_read_lead_to_one_more_read_after_it(reader: SlowReader) -> None:
    applied: list[str] = []
    configuration = Configuration(Settings(), reader, lambda settings: applied.append(settings.apps[0].id))
    configuration.reload()
    await until(lambda: reader.reads == 1)  # the event loop runs during the read
    configuration.reload()
    configuration.reload()
    reader.answers.release(10)
    await configuration.settle()
    assert (reader.reads, applied) == (2, ["1", "2"])


async def test_a_stop_does_not_wait_for_a_read(reader: SlowReader) -> None:
    applied: list[Settings] = []
    configuration = Configuration(Settings(), reader, applied.append)
    configuration.reload()
    await until(lambda: reader.reads == 1)
    async with asyncio.timeout(PATIENCE):
        await configuration.stop()
    reader.answers.release()
    await until(lambda: all(each.name != "soketpy-files" for each in threading.enumerate()))
    await asyncio.sleep(0)
    assert applied == []


@pytest.mark.usefixtures("contained")
async def test_a_fault_in_a_reload_does_not_end_reloads(caplog: pytest.LogCaptureFixture) -> None:
    reads: list[int] = []

    def read() -> Settings:
        reads.append(1)
        if len(reads) == 1:
            raise RuntimeError("a fault")
        return Settings()

    configuration = Configuration(Settings(), read, lambda settings: 0)
    for _ in range(2):
        configuration.reload()
        await configuration.settle()
    assert "The configuration could not be reloaded" in caplog.text
    assert len(reads) == 2
