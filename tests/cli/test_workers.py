"""``soketpy start --workers N``: several processes that act as one server, and leave no process behind."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from websockets import State

from soketpy import Settings
from soketpy.config import settings as config
from soketpy.process.listening import open_for_workers
from soketpy.process.workers import Workers
from tests.clients.programs import Launched, free_port
from tests.conftest import At, Socket, until
from tests.fakes import APP
from tests.patience import PATIENCE
from tests.process.test_listening import has_ipv6, ready
from tests.process.test_signals import LONG_CLOSING
from tests.receiver import answer_with, receiving
from tests.redis import LEASE, LONG_LEASE, SLOW_REDIS, Redis
from tests.slices.sitecustomize import environment
from tests.web.wire import HANDSHAKE, Wire, request, wire

pytestmark = pytest.mark.usefixtures("redis")  # where there is none these cannot run


START_TIMEOUT = 10
"""Seconds after which a worker that cannot reach Redis gives up. A worker that can reach it needs far less."""


class Together(Launched):
    """A server of several workers."""

    def __init__(self, folder: Path, workers: int = 2, env: dict[str, str] | None = None, **settings: Any) -> None:
        self.config = folder / "soketpy.json"
        self.settings = {
            "host": "127.0.0.1",
            "port": 0,
            "redis": {"lease": LONG_LEASE},
            "timeouts": {"shutdown": 0.2},
            "apps": [{"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "client_events": True}],
            **settings,
        }
        self.write()
        command = (sys.executable, "-m", "soketpy", "start", "--config", str(self.config), "--workers", str(workers))
        super().__init__(*command, ready="Listening on", env={**environment(SLOW_REDIS), **(env or {})})
        found = re.search(r"127\.0\.0\.1:(\d+)", self.greeting)
        self.port = int(found[1]) if found is not None else 0

    def write(self, **settings: Any) -> None:
        self.settings |= settings
        self.config.write_text(json.dumps(self.settings))

    async def written(self, text: str) -> str:
        """Wait until the server writes a line with this text. Return the output up to this line."""
        return "".join(await asyncio.to_thread(self.read_to, text))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def children(self, name: str) -> set[int]:
        """Return the processes that the server has started, by a word of their command line."""
        return {pid for pid in children_of(self.pid) if name in command_of(pid)}


def children_of(parent: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(") ")[2].split()[1]) == parent:
                found.add(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            pass
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


Start = Callable[..., Together]
Place = Callable[[Together], At]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server that ends with the test."""
    with ExitStack() as stack:
        yield lambda *args, **settings: stack.enter_context(Together(tmp_path, *args, **settings))


@pytest.fixture
async def workers(redis: str) -> AsyncIterator[Workers]:
    """Start two workers of this process."""
    meeting = config.Redis(unix_socket=redis, prefix=f"test-{uuid4()}", lease=LONG_LEASE)
    settings = Settings(
        host="127.0.0.1", port=0, apps=(APP,), cluster="redis", redis=meeting, timeouts=config.Timeouts(shutdown=0)
    )
    with ExitStack() as stack:
        workers = Workers(settings, [stack.enter_context(listener) for listener in await open_for_workers(settings, 2)])
        await workers.start()
        yield workers
        await workers.stop()


def own_workers() -> set[int]:
    return {pid for pid in children_of(os.getpid()) if "soketpy.process.worker" in command_of(pid)}


@pytest.fixture
async def at() -> AsyncIterator[Callable[[Together], At]]:
    async with AsyncExitStack() as stack:
        yield lambda server: At(server.port, stack)


async def members(peers: At, number: int) -> list[Socket]:
    """Connect clients to a room, one after the other, each as another user."""
    clients: list[Socket] = []
    for index in range(number):
        client = await peers.client()
        answer = await client.subscribe("presence-room", {"user_id": str(index)})
        assert answer["data"]["presence"]["count"] == index + 1
        for former in clients:
            assert (await former.hear())["event"] == "pusher_internal:member_added"
        clients.append(client)
    return clients


