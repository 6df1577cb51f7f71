"""Servers for tests: each test owns the servers that it starts, on free ports of the loopback address."""

import asyncio
import gc
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import websockets
from hypothesis import HealthCheck, settings

from soketpy import App, Server, testing
from soketpy.config import settings as config
from soketpy.core.containment import TRACEBACKS, failures
from soketpy.protocol import signatures
from soketpy.testing import soketpy_server as soketpy_server  # the plugin itself is off: see pyproject.toml
from tests.fakes import APP, House, channel_auth
from tests.patience import PATIENCE, UNHURRIED
from tests.patience import until as until
from tests.redis import LONG_LEASE, Redis, Shards
from tests.slices import sitecustomize

# ``make test-slow`` sets TIME_SLICES. This process has its time slices by the import of sitecustomize; servers in other
# processes have theirs because the same module is on their path.
if os.environ.get("TIME_SLICES"):
    os.environ.update(sitecustomize.environment())

# In the background of a shell this process ignores SIGINT. The programs that tests start must not inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy with something else fails no test.
testing.START_TIMEOUT = PATIENCE
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="module")
def a_collection_is_fast() -> None:
    """Exclude from garbage collection what lives longer than a module: other modules, and the list of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def a_leak_fails_its_own_test() -> Iterator[None]:
    """Collect what the test has left open, so that pytest reports it for this test, not for one that runs later."""
    yield
    gc.collect()


class Contained:
    """The faults contained since the start of the test."""

    @property
    def count(self) -> int:
        return failures.count


@pytest.fixture
def contained() -> Contained:
    """For a test that provokes faults on purpose."""
    return Contained()


@pytest.fixture(autouse=True)
def no_fault_is_contained(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test if the server contained a fault in this process, unless the test takes ``contained``."""
    failures.count = 0
    failures._tracebacks.tokens = TRACEBACKS  # whatever other tests of this process have logged within this second
    yield
    if "contained" not in request.fixturenames:
        assert failures.count == 0, "the server contained a fault: see the log"


@pytest.fixture(autouse=True)
def answers_may_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Redis, servers and new clients of this process as much time as the tests have."""
    redis = ("drivers.redis.wire", "drivers.redis.session", "drivers.redis.webhooks.operators")
    for module in (*redis, "drivers.sql.sqlite", "cli.call"):
        monkeypatch.setattr(f"soketpy.{module}.PATIENCE", PATIENCE)
    monkeypatch.setattr("soketpy.web.http_connections.GRACE", PATIENCE)
    monkeypatch.setattr("soketpy.process.stopping.STOP_TIMEOUT", PATIENCE)


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Unix socket of a Redis, which tests share by prefixes of their own."""
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server.socket


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The addresses of two nodes of a Redis Cluster, which tests share by prefixes of their own."""
    with Shards(tmp_path_factory.mktemp) as servers:
        yield servers.addresses[:2]


@pytest.fixture(params=["one node", "two nodes", "two nodes over a Redis Cluster"])
def nodes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the tests that use houses or servers with one node and with two."""
    if request.param == "two nodes":
        House.redis = config.Redis(unix_socket=request.getfixturevalue("redis"), lease=LONG_LEASE)
    elif request.param == "two nodes over a Redis Cluster":
        House.redis = config.Redis(cluster_nodes=request.getfixturevalue("shards"), partitions=3, lease=LONG_LEASE)
    yield
    while House.opened:
        House.opened.pop().close()
    House.redis = None


@dataclass
class Reply:
    """The answer to a REST call."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Socket:
    """A WebSocket client that speaks the protocol; python-websockets underneath."""

    def __init__(self, peer: websockets.ClientConnection) -> None:
        self.peer = peer
        self.id = ""

    async def hear(self) -> dict[str, Any]:
        """Return the next message. JSON text in ``data`` is decoded."""
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.peer.recv(), PATIENCE))
        if isinstance(message.get("data"), str):
            with suppress(ValueError):
                message["data"] = json.loads(message["data"])
        return message

    async def say(self, event: str, data: object = None, **fields: object) -> None:
        await self.peer.send(json.dumps({"event": event, "data": data if data is not None else {}, **fields}))

    async def subscribe(self, channel: str, member: dict[str, object] | None = None) -> dict[str, Any]:
        """Subscribe, with the signature that the channel needs; return the answer."""
        data: dict[str, object] = {"channel": channel}
        if member is not None:
            data["channel_data"] = json.dumps(member)
        if channel.startswith(("private-", "presence-")):
            data["auth"] = channel_auth(self.id, channel, data.get("channel_data"))
        await self.say("pusher:subscribe", data)
        return await self.hear()

    async def sign_in(self, user_id: str, **fields: object) -> dict[str, Any]:
        """Sign in; return the answer."""
        user_data = json.dumps({"id": user_id, **fields})
        auth = "app-key:" + signatures.sign("app-secret", signatures.user_text(self.id, user_data))
        await self.say("pusher:signin", {"auth": auth, "user_data": user_data})
        return await self.hear()

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the server's close and return its code and reason. Earlier messages are dropped."""
        try:
            async with asyncio.timeout(PATIENCE):
                async for _ in self.peer:
                    pass
        except websockets.ConnectionClosed:
            pass
        return self.peer.close_code, self.peer.close_reason


