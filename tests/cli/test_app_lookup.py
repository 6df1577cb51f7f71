"""The commands that sign with the keys of an app, while the apps are in a database."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import load
from soketpy.core.app_registry import AppRegistry
from soketpy.core.apps import App, Key
from soketpy.core.webhooks import Webhook
from soketpy.process.registries import registry_of
from soketpy.protocol.signatures import sign
from tests.receiver import receiving

Run = Callable[..., Awaitable[tuple[int, str, str]]]

ONE = App(id="one", keys=(Key("one-new", "secret-new"), Key("one-old", "secret-old")))
OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))
TEXT = "1.2:private-news"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "soketpy.json"
    sqlite, webhooks = {"path": str(tmp_path / "apps.db")}, {"private_addresses": "allow"}
    file.write_text(json.dumps({"registry": {"driver": "sqlite"}, "sqlite": sqlite, "webhooks": webhooks}))
    return file


@pytest.fixture
async def registry(config: Path) -> AsyncIterator[AppRegistry]:
    """Return the registry of the configuration, with two apps."""
    registry = registry_of(load(str(config), {}, {}))
    await registry.start(lambda _: None)
    for app in (ONE, OTHER):
        await registry.add(app)
    yield registry
    await registry.stop()


@pytest.fixture
def run(config: Path, registry: AppRegistry, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a thread. Return its exit code, standard output and standard error."""

    async def run(*argv: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, (*argv, "--config", str(config)))
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


@pytest.mark.parametrize(
    ("argv", "auth"),
    [
        (("--app-id", "one"), f"one-new:{sign('secret-new', TEXT)}"),
        (("--app-id", "other"), f"other-key:{sign('other-secret', TEXT)}"),
        (("--key", "one-old"), f"one-old:{sign('secret-old', TEXT)}"),
        (("--app-id", "one", "--key", "one-old"), f"one-old:{sign('secret-old', TEXT)}"),
    ],
)
async def test_an_app_of_the_database_signs(run: Run, argv: tuple[str, ...], auth: str) -> None:
    code, out, err = await run("sign", "channel", "1.2", "private-news", *argv)
    assert (code, err) == (0, "")
    assert out.endswith(f"auth: {auth}\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "the apps are in a database: give --app-id"),
        (("--app-id", "x"), "no app with the id x in the database; give --app-id, --key and --secret"),
        (("--app-id", "one", "--key", "other-key"), "no app with the key other-key in the database; give --secret too"),
        (("--key", "x"), "no app in the database; give --app-id, --key and --secret"),
    ],
)
async def test_an_app_that_is_not_in_the_database_is_a_mistake(run: Run, argv: tuple[str, ...], said: str) -> None:
    assert await run("sign", "channel", "1.2", "private-news", *argv) == (2, "", f"soketpy sign: error: {said}\n")


async def test_a_key_that_has_ended_does_not_sign(run: Run, registry: AppRegistry) -> None:
    ended = Key("ended", "secret", ends_at=time.time() - 1)
    await registry.add(App(id="both", keys=(Key("current", "secret"), ended)))
    code, _, err = await run("sign", "channel", "1.2", "private-news", "--app-id", "both", "--key", "ended")
    said = "soketpy sign: error: no app with the key ended in the database; give --secret too\n"
    assert (code, err) == (2, said)


async def test_a_sample_is_signed_by_an_app_of_the_database(run: Run, registry: AppRegistry) -> None:
    async with receiving() as receiver:
        hook = Webhook(url=receiver.url(), event_types=("cache_miss",), headers={"X-Own": "yes"})
        await registry.add(App(id="hooked", keys=(Key("hooked-key", "hooked-secret"),), webhooks=(hook,)))
        code, _, err = await run("webhooks", "test", "--url", receiver.url(), "--app-id", "hooked")
        assert (code, err) == (0, "")
        [request] = receiver.requests
        assert request.is_signed_by("hooked-key", "hooked-secret")
        assert request.headers["X-Own"] == "yes"


async def test_a_sample_without_an_app_is_a_mistake(run: Run) -> None:
    said = "soketpy webhooks: error: the apps are in a database: give --app-id\n"
    assert await run("webhooks", "test", "--url", "http://127.0.0.1:1/") == (2, "", said)
