"""The signals and the log of ``soketpy start``, in a separate process."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets
from yarl import URL

from soketpy import App, Key
from soketpy.process.signals import Signals
from soketpy.protocol import signatures
from tests.conftest import Socket
from tests.patience import UNHURRIED, until
from tests.slices.sitecustomize import environment
from tests.web.wire import HANDSHAKE, PATIENCE, Wire, request, wire

APP = App(id="one", keys=(Key("one-key", "one-top-secret"),))
OTHER = App(id="two", keys=(Key("two-key", "two-top-secret"),))

LONG_CLOSING = {"soketpy.web.websocket.CLOSING_TIMEOUT": 10 * PATIENCE}
"""Lengthens the wait for the answer to a close, so that no test runs into it."""

Met = asyncio.Queue[asyncio.StreamReader]


def configuration(*apps: App, shutdown: float = 0.1, **limits: object) -> str:
    rows = [{"id": app.id, "key": app.key, "secret": app.keys[0].secret, **limits} for app in apps]
    return json.dumps({"host": "127.0.0.1", "port": 0, "timeouts": {"shutdown": shutdown}, "apps": rows})


def over_redis(path: Path) -> str:
    redis = {"unix_socket": str(path), "start_timeout": 600}
    return json.dumps({**json.loads(configuration(APP)), "cluster": "redis", "redis": redis})


class Process:
    """A running ``soketpy start`` and its log so far."""

    def __init__(self, process: asyncio.subprocess.Process, config: Path, stack: AsyncExitStack) -> None:
        self.port = 0
        self.log = ""
        self.config = config
        self._process = process
        self._stack = stack

    async def logged(self, pattern: str) -> re.Match[str]:
        """Wait for a log line after the last line that was waited for."""
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self._process.stderr.readline()).decode():
                self.log += line
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"{pattern} was not logged:\n{self.log}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def exit_code(self) -> int:
        """Wait until the process has ended."""
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            self.log += (await self._process.stderr.read()).decode()
            return await self._process.wait()

    async def socket(self, key: str) -> Socket:
        url = f"ws://127.0.0.1:{self.port}/app/{key}"
        return Socket(await self._stack.enter_async_context(websockets.connect(url, **UNHURRIED)))

    async def trigger(self, app: App, channel: str, event: str) -> int:
        """Trigger an event; return the status."""
        body = json.dumps({"name": event, "channel": channel, "data": "x"}).encode()
        path = f"/apps/{app.id}/events"
        query = signatures.signed_query(app.key, app.keys[0].secret, "POST", path, body, int(time.time()))
        url = URL(f"http://127.0.0.1:{self.port}{path}?{query}", encoded=True)
        async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
            return response.status


StartProcess = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start_process(tmp_path: Path) -> AsyncIterator[StartProcess]:
    """Start ``soketpy start`` with a configuration file. By default, wait until it listens."""
    async with AsyncExitStack() as stack:

        async def start(
            content: str, *arguments: str, listens: bool = True, name: str = "soketpy.json", **env: str
        ) -> Process:
            config = tmp_path / name
            config.write_text(content)
            command = (sys.executable, "-m", "soketpy", "start", "--config", str(config), *arguments)
            process = await asyncio.create_subprocess_exec(
                *command, stderr=asyncio.subprocess.PIPE, env={**os.environ, **env}, cwd=config.parent
            )

            async def end() -> None:
                if process.returncode is None:
                    process.kill()
                await process.wait()
                process._transport.close()  # type: ignore[attr-defined]  # its pipe, which a child may hold open

            stack.push_async_callback(end)
            running = Process(process, config, stack)
            if listens:
                running.port = int((await running.logged(r"Listening on (?:http://)?127\.0\.0\.1:(\d+) with"))[1])
            return running

        yield start


@pytest.fixture
async def met(tmp_path: Path) -> AsyncIterator[Met]:
    """Listen on a Unix socket, ``mute.sock``, and never answer. Yield the connections."""
    met: Met = asyncio.Queue()
    writers = []

    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        met.put_nowait(reader)

    async with await asyncio.start_unix_server(come, tmp_path / "mute.sock"):
        yield met
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_a_signal_to_stop_ends_a_server_that_waits_for_redis_with_0(
    start_process: StartProcess, met: Met, tmp_path: Path, number: signal.Signals, arguments: tuple[str, ...]
) -> None:
    process = await start_process(over_redis(tmp_path / "mute.sock"), *arguments, listens=False)
    waiting = [await met.get() for _ in range(2 if arguments else 1)]
    process.signal(number)
    assert await process.exit_code() == 0  # and nobody holds its log any more
    for each in waiting:
        await each.read()
    assert "Stopping before the start was complete\n" in process.log
    assert process.log.endswith(": Stopped\n")
    assert "ERROR" not in process.log
    assert "Traceback" not in process.log


MUTE_REDIS = """\
#!{python}
import signal, socket
with socket.socket(socket.AF_UNIX) as test:
    test.connect("{path}")
    signal.pause()
