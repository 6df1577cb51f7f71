"""The type information of the installed package, as mypy sees it in another project."""

import subprocess
import sys
from pathlib import Path

from tests.packaging.conftest import Environment

# Strict mypy reports a comment "type: ignore" that hides no error. The last line of main() therefore proves that mypy
# reads the types of the package.
PROGRAM = """\
import asyncio

from soketpy import App, Key, Server, Webhook

apps = [App(id="1", keys=(Key("key", "secret"),), webhooks=(Webhook(event_types=("member_added",), url="http://a/"),))]


async def main() -> None:
    async with Server(host="127.0.0.1", port=0, apps=apps) as server:
        port: int | None = server.port
        print(port)
        print(server.ports)  # type: ignore[attr-defined]


asyncio.run(main())
"""


def test_a_strictly_typed_program_finds_the_types_of_the_wheel(installed: Environment, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", "", "program.py"]
    words += ["--python-executable", installed.program("python")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout + done.stderr == "Success: no issues found in 1 source file\n"
