"""A server whose apps are in an SQLite file, which another program changes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from soketpy import Server, Settings, testing
from soketpy.config.registry import Admin, Registry, Sqlite
from soketpy.config.settings import Redis as RedisSettings
from soketpy.config.settings import Timeouts, Webhooks
from soketpy.core.app_registry import AppRegistry, RegistryUnavailable
from soketpy.core.apps import App, Key
from soketpy.core.ports import Unreachable
from soketpy.core.traffic import RegistryCounts
from soketpy.core.webhooks import Webhook
from soketpy.process import apps
from soketpy.process.app_changes import announce
from soketpy.process.registries import registry_of
from soketpy.registry import lookups
from soketpy.registry.cache import CachedApps
from tests.conftest import Peers
from tests.fakes import APP
from tests.patience import PATIENCE, until
from tests.receiver import accept, answer_with, receiving
from tests.redis import Redis
from tests.web.wire import HANDSHAKE, frame, request, signed, wire

CHANNEL = {"channel": "news"}


class InFile:
    """Apps in an SQLite file, and the servers that read it."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.settings: dict[str, Any] = {
            "registry": Registry(driver="sqlite", cache_seconds=PATIENCE),
            "sqlite": Sqlite(path=str(path)),
        }
        self._stack = stack
        self.registry: AppRegistry

    async def open(self, *given: App) -> None:
        self.registry = registry_of(Settings(apps=(), **self.settings))
        self._stack.push_async_callback(self.registry.stop)
        await self.registry.start(lambda app_id: None)
        for app in given:
            await self.registry.add(app)

    def fail_first_starts(self, monkeypatch: pytest.MonkeyPatch, number: int, reason: str) -> list[None]:
        """Let the first starts of a registry fail. Return a list with one item for each start."""
        starts, start = list[None](), type(self.registry).start

        async def start_late(registry: Any, changed: Any) -> None:
            starts.append(None)
            if len(starts) <= number:
                raise RegistryUnavailable(reason)
            await start(registry, changed)

        monkeypatch.setattr(apps, "PAUSE", 0.001)
        monkeypatch.setattr(type(self.registry), "start", start_late)
        return starts

    async def serve(self, **settings: Any) -> Peers:
        webhooks = testing.in_memory(settings.pop("webhooks", Webhooks()))
        given = {"host": "127.0.0.1", "port": 0, "webhooks": webhooks, **self.settings, **settings}
        server = await self._stack.enter_async_context(Server(**given))
        return Peers([server], self._stack)


StartInFile = Callable[..., Awaitable[InFile]]


@pytest.fixture
async def in_file(tmp_path: Path) -> AsyncIterator[InFile]:
    """Return a file with one app."""
    async with AsyncExitStack() as stack:
        file = InFile(tmp_path / "apps.db", stack)
        await file.open(APP)
        yield file


@pytest.fixture
async def peers(in_file: InFile) -> Peers:
    return await in_file.serve()


def cache(peers: Peers) -> CachedApps:
    found = peers.server._apps
    assert isinstance(found, CachedApps)
    return found


async def add_by_command(file: InFile, app_id: str) -> None:
    """Run ``soketpy apps add`` in a process of its own."""
    env = {**os.environ, "SOKETPY_REGISTRY_DRIVER": "sqlite", "SOKETPY_SQLITE_PATH": file.settings["sqlite"].path}
    command = (sys.executable, "-m", "soketpy", "apps", "add", "--id", app_id)
    ended = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
    assert await ended.wait() == 0