async def silent_clients(port: int, stack: AsyncExitStack, number: int) -> list[Wire]:
    """Connect WebSockets that get a greeting and then answer nothing, not even a close."""
    clients = []
    for _ in range(number):
        client = await stack.enter_async_context(wire(port))
        client.send(request("GET", f"/app/{APP.key}", b"", *HANDSHAKE))
        assert (await client.answer()).status == 101
        assert b"connection_established" in await client.frame()
        clients.append(client)
    return clients


async def test_workers_are_one_server(start: Start, at: Place) -> None:
    server = start(3, metrics={"enabled": True, "host": "127.0.0.1", "port": 0})
    assert len(server.children("soketpy.process.worker")) == 3
    peers = at(server)
    clients = await members(peers, 12)
    assert (await peers.trigger("presence-room", "said")).status == 200
    await clients[0].say("client-said", {}, channel="presence-room")
    for client in clients[1:]:
        assert [(await client.hear())["event"] for _ in range(2)] == ["said", "client-said"]
    assert (await peers.call("GET", "/channels/presence-room")).json["user_count"] == 12
    assert (await peers.request("GET", "/ready")).status == 200


async def test_a_worker_that_dies_is_replaced_and_its_members_are_removed(start: Start, at: Place) -> None:
    server = start(redis={"lease": LEASE})
    peers = at(server)
    clients = await members(peers, 16)
    before = server.children("soketpy.process.worker")
    doomed = before.pop()
    os.kill(doomed, signal.SIGKILL)

    async def cleared() -> bool:
        left = [client for client in clients if client.peer.state is State.OPEN]
        assert len(left) > 0
        reply = await peers.call("GET", "/channels/presence-room")
        return len(left) < len(clients) and bool(reply.json["user_count"] == len(left))

    await until(cleared)
    await until(lambda: len(server.children("soketpy.process.worker") - before) == 1)


async def test_the_log_tells_which_process_has_ended_and_which_came_in_its_place(start: Start) -> None:
    server = start()
    before = server.children("soketpy.process.worker")
    assert {int(pid) for pid in re.findall(r"A worker \(process (\d+)\) serves", server.preamble)} == before
    doomed = before.pop()
    os.kill(doomed, signal.SIGKILL)
    await server.written(f"A worker (process {doomed}) ended with exit code -9; starting another one")
    line = await server.written(" serves")
    [new] = server.children("soketpy.process.worker") - before
    assert f"A worker (process {new}) serves" in line


async def test_sighup_reads_the_apps_anew_in_every_worker(start: Start, at: Place) -> None:
    server = start()
    server.write(apps=[*server.settings["apps"], {"id": "new", "key": "new-key", "secret": "new-secret"}])
    server.signal(signal.SIGHUP)
    peers = at(server)

    async def known() -> bool:
        sockets = [await peers.socket("/app/new-key?protocol=7") for _ in range(10)]
        events = [(await socket.hear())["event"] for socket in sockets]
        return set(events) == {"pusher:connection_established"}

    await until(known)


async def test_sigusr2_renews_all_workers_and_no_connection_is_refused(start: Start, at: Place) -> None:
    server = start()
    peers = at(server)
    client = await peers.client()
    before = server.children("soketpy.process.worker")
    server.signal(signal.SIGUSR2)

    async def renewed() -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()
        now = server.children("soketpy.process.worker")
        return len(now) == 2 and not now & before

    await until(renewed)
    assert (await client.closed())[0] == 4200
    assert (await peers.request("GET", "/ready")).status == 200


async def test_a_client_that_connects_while_workers_are_renewed_is_answered(start: Start) -> None:
    server = start(timeouts={"shutdown": 0})
    before = server.children("soketpy.process.worker")
    statuses = Counter[int]()

    async def ask() -> None:
        async with wire(server.port) as client:
            await asyncio.sleep(0)
            client.send(request("GET", "/ready"))
            statuses[(await client.answer()).status] += 1

    server.signal(signal.SIGUSR2)
    async with asyncio.timeout(PATIENCE):
        while len(server.children("soketpy.process.worker")) != 2 or server.children("soketpy.process.worker") & before:
            await asyncio.gather(*(ask() for _ in range(8)))
    assert set(statuses) == {200}


