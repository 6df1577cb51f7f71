"""``soketpy apps`` on an SQLite file, and over the admin API of a server that uses the file."""

import asyncio
import json
import os
import pty
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from soketpy.cli import main
from soketpy.cli.app_values import NEW, fields_of, seconds_of, time_of
from soketpy.cli.faults import Mistake
from soketpy.config import load
from soketpy.config.registry import Admin
from soketpy.core.app_registry import AppRegistry
from soketpy.core.apps import App, Key
from soketpy.core.history import HistoryRule
from soketpy.core.webhooks import Webhook
from soketpy.process.admin_server import serve_admin
from soketpy.process.registries import registry_of

Run = Callable[..., Awaitable[tuple[int, str, str]]]
Local = Callable[..., tuple[int, str, str]]

TOKEN = "a-token-of-the-tests"
SECRET = "a-secret-of-the-tests"
HOOK = {"url": "https://hooks.example/x", "event_types": ["member_added"], "headers": {"X-Token": SECRET}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "soketpy.json"
    sqlite = {"path": str(tmp_path / "apps.db")}
    file.write_text(
        json.dumps({"registry": {"driver": "sqlite"}, "sqlite": sqlite, "app_defaults": {"max_connections": 3}})
    )
    return file


@pytest.fixture
async def registry(config: Path) -> AsyncIterator[AppRegistry]:
    """Return the registry of the configuration, opened by another process than the command."""
    registry = registry_of(load(str(config), {}, {}))
    await registry.start(lambda _: None)
    yield registry
    await registry.stop()


@pytest.fixture(params=["local", "remote"])
async def run(
    request: pytest.FixtureRequest,
    config: Path,
    registry: AppRegistry,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Run]:
    """Run a form of the command in a thread. Return its exit code, standard output and standard error."""
    async with AsyncExitStack() as stack:
        where = ["--config", str(config)]
        if request.param == "remote":
            settings = replace(load(str(config), {}, {}), admin=Admin(enabled=True, port=0, tokens=(TOKEN,)))
            port = await serve_admin(stack, settings, registry, lambda _: None)
            monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
            where = ["--admin-url", f"http://127.0.0.1:{port}/"]

        async def run(*argv: str) -> tuple[int, str, str]:
            code = await asyncio.to_thread(main, ("apps", *argv, *where))
            written = capsys.readouterr()
            return code, written.out, written.err

        yield run


@pytest.fixture
def local(config: Path, capsys: pytest.CaptureFixture[str]) -> Local:
    """Run a form of the command with the configuration."""

    def local(*argv: str) -> tuple[int, str, str]:
        code = main(("apps", *argv, "--config", str(config)))
        written = capsys.readouterr()
        return code, written.out, written.err

    return local


async def entry(registry: AppRegistry, app_id: str) -> App:
    """Return an app of the registry."""
    [app] = await registry.fetch([app_id], [])
    assert isinstance(app, App), app
    return app


async def put(registry: AppRegistry, app_id: str = "1", **fields: Any) -> App:
    """Add an app to the registry."""
    app = App(id=app_id, keys=(Key(f"key-{app_id.replace('&', '-')}", SECRET),), **fields)
    await registry.add(app)
    return app


async def test_the_list_has_a_line_for_each_app(run: Run, registry: AppRegistry) -> None:
    assert await run("list") == (0, "There are no apps.\n", "")
    await put(registry)
    await put(registry, "2", enabled=False)
    assert await run("list") == (0, "ID  KEY    NOTES\n1   key-1\n2   key-2  disabled\n", "")


async def test_the_list_does_not_count_ended_keys(run: Run, registry: AppRegistry) -> None:
    keys = Key("key-1", SECRET), Key("ending", SECRET, 32e9), Key("ended", SECRET, 1.0)
    await registry.add(App(id="1", keys=keys))
    assert (await run("list"))[1] == "ID  KEY    NOTES\n1   key-1  2 keys\n"


async def test_the_list_has_the_apps_of_all_pages(run: Run, registry: AppRegistry) -> None:
    for number in range(250):
        await put(registry, f"{number:03}")
    _, out, _ = await run("list", "--json")
    assert [app["id"] for app in json.loads(out)] == [f"{number:03}" for number in range(250)]
    assert SECRET not in out


async def test_a_new_app_is_printed_with_its_secret(run: Run, registry: AppRegistry) -> None:
    code, out, err = await run(
        "add", "--id", "n", "client_events=yes", "allowed_origins=https://a.example,http://b.example"
    )
    app = await entry(registry, "n")
    secret = app.keys[0].secret
    assert (code, out, err) == (0, f"id: n\nkey: {app.key}\nsecret: {secret}\nThe secret is not shown again.\n", "")
    assert (app.client_events, app.max_connections) == (True, 3)
    assert app.allowed_origins == ("https://a.example", "http://b.example")


async def test_an_app_follows_later_changes_of_the_defaults(run: Run, registry: AppRegistry, config: Path) -> None:
    await run("add", "--id", "n", "max_event_batch_size=4")
    defaults = {"max_connections": 8, "max_event_batch_size": 8}
    later = registry_of(replace(load(str(config), {}, {}), app_defaults=defaults))
    await later.start(lambda _: None)
    app = await entry(later, "n")
    await later.stop()
    assert (app.max_connections, app.max_event_batch_size) == (8, 4)


async def test_a_new_app_may_have_a_given_key_and_secret(run: Run, registry: AppRegistry, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    code, out, _ = await run("add", "--id", "n", "--key", "k", "--secret-file", str(tmp_path / "secret"), "--json")
    assert (code, json.loads(out)["keys"]) == (0, [{"key": "k", "secret": SECRET, "ends_at": None}])
    assert (await entry(registry, "n")).keys == (Key("k", SECRET),)


async def test_a_secret_that_the_caller_knows_is_not_printed(run: Run, registry: AppRegistry, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    given = ("--secret-file", str(tmp_path / "secret"))
    assert await run("add", "--id", "n", "--key", "k", *given) == (0, "id: n\nkey: k\n", "")
    older = "older key: k (works until it is removed)\n"
    assert await run("rotate", "n", "--key", "l", *given) == (0, f"id: n\nkey: l\n{older}", "")
    assert [key.secret for key in (await entry(registry, "n")).keys] == [SECRET, SECRET]


async def test_defaults_are_marked(run: Run, registry: AppRegistry) -> None:
    await run("add", "--id", "1", "max_connections=3", "watchlists=false")
    out = (await run("show", "1"))[1]
    assert re.search(r"^max_connections +3$", out, re.M)
    assert re.search(r"^watchlists +false$", out, re.M)
    assert re.search(r"^client_events +false \(default\)$", out, re.M)
    assert "defaults" not in out
    assert "client_events" in json.loads((await run("show", "1", "--json"))[1])["defaults"]


async def test_an_ended_key_is_shown_as_ended(run: Run, registry: AppRegistry) -> None:
    await registry.add(App(id="1", keys=(Key("key-1", SECRET), Key("old", SECRET, 1.0))))
    assert re.search(r"^key +old \(ended 1970-01-01T00:00:01Z\)$", (await run("show", "1"))[1], re.M)


async def test_a_removal_prints_json(run: Run, registry: AppRegistry) -> None:
    await registry.add(App(id="1", keys=(Key("key-1", SECRET), Key("old", SECRET))))
    code, out, _ = await run("remove", "1", "--key", "old", "--yes", "--json")
    assert (code, json.loads(out)["keys"]) == (0, [{"key": "key-1", "ends_at": None}])
    assert await run("remove", "1", "--yes", "--json") == (0, "null\n", "")


async def test_an_app_is_shown_without_secrets(run: Run, registry: AppRegistry, tmp_path: Path) -> None:
    await put(registry)
    (tmp_path / "hooks.json").write_text(json.dumps([HOOK]))
    assert (await run("set", "1", f"webhooks=@{tmp_path / 'hooks.json'}"))[0] == 0
    code, out, _ = await run("show", "1")
    assert code == 0
    assert re.search(r"^key +key-1$", out, re.M)
    assert re.search(r"^max_connections +null$", out, re.M)
    assert re.search(r'^webhook +{"url": "https://hooks.example/x", .*"headers": {"X-Token": null}}$', out, re.M)
    assert SECRET not in out
    assert (await entry(registry, "1")).webhooks[0].headers == {"X-Token": SECRET}


async def test_fields_are_changed(run: Run, registry: AppRegistry) -> None:
    await put(registry, client_events=True)
    code, out, _ = await run(
        "set", "1", "max_connections=5", "max_event_payload_in_kb=0.5", "client_events=off", "--json"
    )
    app = await entry(registry, "1")
    assert (code, app.max_connections, app.max_event_payload_in_kb, app.client_events) == (0, 5, 0.5, False)
    assert json.loads(out)["max_connections"] == 5
    await run("set", "1", "max_connections=null")
    assert (await entry(registry, "1")).max_connections is None


async def test_fields_go_back_to_the_defaults(run: Run, registry: AppRegistry) -> None:
    await put(registry, max_connections=50, client_events=True, watchlists=False)
    code, out, _ = await run("set", "1", "max_connections=default", "watchlists=Default", "client_events=off", "--json")
    app = await entry(registry, "1")
    assert (code, app.max_connections, app.watchlists, app.client_events) == (0, 3, True, False)
    assert json.loads(out)["max_connections"] == 3


async def test_a_value_that_is_a_default_is_stored(run: Run, registry: AppRegistry, config: Path) -> None:
    await run("add", "--id", "added", "max_connections=3", "client_events=false")
    await run("add", "--id", "changed")
    await run("set", "changed", "max_connections=3", "client_events=false")
    later = registry_of(replace(load(str(config), {}, {}), app_defaults={"max_connections": 8, "client_events": True}))
    await later.start(lambda _: None)
    found = [await entry(later, app_id) for app_id in ("added", "changed")]
    await later.stop()
    assert [(app.max_connections, app.client_events) for app in found] == [(3, False)] * 2


async def test_a_change_that_could_not_be_read_again_is_refused(
    run: Run, registry: AppRegistry, tmp_path: Path
) -> None:
    before = await put(registry)
    hooks = [{"url": f"https://a.example/{at}", "event_types": ["member_added"]} for at in range(101)]
    (tmp_path / "hooks.json").write_text(json.dumps(hooks))
    code, out, err = await run("set", "1", f"webhooks=@{tmp_path / 'hooks.json'}")
    assert (code, out, err) == (2, "", "soketpy apps: error: webhooks: must have at most 100 items\n")
    assert await entry(registry, "1") == before


@pytest.mark.parametrize("value", ["", "null", "[]"])
async def test_a_list_is_emptied(run: Run, registry: AppRegistry, value: str) -> None:
    await put(registry, allowed_origins=("https://a.example",))
    assert (await run("set", "1", f"allowed_origins={value}"))[0] == 0
    assert (await entry(registry, "1")).allowed_origins == ()


async def test_the_history_of_an_app_is_set_shown_and_removed(run: Run, registry: AppRegistry, tmp_path: Path) -> None:
    added = await run("add", "--id", "added", 'history=[{"channels":"news"}]', "--json")
    assert json.loads(added[1])["history"] == [{"channels": "news"}]
    await put(registry)
    (tmp_path / "history.json").write_text('[{"channels": "room-*", "events": 50}, {"channels": "news"}]')
    assert (await run("set", "1", f"history=@{tmp_path / 'history.json'}"))[0] == 0
    rules = (HistoryRule(channels="room-*", events=50), HistoryRule(channels="news"))
    assert (await entry(registry, "1")).history == rules
    _, out, _ = await run("show", "1")
    assert re.findall(r"^history +(.*)$", out, re.M) == ['{"channels": "room-*", "events": 50}', '{"channels": "news"}']
    _, out, _ = await run("list")
    assert re.search(r"^1 .*\bhistory$", out, re.M)
    assert (await run("set", "1", "history=null"))[0] == 0
    assert (await entry(registry, "1")).history == ()


async def test_webhooks_are_removed_with_null(run: Run, registry: AppRegistry) -> None:
    await put(registry, webhooks=(Webhook(url="https://a.example", event_types=("member_added",)),))
    assert (await run("set", "1", "webhooks=null"))[0] == 0
    assert (await entry(registry, "1")).webhooks == ()


async def test_an_app_is_disabled_and_enabled(run: Run, registry: AppRegistry) -> None:
    await put(registry)
    assert await run("disable", "1") == (0, "Disabled the app 1.\n", "")
    assert not (await entry(registry, "1")).enabled
    code, out, _ = await run("enable", "1", "--json")
    assert (code, json.loads(out)["enabled"]) == (0, True)
    assert (await entry(registry, "1")).enabled


async def test_the_older_key_stays_after_a_rotation(run: Run, registry: AppRegistry) -> None:
    await put(registry)
    code, out, _ = await run("rotate", "1")
    new, old = (await entry(registry, "1")).keys
    assert (code, old) == (0, Key("key-1", SECRET))
    older = "older key: key-1 (works until it is removed)"
    assert out == f"id: 1\nkey: {new.key}\nsecret: {new.secret}\n{older}\nThe secret is not shown again.\n"
    assert (await run("list"))[1] == f"ID  KEY{' ' * 17}  NOTES\n1   {new.key}  2 keys\n"


@pytest.mark.parametrize("end", [("--ends-in", "7d"), ("--ends-at", "2999-12-31")])
async def test_the_older_key_ends_at_the_given_time(run: Run, registry: AppRegistry, end: tuple[str, str]) -> None:
    await put(registry)
    code, out, _ = await run("rotate", "1", *end)
    assert code == 0
    assert re.search(r"^older key: key-1 \(ends 2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)$", out, re.M)
    ends_at = (await entry(registry, "1")).keys[1].ends_at
    assert ends_at is not None
    assert re.search(r"^key +key-1 \(ends 2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)$", (await run("show", "1"))[1], re.M)


async def test_the_older_key_is_removed_now(run: Run, registry: AppRegistry) -> None:
    await put(registry)
    assert (await run("rotate", "1", "--ends-in", "0"))[0] == 0
    [key] = (await entry(registry, "1")).keys
    assert key.key != "key-1"


async def test_a_key_is_removed(run: Run, registry: AppRegistry) -> None:
    await put(registry)
    await run("rotate", "1", "--key", "new")
    assert await run("remove", "1", "--key", "key-1", "--yes") == (0, "Removed the key key-1 of the app 1.\n", "")
    assert [key.key for key in (await entry(registry, "1")).keys] == ["new"]


async def test_an_app_is_removed(run: Run, registry: AppRegistry) -> None:
    await put(registry, "a&b")
    assert await run("remove", "a&b", "--yes") == (0, "Removed the app a&b.\n", "")
    assert not await registry.fetch(["a&b"], [])


def insert_broken(file: Path) -> None:
    """Add an entry with an empty id."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO apps (id, \"key\", secret) VALUES ('', 'k', 's')")


async def test_a_broken_entry_with_an_empty_id_is_removed(run: Run, registry: AppRegistry, tmp_path: Path) -> None:
    insert_broken(tmp_path / "apps.db")
    assert (await run("list"))[1] == "ID  KEY  NOTES\n''  k    not valid: id: missing\n"
    assert await run("remove", "", "--yes") == (0, "Removed the app ''.\n", "")
    assert not await registry.page()


REFUSED = [
    (("show", "none"), 1, "none"),
    (("set", "none", "enabled=true"), 1, "none"),
    (("remove", "none", "--yes"), 1, "none"),
    (("remove", "1", "--key", "none", "--yes"), 1, "the app does not have this key"),
    (("remove", "1", "--key", "key-1", "--yes"), 1, "no other key of the app stays: rotate the keys first"),
    (("add", "--id", "1"), 1, "1"),
    (("add", "--id", "a/b"), 2, " --id: must be text of "),
    (("add", "--key", "a:b"), 2, " --key: must be text of "),
    (
        ("set", "1", "max_connections=x"),
        2,
        "must be a whole number of 1 or more, or null for no limit, not 'x'",
    ),
    (("set", "1", "max_conections=1"), 2, "max_conections: no such field; did you mean max_connections?"),
    (("set", "1", "enabled='true'"), 2, "enabled: remove the quotes"),
    (("set", "1", "id=x"), 2, "id: the id of an app never changes"),
    (("set", "1", "key=x"), 2, "key: does not change this way: add a new key with `soketpy apps rotate`"),
    (("set", "1", "secret=x"), 2, "secret: does not change this way: add a new key with `soketpy apps rotate`"),
    (("set", "1", "keys=x"), 2, "keys: does not change this way: add a new key with `soketpy apps rotate`"),
    (("add", "id=x"), 2, "id: give --id"),
    (("add", "secret=x"), 2, "secret: give --secret-file"),
    (("set", "1", "enabled"), 2, "'enabled': write NAME=VALUE"),
    (("set", "1", "enabled=1", "enabled=0"), 2, "enabled: given twice"),
    (("set", "1", "webhooks=x"), 2, "webhooks: must be JSON, or @ and the name of a file with JSON"),
    (("set", "1", "webhooks=@none.json"), 2, "webhooks: none.json cannot be read: No such file or directory"),
    (("set", "1", 'history=[{"channels":"a","event":1}]'), 2, "history[0].event: no such setting of history; did you"),
    (("set", "1", 'history=[{"channels":"a*b*"}]'), 2, "history[0].channels: 'a*b*' may contain one * at most"),
    (("set", "1", "webhooks=[{}]"), 2, "webhooks[0]: must have a url or a lambda_function"),
    (("rotate", "1", "--ends-at", "2001-01-01"), 2, "--ends-at: 2001-01-01 is in the past; give --ends-in 0 "),
    (("rotate", "1", "--ends-in", "99999d"), 2, " --ends-in: must be "),
    (("rotate", "1", "--ends-at", "x"), 2, "--ends-at: must be a date"),
    (("rotate", "1", "--ends-in", "7"), 2, "--ends-in: must be a time such as 7d"),
    (("rotate", "1", "--secret-file", "x"), 2, "--secret-file has no effect without --key"),
    (("rotate", "1", "--key", "k", "--secret-file", "no"), 2, "--secret-file: no cannot be read: No such file"),
]


@pytest.mark.parametrize(("argv", "expected", "problem"), REFUSED, ids=lambda value: str(value)[:40])
async def test_a_mistake_or_a_failure_is_one_line(
    run: Run, registry: AppRegistry, argv: tuple[str, ...], expected: int, problem: str
) -> None:
    app = await put(registry)
    code, out, err = await run(*argv)
    assert (code, out, err.count("\n")) == (expected, "", 1)
    assert err.startswith("soketpy apps: error: " if expected == 2 else "soketpy apps: ")
    assert problem in err
    assert list(await registry.page()) == [app]


# Confirmation


async def test_a_removal_without_a_terminal_needs_yes(run: Run, registry: AppRegistry) -> None:
    await put(registry)
    code, _, err = await run("remove", "1")
    assert (code, err) == (
        2,
        "soketpy apps: error: removing the app 1 needs a confirmation: run the command on a terminal, or give --yes\n",
    )
    assert await registry.fetch(["1"], [])


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """Let standard input be a terminal. Return what types on it."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours, "wb", buffering=0) as keyboard:
        monkeypatch.setattr("sys.stdin", terminal)
        yield keyboard


@pytest.mark.parametrize(("answer", "code"), [(b"y", 0), (b"YES", 0), (b"n", 1), (b"", 1)])
async def test_a_removal_on_a_terminal_asks(
    run: Run, registry: AppRegistry, keyboard: BinaryIO, answer: bytes, code: int
) -> None:
    await put(registry)
    keyboard.write(answer + b"\n")
    found, _, err = await run("remove", "1")
    assert found == code
    assert "Remove the app 1 and close its clients? [y/N] " in err
    assert bool(await registry.fetch(["1"], [])) is (code == 1)


# Where the apps are


def test_apps_of_the_configuration_cannot_be_changed_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "soketpy.yaml"
    file.write_text("registry: {driver: config}\n")
    assert main(("apps", "list", "--config", str(file))) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"soketpy apps: error: {file}:1: registry.driver: ")
    assert "the apps are in the configuration" in err


@pytest.mark.parametrize("form", ["list", "init"])
def test_a_database_that_cannot_be_used_is_a_failure(local: Local, config: Path, tmp_path: Path, form: str) -> None:
    config.write_text(
        json.dumps({"registry": {"driver": "sqlite"}, "sqlite": {"path": str(tmp_path / "none/apps.db")}})
    )
    code, out, err = local(form)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("soketpy apps: ")
    assert "there is no directory" in err


def test_a_database_that_does_not_answer_is_a_failure(local: Local, tmp_path: Path) -> None:
    (tmp_path / "apps.db").write_bytes(b"not a database" * 1000)
    code, out, err = local("list")
    assert (code, out, err) == (
        1,
        "",
        "soketpy apps: the database of the apps cannot be used: SQLite: file is not a database\n",
    )


def test_the_tables_are_created_once(local: Local) -> None:
    code, out, err = local("init")
    assert (code, err) == (0, "")
    assert out != "There was nothing to do.\n"
    assert local("init") == (0, "There was nothing to do.\n", "")
    assert local("list") == (0, "There are no apps.\n", "")


def test_a_table_of_others_is_no_table_that_soketpy_can_change(local: Local, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "apps.db")) as database, database:
        database.execute('CREATE TABLE apps (id TEXT, "key" TEXT, secret TEXT)')
    code, out, err = local("init")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(
        'soketpy apps: the table apps was not created by "soketpy apps init": soketpy only reads it; '
    )
    assert "set another registry.table, run this command again, and copy the apps: see docs/apps.md" in err


# Values


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 604_800), ("12h", 43_200), ("30m", 1800), ("90s", 90), ("0", 0), ("0d", 0)]
)
def test_a_duration_has_a_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["1970-01-02", "1970-01-02T00:00", "1970-01-02T00:00Z", "1970-01-02T02:00+02:00", "19700102"]
)
def test_a_date_without_a_zone_is_in_utc(text: str) -> None:
    assert time_of(text) == 86_400


@pytest.mark.parametrize("text", ["", "2026-13-01", "1767225600", "\u0664"])
def test_a_wrong_date_is_a_mistake(text: str) -> None:
    with pytest.raises(Mistake, match="--ends-at: must be a date"):
        time_of(text)


def test_deeply_nested_webhooks_are_a_mistake() -> None:
    with pytest.raises(Mistake, match="webhooks: "):
        fields_of(["webhooks=" + "[" * 100_000], NEW)


def test_bad_json_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "hooks.json").write_text("[{")
    with pytest.raises(Mistake, match=r"webhooks: .*hooks\.json: must be JSON: Expecting"):
        fields_of([f"webhooks=@{tmp_path / 'hooks.json'}"], NEW)