def break_registry(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every query fail from now on."""

    async def fetch(ids: object, keys: object) -> Any:
        raise RegistryUnavailable("down")

    monkeypatch.setattr(cache(peers)._source, "fetch", fetch)


async def test_clients_and_publishers_of_an_app_in_a_file(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    assert (await peers.trigger("news", "said")).status == 200
    assert (await client.hear())["event"] == "said"
    assert cache(peers).queries <= 2


async def test_an_unknown_app_is_4001_and_404(peers: Peers) -> None:
    socket = await peers.socket("/app/nobody?protocol=7")
    assert (await socket.closed())[0] == 4001
    assert (await peers.call("GET", "/channels", app=replace(APP, id="nobody"))).status == 404


async def test_a_request_with_a_body_waits_for_its_app(peers: Peers) -> None:
    body = json.dumps({"name": "said", "channels": ["news"], "data": "{}"}).encode()
    call = request("POST", signed("POST", "/apps/app-id/events", body), body)
    async with wire(peers.port) as publisher:
        publisher.send(call + call)
        assert [(await publisher.answer()).status for _ in range(2)] == [200, 200]


async def test_the_first_messages_of_a_client_wait_for_its_app(peers: Peers) -> None:
    async with wire(peers.port) as client:
        opening = request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE)
        client.send(opening + frame("pusher:subscribe", CHANNEL))
        assert (await client.answer()).status == 101
        events = [json.loads(await client.frame())["event"] for _ in range(2)]
        assert events == ["pusher:connection_established", "pusher_internal:subscription_succeeded"]


async def test_terminate_by_the_key_alone_looks_up_the_app(peers: Peers) -> None:
    path = "/users/nobody/terminate_connections"
    async with wire(peers.port) as caller:
        caller.send(request("POST", signed("POST", path)))
        assert (await caller.answer()).status == 200


async def test_a_disabled_app_closes_its_clients(in_file: InFile, peers: Peers) -> None:
    client = await peers.client()
    await in_file.registry.change(APP.id, lambda app: replace(app, enabled=False))
    assert (await client.closed())[0] == 4003
    assert (await peers.trigger("news", "said")).status == 403


async def test_a_removed_app_closes_its_clients(in_file: InFile, peers: Peers) -> None:
    client = await peers.client()
    await in_file.registry.remove(APP.id)
    assert (await client.closed())[0] == 4001
    assert (await peers.trigger("news", "said")).status == 404


async def test_a_changed_limit_applies_to_open_connections(in_file: InFile, peers: Peers) -> None:
    await peers.client()
    await in_file.registry.change(APP.id, lambda app: replace(app, max_event_name_length=3))
    await until(lambda: [each.app.max_event_name_length for each in peers.server.node.every_connection()] == [3])
    assert (await peers.trigger("news", "said")).status == 400


async def test_an_added_app_works_without_a_restart(in_file: InFile, peers: Peers) -> None:
    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    assert (await peers.call("GET", "/channels", app=other)).status == 404
    await in_file.registry.add(other)

    async def is_known() -> bool:
        return (await peers.call("GET", "/channels", app=other)).status == 200

    await until(is_known)


async def test_sighup_reads_all_apps_again(peers: Peers) -> None:
    await peers.client()
    before = cache(peers).queries
    assert peers.server.reload(peers.server.settings) == 0
    await until(lambda: cache(peers).queries > before)


async def test_the_metrics_of_the_cache(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    await peers.client()
    await peers.client()
    assert cache(peers).counts() == RegistryCounts(queries=1, waits=1, cached=1, in_use=1, available=1)
    break_registry(peers, monkeypatch)
    assert (await peers.call("GET", "/channels", app=replace(APP, id="other"))).status == 503
    assert cache(peers).counts() == RegistryCounts(queries=2, waits=2, cached=1, in_use=1, available=0)


async def test_changes_of_the_admin_api_and_of_another_process_all_last(in_file: InFile) -> None:
    """Closing any descriptor of the file would release the locks of this process, and the log would be deleted."""
    admin = Admin(enabled=True, host="127.0.0.1", port=0, tokens=("0123456789abcdef",))
    peers = await in_file.serve(admin=admin)
    await peers.client()
    await in_file.registry.stop()
    url = f"http://127.0.0.1:{peers.server.admin_port}/admin/apps"
    headers = {"Authorization": "Bearer 0123456789abcdef"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(2):
            async with session.post(url, json={"id": f"of-api-{number}"}) as answer:
                assert answer.status == 201
            await add_by_command(in_file, f"of-command-{number}")
    await peers.server.stop()
    await in_file.registry.start(lambda app_id: None)
    ids = {each.id for each in await in_file.registry.page()}
    assert ids == {APP.id, "of-api-0", "of-api-1", "of-command-0", "of-command-1"}


# The database is down


async def test_cached_apps_work_and_others_are_refused_until_it_answers(
    in_file: InFile, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await peers.client()
    await client.subscribe("news")
    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    await in_file.registry.add(other)
    monkeypatch.setattr(lookups, "PAUSE", 0.0)
    with monkeypatch.context() as broken:
        break_registry(peers, broken)
        assert (await peers.trigger("news", "said")).status == 200
        assert (await client.hear())["event"] == "said"
        refused = await peers.call("GET", "/channels", app=other)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        socket = await peers.socket("/app/other-key?protocol=7")
        assert (await socket.closed())[0] == 4100
    assert (await peers.call("GET", "/channels", app=other)).status == 200


async def test_a_request_that_waits_for_its_app_is_answered_at_the_stop(
    in_file: InFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        peers = await in_file.serve(timeouts=Timeouts(shutdown=0.1))
        asked = asyncio.Event()

        async def fetch(ids: object, keys: object) -> Any:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(cache(peers)._source, "fetch", fetch)
        publisher = await stack.enter_async_context(wire(peers.port))
        publisher.send(request("GET", signed("GET", "/apps/app-id/channels")))
        client = await stack.enter_async_context(wire(peers.port))
        client.send(request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE))
        await asked.wait()
        await until(lambda: len(peers.server._state.entering) == 1)
        await peers.server.stop()
        assert (await publisher.answer()).status == 503
        assert b'"code":4200' in await client.rest()


async def test_a_start_without_the_database_ends_after_its_time(
    in_file: InFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "PAUSE", 0.001)

    async def start(self: object, changed: object) -> None:
        raise RegistryUnavailable("connection refused")

    monkeypatch.setattr(type(in_file.registry), "start", start)
    settings = {**in_file.settings, "registry": Registry(driver="sqlite", start_timeout=0.01)}
    with pytest.raises(Unreachable, match="The apps in SQLite cannot be read: connection refused"):
        await Server(host="127.0.0.1", port=0, **settings).start()


async def test_a_start_that_gets_no_answer_ends_with_the_last_reason(
    in_file: InFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "PAUSE", 0.001)
    reasons = ["connection refused"]

    async def start(self: object, changed: object) -> None:
        if reasons:
            raise RegistryUnavailable(reasons.pop())
        await asyncio.Event().wait()

    monkeypatch.setattr(type(in_file.registry), "start", start)
    settings = {**in_file.settings, "registry": Registry(driver="sqlite", start_timeout=0.2)}
    for expected in ("connection refused", r"no answer within 0\.2 s"):
        with pytest.raises(Unreachable, match=f"The apps in SQLite cannot be read: {expected}"):
            await Server(host="127.0.0.1", port=0, **settings).start()


async def test_a_start_waits_until_the_database_answers(in_file: InFile, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = in_file.fail_first_starts(monkeypatch, 2, "connection refused")
    peers = await in_file.serve()
    await peers.client()
    assert len(starts) == 3


async def test_a_file_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "registry": Registry(driver="sqlite"),
        "sqlite": Sqlite(path=str(tmp_path / "none" / "apps.db")),
    }
    with pytest.raises(Unreachable, match="The apps in SQLite cannot be used"):
        await Server(host="127.0.0.1", port=0, **settings).start()


# Webhooks


async def test_webhooks_of_an_app_in_a_file(in_file: InFile) -> None:
    async with receiving() as receiver:
        hook = Webhook(url=receiver.url(), event_types=("channel_occupied", "channel_vacated"))
        await in_file.registry.change(APP.id, lambda app: replace(app, webhooks=(hook,)))
        peers = await in_file.serve(webhooks=Webhooks(grace=0.001, private_addresses="allow"))
        client = await peers.client()
        await client.subscribe("news")
        await client.peer.close()
        await receiver.wait_for_events("channel_occupied", "channel_vacated")


def stored_in(path: Path) -> Webhooks:
    """Return settings with the queue of webhooks in a file."""
    return Webhooks(queue="sqlite", path=str(path), grace=0.001, private_addresses="allow")


async def add_webhook(in_file: InFile, url: str) -> None:
    hook = Webhook(url=url, event_types=("channel_occupied",))
    await in_file.registry.change(APP.id, lambda app: replace(app, webhooks=(hook,)))


async def test_the_queue_of_webhooks_is_created_with_the_first_event(in_file: InFile, tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    peers = await in_file.serve(webhooks=stored_in(path))
    await (await peers.client()).subscribe("without")
    assert not path.exists()
    async with receiving() as receiver:
        await add_webhook(in_file, receiver.url())
        cache(peers).invalidate()
        await until(lambda: any(app and app.webhooks for app in [cache(peers).by_id(APP.id)]))
        await (await peers.client()).subscribe("with")
        assert [event["channel"] for event in await receiver.wait_for_events("channel_occupied")] == ["with"]
    assert path.exists()


async def test_deliveries_of_an_earlier_run_are_sent_without_an_event(in_file: InFile, tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.answer = answer_with(503)
        await add_webhook(in_file, receiver.url())
        peers = await in_file.serve(webhooks=stored_in(tmp_path / "queue.db"))
        await (await peers.client()).subscribe("news")
        await receiver.wait_for(1)
        await peers.server.stop()
        receiver.answer = accept
        await in_file.serve(webhooks=stored_in(tmp_path / "queue.db"))
        await receiver.wait_for(2)


async def test_events_whose_queue_could_not_be_opened_are_stored_at_the_stop(
    in_file: InFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "later"
    async with receiving() as receiver:
        await add_webhook(in_file, receiver.url())
        peers = await in_file.serve(webhooks=stored_in(folder / "queue.db"))
        await (await peers.client()).subscribe("news")
        await until(lambda: "Webhooks cannot start, and their events wait" in caplog.text)
        folder.mkdir()
        await peers.server.stop()
        await in_file.serve(webhooks=stored_in(folder / "queue.db"))
        await receiver.wait_for_events("channel_occupied")


async def test_events_are_lost_with_a_line_if_their_queue_cannot_be_opened_at_the_stop(
    in_file: InFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await add_webhook(in_file, "http://127.0.0.1:1/")
    peers = await in_file.serve(webhooks=stored_in(tmp_path / "none" / "queue.db"))
    await (await peers.client()).subscribe("news")
    await peers.server.stop()
    assert "The last webhook events could not be stored, and are lost" in caplog.text


async def test_webhooks_of_apps_in_a_database_reach_no_private_address_by_default(in_file: InFile) -> None:
    given = Settings(apps=(), **in_file.settings)
    assert given.blocks_private_addresses
    assert not replace(given, webhooks=Webhooks(private_addresses="allow")).blocks_private_addresses
    assert not Settings().blocks_private_addresses


# Other nodes


async def test_an_announced_app_is_refreshed_on_the_nodes_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[CachedApps, str | None]] = []
    monkeypatch.setattr(CachedApps, "invalidate", lambda cached, app_id=None: heard.append((cached, app_id)))
    with Redis(tmp_path, tcp=True) as redis:
        async with AsyncExitStack() as stack:
            file = InFile(tmp_path / "apps.db", stack)
            await file.open(APP)
            over: dict[str, Any] = {"cluster": "redis", "redis": RedisSettings(port=redis.port, prefix="test")}
            nodes = [cache(await file.serve(**over)) for _ in range(2)]
            settings = Settings(apps=(), **file.settings, **over)
            await announce(settings, "ü")
            await announce(settings, None)
            await until(lambda: all(heard.count((node, app_id)) == 1 for node in nodes for app_id in ("ü", None)))