async def test_who_comes_while_a_worker_drains_is_taken_by_the_new_one(start: Start, at: Place) -> None:
    server = start(env=environment(SLOW_REDIS | LONG_CLOSING | {"soketpy.process.workers.END_PATIENCE": 10 * PATIENCE}))
    before = server.children("soketpy.process.worker")
    async with AsyncExitStack() as stack:
        silent = await silent_clients(server.port, stack, 16)  # they hold a worker that drains, until they go
        server.signal(signal.SIGUSR2)
        told = [asyncio.create_task(client.frame()) for client in silent]
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        server.signal(signal.SIGSTOP)  # so that the other worker is not renewed at the same time
        try:
            peers = At(server.port, stack)
            for _ in range(40):
                await peers.client()
        finally:
            server.signal(signal.SIGCONT)
        for client, heard in zip(silent, told, strict=True):
            assert b'"code":4200' in await heard
            client.writer.transport.abort()
        await until(lambda: not server.children("soketpy.process.worker") & before)


async def test_sigusr2_while_workers_are_renewed_renews_all_once_more_and_they_are_as_many(start: Start) -> None:
    server = start()
    first = server.children("soketpy.process.worker")
    server.signal(signal.SIGUSR2)
    await until(lambda: server.children("soketpy.process.worker") - first)
    server.signal(signal.SIGUSR2)
    before = server.children("soketpy.process.worker")
    for _ in range(2):
        await server.written("Replaced all workers")
    await until(lambda: len(server.children("soketpy.process.worker")) == 2)  # the others have drained
    assert not server.children("soketpy.process.worker") & before


async def test_where_a_new_worker_cannot_serve_the_old_ones_stay_and_are_as_many(
    start: Start, at: Place, tmp_path: Path
) -> None:
    with Redis(tmp_path) as redis:
        server = start(cluster="redis", redis={"unix_socket": redis.socket, "start_timeout": START_TIMEOUT})
        before = server.children("soketpy.process.worker")
        redis.kill()
        server.signal(signal.SIGUSR2)
        written = await server.written("A new worker cannot serve")
        assert "starting another one" not in written
        assert server.children("soketpy.process.worker") == before
        await at(server).client()
        redis.start()
        server.signal(signal.SIGUSR2)
        await server.written("Replaced all workers")
        await until(lambda: len(server.children("soketpy.process.worker")) == 2)  # the others have drained
        assert not server.children("soketpy.process.worker") & before


async def test_a_worker_that_died_is_tried_again_until_it_can_serve(start: Start, at: Place, tmp_path: Path) -> None:
    with Redis(tmp_path) as redis:
        server = start(cluster="redis", redis={"unix_socket": redis.socket, "start_timeout": START_TIMEOUT})
        before = server.children("soketpy.process.worker")
        redis.kill()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        for _ in range(3):  # both, and one that was started since
            await server.written("starting another one")
        redis.start()
        await at(server).client()


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
async def test_nothing_is_left_behind(start: Start, at: Place, kill: bool) -> None:
    server = start()
    client = await at(server).client()
    left = server.children("soketpy.process.worker") | server.children("redis-server")
    assert len(left) == 3
    [redis] = server.children("redis-server")
    folder = Path(command_of(redis).partition("unixsocket:")[2].strip()).parent
    assert folder.exists()
    await asyncio.to_thread(server.end, kill)
    assert (await client.closed())[0] == 4200
    await until(lambda: not any(command_of(pid) for pid in left) and not folder.exists())


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "answers"),
    [("::", {"127.0.0.1", "::1"}), (["127.0.0.1", "::1"], {"127.0.0.1", "::1"}), ("0.0.0.0", {"127.0.0.1"})],
    ids=["both", "a list", "IPv4"],
)
async def test_workers_listen_on_every_address_and_go_on_when_they_are_renewed(
    start: Start, host: object, answers: set[str]
) -> None:
    server = start(host=host, metrics={"enabled": True, "host": host, "port": 0})
    port = int(server.greeting.partition("Listening on http://")[2].partition(" with")[0].rpartition(":")[2])
    assert {each for each in ("127.0.0.1", "::1") if await ready(each, port)} == answers
    server.signal(signal.SIGUSR2)
    await server.written("Replaced all workers")
    await until(lambda: len(server.children("soketpy.process.worker")) == 2)  # an old one may drop a request at its end
    assert {each for each in ("127.0.0.1", "::1") if await ready(each, port)} == answers