class Peers:
    """A running server and its clients, which end with the test. With two nodes, clients connect alternately."""

    def __init__(self, servers: Sequence[Server], stack: AsyncExitStack) -> None:
        self.server = servers[0]
        self._servers = servers
        self._ports = cycle([server.port for server in servers])
        self._stack = stack
        self._session: aiohttp.ClientSession | None = None

    def reload(self, *apps: App) -> None:
        """Replace all apps."""
        for server in self._servers:
            server.reload(replace(server.settings, apps=apps))

    @property
    def port(self) -> int:
        """Return the port of the server or, of two nodes, of the next one."""
        port = next(self._ports)
        assert port is not None
        return port

    async def socket(self, path: str = "/app/app-key?protocol=7", **options: Any) -> Socket:
        """Return a WebSocket whose first message has not been read."""
        url = f"ws://127.0.0.1:{self.port}{path}"
        return Socket(await self._stack.enter_async_context(websockets.connect(url, **UNHURRIED, **options)))

    async def client(self, **options: Any) -> Socket:
        """Return a WebSocket that has read its greeting."""
        socket = await self.socket(**options)
        greeting = await socket.hear()
        assert greeting["event"] == "pusher:connection_established", greeting
        socket.id = greeting["data"]["socket_id"]
        return socket

    async def request(self, method: str, target: str, **options: Any) -> Reply:
        """Send an unsigned HTTP request. ``target`` is sent unchanged."""
        if self._session is None:
            self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        from yarl import URL

        url = URL(f"http://127.0.0.1:{self.port}{target}", encoded=True)
        async with self._session.request(method, url, **options) as response:
            return Reply(response.status, response.headers, await response.text())

    async def call(
        self, method: str, path: str, value: object = None, query: dict[str, str] | None = None, app: Any = APP
    ) -> Reply:
        """Send a signed REST call of the app. ``path`` starts after ``/apps/ID``; ``value`` is sent as JSON."""
        body = b"" if value is None else json.dumps(value).encode()
        full = f"/apps/{app.id}{path}"
        signed = signatures.signed_query(app.key, app.keys[0].secret, method, full, body, int(time.time()), query)
        return await self.request(method, f"{full}?{signed}", data=body or None)

    async def trigger(self, channel: str, event: str, data: str = "{}", **fields: object) -> Reply:
        """Trigger one event."""
        return await self.call("POST", "/events", {"name": event, "channels": [channel], "data": data, **fields})


class At(Peers):
    """Clients and calls of a server in its own process."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self._ports = cycle([port])
        self._stack = stack
        self._session = None


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve TCP connections on a free port; yield the port; at the end wait until every connection is closed."""
    serving: list[asyncio.Task[None]] = []

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.create_task(serve_and_close(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*serving)


StartServer = Callable[..., Awaitable[Peers]]


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Return a function that starts a server in the test's event loop, with settings that differ from the defaults.

    Without another choice, webhooks wait in memory, so that servers of several tests do not use the same file.
    """
    over: list[dict[str, Any]] = [{}]
    if House.redis is not None:
        meeting = replace(House.redis, prefix=f"test-{uuid4()}")
        over = [{"cluster": "redis", "redis": meeting}] * 2
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Peers:
            settings["webhooks"] = testing.in_memory(settings.get("webhooks", config.Webhooks()))
            if House.redis is None and settings.get("cluster", "local") == "local":
                settings.setdefault("history", config.History(store="memory"))
            servers = [Server(**{"host": "127.0.0.1", "port": 0, "apps": (APP,), **each, **settings}) for each in over]
            for server in servers:
                await stack.enter_async_context(server)
            return Peers(servers, stack)

        yield start


@pytest.fixture
async def peers(start_server: StartServer) -> Peers:
    """Return a server with the default settings, and its clients."""
    return await start_server()