"""


def private_folders(parent: Path) -> list[Path]:
    return list(parent.glob("soketpy-*"))


async def test_a_signal_to_stop_ends_workers_that_wait_for_their_own_redis_and_that_redis_too(
    start_process: StartProcess, met: Met, tmp_path: Path
) -> None:
    program = tmp_path / "redis-server"
    program.write_text(MUTE_REDIS.format(python=sys.executable, path=tmp_path / "mute.sock"))
    program.chmod(0o700)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    process = await start_process(configuration(APP), "--workers", "2", listens=False, **environment)
    redis = await met.get()
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0
    assert await redis.read() == b""
    assert process.log.endswith(": Stopped\n")
    assert not private_folders(tmp_path)


async def test_no_signal_kills_a_server_that_waits_for_redis(
    start_process: StartProcess, met: Met, tmp_path: Path
) -> None:
    process = await start_process(over_redis(tmp_path / "mute.sock"), listens=False)
    await met.get()
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM):
        process.signal(number)
    assert await process.exit_code() == 0


async def test_signals_during_the_start_take_effect_once_the_server_serves() -> None:
    signals, done = Signals(), list[str]()

    async def starting() -> str:
        signal.raise_signal(signal.SIGHUP)
        await until(lambda: signals._early)
        return "started"

    try:
        assert await signals.unless_stopped(starting()) == "started"
        signals.obey(reload=lambda: done.append("reload"), renew=lambda: done.append("renew"))
        assert done == ["reload"]
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_stop_closes_the_clients_with_4200_and_exits_0(
    start_process: StartProcess, number: signal.Signals
) -> None:
    process = await start_process(configuration(APP))
    clients = [await process.socket(APP.key) for _ in range(5)]
    for client in clients:
        assert (await client.hear())["event"] == "pusher:connection_established"
    process.signal(number)
    assert {(await client.closed())[0] for client in clients} == {4200}
    assert await process.exit_code() == 0
    assert "Stopping: closing 5 connections within 0.1 s" in process.log
    assert process.log.rstrip().endswith("soketpy: Stopped")
    assert "Traceback" not in process.log


async def silent_until_the_stop(process: Process, client: Wire) -> None:
    """Connect a client that sends nothing, and stop the server."""
    client.send(request("GET", "/app/one-key", b"", *HANDSHAKE))
    assert (await client.answer()).status == 101
    assert b"connection_established" in await client.frame()
    process.signal(signal.SIGTERM)
    assert b'"code":4200' in await client.frame()


async def test_a_client_that_never_answers_the_close_does_not_hold_the_process(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP, shutdown=0))
    async with wire(process.port) as silent:
        await silent_until_the_stop(process, silent)
        assert await process.exit_code() == 0
        assert b"\x10\x68The server is stopping; please reconnect." in await silent.rest()


async def test_a_server_that_waits_for_a_client_to_answer_the_close_sends_others_away(
    start_process: StartProcess,
) -> None:
    process = await start_process(configuration(APP, shutdown=0), **environment(LONG_CLOSING))
    async with wire(process.port) as silent:
        await silent_until_the_stop(process, silent)
        async with wire(process.port) as probe:
            probe.send(request("GET", "/ready"))
            assert (await probe.answer()).status == 503
        late = await process.socket(APP.key)
        assert (await late.closed())[0] == 4100
    assert await process.exit_code() == 0


async def test_sighup_reloads_apps_and_limits_and_keeps_all_clients(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP))
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    assert (await (await process.socket(OTHER.key)).closed())[0] == 4001
    process.config.write_text(configuration(APP, OTHER, max_connections=1))
    process.signal(signal.SIGHUP)
    await process.logged("Reloaded the configuration: 2 apps")
    assert (await (await process.socket(OTHER.key)).hear())["event"] == "pusher:connection_established"
    assert (await (await process.socket(APP.key)).closed())[0] == 4004
    assert await process.trigger(APP, "room", "still here") == 200
    assert (await client.hear())["event"] == "still here"


async def test_the_json_line_about_changes_has_the_names(start_process: StartProcess) -> None:
    given = {**json.loads(configuration(APP)), "log": {"format": "json"}}
    process = await start_process(json.dumps(given))
    apps = json.loads(configuration(OTHER))["apps"]
    process.config.write_text(json.dumps({**given, "apps": apps, "redis": {"password": "top-secret"}}))
    process.signal(signal.SIGHUP)
    await process.logged("configuration_changed")
    fields = json.loads(process.log.splitlines()[-1])
    assert {name: fields.get(name) for name in ("added", "removed", "changed", "settings", "count")} == {
        "added": ["two"],
        "removed": ["one"],
        "changed": None,
        "settings": ["redis.password"],
        "count": 3,
    }
    assert "top-secret" not in process.log


async def test_sighup_names_the_settings_that_wait_for_a_restart_without_their_values(
    start_process: StartProcess,
) -> None:
    process = await start_process(configuration(APP))
    settings = json.loads(configuration(APP, OTHER))
    process.config.write_text(json.dumps({**settings, "workers": 2, "redis": {"password": "top-secret"}}))
    process.signal(signal.SIGHUP)
    await process.logged("Reloaded the configuration: 2 apps; workers, redis.password wait for a restart$")
    await process.logged("Changes in the configuration: apps added: two; settings changed: workers, redis.password$")
    process.config.write_text(json.dumps({**settings, "cache_ttl": 1}))
    process.signal(signal.SIGHUP)
    await process.logged("Reloaded the configuration: 2 apps; cache_ttl waits for a restart$")
    process.config.write_text(json.dumps(settings))
    process.signal(signal.SIGHUP)
    await process.logged("Reloaded the configuration: 2 apps$")
    await process.logged("Changes in the configuration: settings changed: cache_ttl$")
    process.signal(signal.SIGHUP)
    await process.logged("Nothing has changed in the configuration$")
    assert "top-secret" not in process.log


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[:-1], r"soketpy\.json"),
        (lambda text: text.replace('"port"', '"prot"'), r"soketpy\.json.*prot"),
        (lambda text: text.replace("two-key", "one-key"), "already given"),
        (lambda text: None, r"soketpy\.json: cannot be read"),
    ],
    ids=["not JSON", "unknown setting", "a key twice", "gone"],
)
async def test_sighup_with_a_broken_file_keeps_the_old_apps_and_says_why(
    start_process: StartProcess, spoil: Callable[[str], str | None], why: str
) -> None:
    process = await start_process(configuration(APP))
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    content = spoil(configuration(APP, OTHER))
    if content is None:
        process.config.unlink()
    else:
        process.config.write_text(content)
    process.signal(signal.SIGHUP)
    await process.logged("ERROR.*Kept the old configuration, because the new one is invalid: .*" + why)
    assert await process.trigger(APP, "room", "still here") == 200
    assert (await client.hear())["event"] == "still here"
    process.config.write_text(configuration(APP, OTHER))
    process.signal(signal.SIGHUP)
    await process.logged("Reloaded the configuration: 2 apps")
    assert await process.trigger(OTHER, "room", "e") == 200
    assert "Traceback" not in process.log


async def test_a_configuration_from_a_pipe_is_read_once_and_sighup_keeps_it(
    start_process: StartProcess, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    starting = asyncio.ensure_future(start_process("", "--hint", "--config", str(pipe)))
    await asyncio.to_thread(pipe.write_text, configuration(APP))  # as a shell does for <(command)
    process = await starting
    process.signal(signal.SIGHUP)
    await process.logged(r"ERROR.*Kept the old configuration.*pipe: is not a file, so it cannot be read again")
    assert await process.trigger(APP, "room", "still here") == 200


async def test_sighup_before_the_handlers_exist_does_not_end_the_process(
    start_process: StartProcess, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = await start_process("", "--config", str(pipe), listens=False)
    with await asyncio.to_thread(pipe.open, "w") as given:  # waits until the process reads its configuration
        process.signal(signal.SIGHUP)
        given.write(configuration(APP))
    await process.logged("Listening on ")
    await process.logged("Kept the old configuration.*pipe: is not a file")
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0


NO_APPS = [
    ("soketpy.yaml", ""),
    ("soketpy.yaml", "# all is gone\n"),
    ("soketpy.json", "{}"),
    ("soketpy.json", '{"port": 0}'),
    ("soketpy.json", '{"port": 0, "apps": []}'),
]


@pytest.mark.parametrize(("name", "content"), NO_APPS)
async def test_sighup_with_a_file_that_has_no_apps_any_more_keeps_the_old_apps_and_says_why(
    start_process: StartProcess, name: str, content: str
) -> None:
    limits = {} if "apps" in content else {"SOKETPY_APP_MAX_CONNECTIONS": "50"}
    process = await start_process(configuration(APP), name=name, **limits)
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    process.config.write_text(content)
    process.signal(signal.SIGHUP)
    why = f"{re.escape(name)}: has no apps any more, and all clients would be closed$"
    await process.logged(f"ERROR.*Kept the old configuration, because the new one is invalid: .*{why}")
    assert await process.trigger(APP, "room", "still here") == 200
    assert (await client.hear())["event"] == "still here"


async def test_sighup_accepts_a_file_without_apps_if_it_had_none_before(start_process: StartProcess) -> None:
    content = json.dumps({"host": "127.0.0.1", "port": 0})
    process = await start_process(content, SOKETPY_APP_ID="one", SOKETPY_APP_KEY="one-key")
    process.signal(signal.SIGHUP)
    await process.logged("Reloaded the configuration: 1 app$")


async def test_sighup_says_how_many_clients_are_closed(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP, OTHER))
    clients = [await process.socket(app.key) for app in (APP, OTHER, OTHER)]
    for client in clients:
        await client.hear()
    process.config.write_text(configuration(APP))
    process.signal(signal.SIGHUP)
    why = "of removed or disabled apps and of removed keys"
    await process.logged(f"Reloaded the configuration: 1 app; closing 2 clients {why}$")
    assert [(await client.closed())[0] for client in clients[1:]] == [4001, 4001]


async def test_sighup_says_of_workers_how_many_clients_are_closed(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP, OTHER), "--workers", "2")
    client = await process.socket(OTHER.key)
    await client.hear()
    process.config.write_text(configuration(APP))
    process.signal(signal.SIGHUP)
    why = "of removed or disabled apps and of removed keys"
    await process.logged(f"soketpy.worker: Applied the new apps: closing 1 client {why}$")
    assert (await client.closed())[0] == 4001


async def test_sighup_logs_the_warnings_that_are_new(start_process: StartProcess) -> None:
    settings = {**json.loads(configuration(APP)), "redis": {"host": "redis-1"}}
    process = await start_process(json.dumps(settings))
    settings["metrics"] = {"port": 9000}
    settings["apps"].append({"id": "two", "key": "two-key", "secret": "app-secret"})
    for _ in range(2):
        process.config.write_text(json.dumps(settings))
        process.signal(signal.SIGHUP)
        await process.logged("Reloaded the configuration: 2 apps; metrics.port waits for a restart$")
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0
    for said in (
        "redis.host: has no effect while cluster is local",
        "metrics.port: has no effect while metrics.enabled is false",
        "The default secret is publicly known: use it on your own machine only (app two)",
    ):
        assert process.log.count(said) == 1


async def test_sigusr2_is_only_a_line_in_the_log_of_a_single_process(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP))
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    process.signal(signal.SIGUSR2)
    await process.logged("WARNING.*SIGUSR2 renews workers, and this server has only one process: restart it instead")
    assert await process.trigger(APP, "room", "still here") == 200
    assert (await client.hear())["event"] == "still here"


async def test_nothing_secret_is_logged_even_when_everything_is(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP), "--debug")
    client = await process.socket(APP.key)
    client.id = (await client.hear())["data"]["socket_id"]
    auth = signatures.sign("one-top-secret", signatures.channel_text(client.id, "private-a", None))
    for given in (f"one-key:{auth}", "one-key:wrong"):
        await client.say("pusher:subscribe", {"channel": "private-a", "auth": given})
        await client.hear()
        await client.say("pusher:unsubscribe", {"channel": "private-a"})
    await process.trigger(APP, "private-a", "e")
    await process.trigger(App(id="one", keys=(Key("one-key", "wrong"),)), "private-a", "e")
    assert (await (await process.socket("nobody")).closed())[0] == 4001
    process.config.write_text(configuration(APP, App(id="three", keys=(Key("one-key", "three-top-secret"),))))
    process.signal(signal.SIGHUP)
    await process.logged("Kept the old configuration")
    process.signal(signal.SIGTERM)
    await client.closed()
    assert await process.exit_code() == 0
    assert process.log.count("No app: refused a connection from 127.0.0.1: 4001 App key nobody does not exist.") == 1
    assert process.log.count("Listening on") == 1
    assert "top-secret" not in process.log
    assert not re.search("[0-9a-f]{64}", process.log)


async def test_the_log_may_be_json_a_line(start_process: StartProcess) -> None:
    settings: dict[str, Any] = json.loads(configuration(APP))
    process = await start_process(json.dumps({**settings, "log": {"format": "json", "access": True}}))
    assert await process.trigger(APP, "room", "e") == 200
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0
    lines = [json.loads(line) for line in process.log.splitlines()]
    messages = [line["message"] for line in lines]
    assert "Stopped" in messages
    assert any(message.startswith("POST /apps/one/events 200 2") for message in messages)