async def test_nobody_waits_for_workers_that_all_stop(workers: Workers) -> None:
    [port] = {listener.getsockname()[1] for listener in workers._listeners}
    async with AsyncExitStack() as stack:
        silent = await silent_clients(port, stack, 16)  # of both
        stopping = asyncio.create_task(workers.stop())
        for client in silent:
            await client.find(b"please reconnect.")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        for client in silent:
            client.writer.transport.abort()
        await stopping


async def test_a_worker_that_does_not_end_is_killed(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("soketpy.process.workers.END_PATIENCE", 0.5)
    stuck = own_workers().pop()
    os.kill(stuck, signal.SIGSTOP)
    await workers.stop()
    assert not own_workers()
    assert f"A worker (process {stuck}) has not stopped in time: killing it" in caplog.text


async def test_where_no_process_can_be_started_it_is_tried_again(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = own_workers()
    with monkeypatch.context() as patched:
        patched.setattr("asyncio.create_subprocess_exec", AsyncMock(side_effect=OSError("too many processes")))
        os.kill(before.pop(), signal.SIGKILL)
        await until(lambda: "no process can be started: too many processes" in caplog.text)
    await until(lambda: len(own_workers()) == 2)


async def test_the_advice_on_settings_of_redis_is_logged_once(start: Start, redis: str) -> None:
    server = start(3, cluster="redis", redis={"unix_socket": redis, "prefix": f"test-{uuid4()}", "lease": LEASE})
    former = server.children("soketpy.process.worker")
    server.signal(signal.SIGUSR2)
    log = server.preamble + await server.written("Replaced all workers")
    server.signal(signal.SIGTERM)
    log += await server.written("Stopped")
    assert not server.children("soketpy.process.worker") & former
    assert log.count("redis-cli CONFIG SET") == 1


async def test_a_failure_of_the_supervision_is_logged(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_renew", AsyncMock(side_effect=RuntimeError("a mistake")))
    workers.renew()
    await until(lambda: "RuntimeError: a mistake" in caplog.text)


async def test_the_counters_are_those_of_all_workers(start: Start, at: Place) -> None:
    port = free_port()
    server = start(metrics={"enabled": True, "host": "127.0.0.1", "port": port})
    async with AsyncExitStack() as stack:
        peers, metrics = at(server), At(port, stack)
        clients = [await peers.client() for _ in range(10)]

        async def found(line: str) -> bool:
            text = (await metrics.request("GET", "/metrics")).text
            return re.search(line, text, re.M) is not None

        await until(lambda: found(r"^soketi_connected{.*} 10\.0$"))
        before = server.children("soketpy.process.worker")
        os.kill(min(before), signal.SIGTERM)
        await until(lambda: len(server.children("soketpy.process.worker") - before) == 1)
        await until(lambda: found(r"^soketi_new_connections_total{.*} 10\.0$"))
        assert len(clients) == 10
        for line in (
            r"^soketpy_closed_connections_total{code=\"4200\".*} [1-9]",  # of the worker that has ended
            r"^soketpy_workers{.*} 2\.0$",
            r"^soketpy_workers_running{.*} 2\.0$",
            r"^soketpy_cluster_nodes{.*} 2\.0$",
            r"^soketpy_redis_links_up{.*} 2\.0$",
            r"^soketpy_event_loop_delay_seconds_count{.*} [1-9]",
            r"^soketpy_config_reloads_total{.*result=\"refused\"} 0\.0$",
        ):
            await until(partial(found, line))


async def test_the_webhooks_of_all_workers_are_counted_once(start: Start, at: Place) -> None:
    port = free_port()
    async with receiving() as receiver:
        receiver.answer = answer_with(500, 200)
        webhook = {"url": receiver.url(), "event_types": ["channel_occupied", "connection_opened"]}
        app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "webhooks": [webhook]}
        server = start(metrics={"enabled": True, "host": "127.0.0.1", "port": port}, apps=[app])
        async with AsyncExitStack() as stack:
            peers, metrics = at(server), At(port, stack)
            for _ in range(10):
                await (await peers.client()).subscribe("news")

            async def found(line: str) -> bool:
                return re.search(line, (await metrics.request("GET", "/metrics")).text, re.M) is not None

            label = rf'host="127\.0\.0\.1:{receiver.port}"'
            await until(lambda: found(rf"^soketpy_webhook_sent_total{{.*{label}.*}} 11\.0$"))
            await until(lambda: found(rf"^soketpy_webhook_failed_total{{.*{label}.*}} 1\.0$"))
            await until(lambda: found(rf"^soketpy_webhook_queued{{.*{label}.*}} 0\.0$"))


class RedisServer:
    """A redis-server that a test can remove. Its folder is the first in PATH."""

    def __init__(self, folder: Path) -> None:
        self.env = {"PATH": f"{folder}:{os.environ['PATH']}"}
        self._path = folder / "redis-server"
        self._program = shutil.which("redis-server") or ""

    def put(self) -> None:
        self._path.symlink_to(self._program)

    def take_away(self) -> None:
        self._path.unlink()

    def exchange(self) -> None:
        """Replace the program by one that never answers."""
        self._path.unlink()
        self._path.write_text(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
        self._path.chmod(0o700)


@pytest.fixture
def program(tmp_path: Path) -> RedisServer:
    program = RedisServer(tmp_path)
    program.put()
    return program


async def test_a_private_redis_that_cannot_be_started_again_is_tried_again(
    start: Start, at: Place, program: RedisServer
) -> None:
    server = start(env=program.env)
    program.take_away()
    [redis] = server.children("redis-server")
    os.kill(redis, signal.SIGKILL)
    await server.written("redis-server does not start")
    program.put()
    await until(lambda: bool(server.children("redis-server") - {redis}))
    peers = at(server)

    async def ready() -> bool:
        return (await peers.request("GET", "/ready")).status == 200

    await until(ready)


async def test_a_private_redis_that_is_just_being_started_ends_with_the_server(
    start: Start, program: RedisServer
) -> None:
    server = start(env=program.env)
    program.exchange()
    [redis] = server.children("redis-server")
    os.kill(redis, signal.SIGKILL)
    await until(lambda: bool(server.children("redis-server") - {redis}))
    [mute] = server.children("redis-server") - {redis}
    await asyncio.to_thread(server.end)
    assert not command_of(mute)


async def test_the_metrics_port_tells_whether_the_workers_are_ready(
    start: Start, at: Place, program: RedisServer
) -> None:
    port = free_port()
    server = start(metrics={"enabled": True, "host": "127.0.0.1", "port": port}, env=program.env)
    async with AsyncExitStack() as stack:
        main, metrics = at(server), At(port, stack)

        async def both(status: int) -> bool:
            return {(await each.request("GET", "/ready")).status for each in (main, metrics)} == {status}

        assert await both(200)
        program.take_away()
        [redis] = server.children("redis-server")
        os.kill(redis, signal.SIGKILL)
        await until(lambda: both(503))
        program.put()
        await until(lambda: both(200))


async def test_the_metrics_port_tells_that_the_workers_stop_until_they_have_ended(start: Start) -> None:
    port = free_port()
    server = start(metrics={"enabled": True, "host": "127.0.0.1", "port": port})
    async with AsyncExitStack() as stack:
        metrics = At(port, stack)
        [client] = await silent_clients(server.port, stack, 1)
        server.signal(signal.SIGTERM)
        assert b'"code":4200' in await client.frame()
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            assert (await metrics.request(method, "/ready")).status == 503
        assert (await metrics.request("GET", "/metrics")).status == 200


def test_without_redis_server_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="several workers need the program redis-server: install it") as failed:
        Together(tmp_path, env={"PATH": str(tmp_path)})
    assert "Traceback" not in str(failed.value)
