"""The programs of the README publish to the default app by copy and paste."""

import asyncio
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import load
from soketpy.config.settings import DEFAULT_APP
from tests.conftest import StartServer
from tests.patience import PATIENCE
from tests.test_docs import run, snippet

NODE_MODULES = Path(__file__).parent / "clients" / "node_modules"


def run_shell(folder: Path, port: int) -> None:
    """Run the command ``soketpy trigger`` of the README."""
    words = shlex.split(snippet("README.md", "sh", "soketpy trigger").text)
    assert main([*words[1:], "--port", str(port)]) == 0


def run_python(folder: Path, port: int) -> None:
    """Run ``trigger.py`` of the README, with PyPI's ``pusher``."""
    program = snippet("README.md", "python", "client.trigger").text
    run(folder, "trigger.py", program.replace("6001", str(port)))


def run_node(folder: Path, port: int) -> None:
    """Run ``trigger.mjs`` of the README, with npm's ``pusher``."""
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "trigger.mjs").write_text(snippet("README.md", "js", "client.trigger").text.replace("6001", str(port)))
    done = subprocess.run(["node", "trigger.mjs"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("publish", [run_shell, run_python, run_node])
async def test_a_program_of_the_readme_publishes_to_the_default_app(
    publish: Callable[[Path, int], None], start_server: StartServer, tmp_path: Path
) -> None:
    peers = await start_server(apps=(DEFAULT_APP,))
    client = await peers.client()
    await client.subscribe("my-channel")
    await asyncio.to_thread(publish, tmp_path, peers.port)
    heard = await client.hear()
    assert (heard["event"], heard["data"]) == ("my-event", {"message": "hello"})


def test_the_default_app_of_the_readme_is_that_of_the_server() -> None:
    pairs = dict(line.split("=") for line in snippet("README.md", "ini", "PUSHER_APP_ID").text.splitlines())
    assert load(None, {}, {}).apps == (DEFAULT_APP,)
    [pair] = DEFAULT_APP.keys
    wanted = (DEFAULT_APP.id, pair.key, pair.secret)
    assert tuple(pairs[f"PUSHER_APP_{name}"] for name in ("ID", "KEY", "SECRET")) == wanted
