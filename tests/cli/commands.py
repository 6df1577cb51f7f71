"""Commands that run while a test does something else, in a thread of the test's process."""

import asyncio

import pytest

from soketpy.cli import main
from tests.fakes import APP
from tests.patience import until

CREDENTIALS = ("--app-id", APP.id, "--key", APP.key, "--secret", APP.keys[0].secret)


class RunningCommand:
    """A command that has begun, and its output."""

    def __init__(self, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._ended = asyncio.get_running_loop().run_in_executor(None, main, words)
        self.out = self.err = ""

    def read(self) -> None:
        """Read what the command has written since the last call."""
        written = self._capsys.readouterr()
        self.out += written.out
        self.err += written.err

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until standard error has the text."""

        def said() -> bool:
            self.read()
            return self.err.count(text) >= times or self._ended.done()

        await until(said)
        assert self.err.count(text) >= times, self.err

    async def prints(self, text: str) -> None:
        """Wait until standard output has the text."""

        def printed() -> bool:
            self.read()
            return text in self.out or self._ended.done()

        await until(printed)
        assert text in self.out, self.err

    async def end(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        code = await self._ended
        self.read()
        return code
