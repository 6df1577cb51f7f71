"""Fakes around the core: a transport, a clock and an event loop that the test controls."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

from soketpy.config.settings import Redis
from soketpy.core import steps, triggers
from soketpy.core.apps import App, Key
from soketpy.core.connection import Connection
from soketpy.core.hub import Hub
from soketpy.core.node import Node
from soketpy.core.ports import Receipt
from soketpy.core.steps import Future
from soketpy.drivers.local.cluster import LocalCluster
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.session import Session
from soketpy.protocol import signatures
from tests.patience import attempts, wait_until

T = TypeVar("T")

APP = App(id="app-id", keys=(Key("app-key", "app-secret"),), client_events=True)


class FakeLoop:
    """A clock, ``call_soon`` and ``call_later`` that the test controls."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._soon: list[Callable[[], None]] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.settled: Callable[[], bool] = lambda: False  # waits for the outside; returns whether there is more

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> None:
        self._soon.append(partial(callback, *arguments) if arguments else callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._later.append((self.now + seconds, callback))

    def tick(self) -> int:
        """Run one iteration: the callbacks that were due at its start. Return their number."""
        due, self._soon = self._soon, []
        for callback in due:
            callback()
        return len(due)

    def settle(self) -> None:
        """Run until no callback is due."""
        for _ in attempts():
            if not (self.tick() or self.settled() or self._soon):
                return

    def advance(self, seconds: float) -> None:
        """Advance the clock, and run the callbacks that become due."""
        self.settle()
        end = self.now + seconds
        while due := sorted((at, index) for index, (at, _) in enumerate(self._later) if at <= end):
            at, index = due[0]
            self.now = at
            self._later.pop(index)[1]()
            self.settle()
        self.now = end


class FakeTransport:
    """Records the frames that a client would have received."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.pings: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.waiting = False
        self.drain: Future[None] | None = None
        self.peer = "10.0.0.1"

    def write(self, frame: bytes) -> None:
        if self.closed is None:
            self.frames.append(frame)

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (code, reason)

    def abort(self) -> None:
        if self.closed is None:
            self.closed = (1006, "aborted")

    def resume(self) -> None:
        self.waiting = False

    def drained(self) -> Future[None] | None:
        return self.drain

    def take(self) -> list[dict[str, Any]]:
        """Return the decoded messages since the last call. JSON text in ``data`` is decoded too."""
        stream, self.frames = b"".join(self.frames), []
        frames = list(_frames(stream))
        self.pings += [payload for opcode, payload in frames if opcode == PING]
        return [_decoded(payload) for opcode, payload in frames if opcode == TEXT]


TEXT, PING = 0x81, 0x89
"""The first bytes of frames."""


def split_frames(stream: bytes) -> list[bytes]:
    """Return the payloads of unmasked text frames."""
    frames = list(_frames(stream))
    assert {opcode for opcode, _ in frames} <= {TEXT}
    return [payload for _, payload in frames]


def _frames(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the first byte and the payload of unmasked frames."""
    while stream:
        opcode = stream[0]
        assert opcode in (TEXT, PING), stream[:20]
        size, start = stream[1], 2
        if size == 126:
            size, start = int.from_bytes(stream[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(stream[2:10], "big"), 10
        yield opcode, stream[start : start + size]
        stream = stream[start + size :]


def _decoded(text: bytes) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(text)
    if isinstance(message.get("data"), str):
        with contextlib.suppress(ValueError):
            message["data"] = json.loads(message["data"])
    return message


def now(operation: Coroutine[Any, Any, T]) -> T:
    """Return the result of an operation that does not wait."""
    try:
        operation.send(None)
    except StopIteration as ended:
        value: T = ended.value
        return value
    raise AssertionError("the operation waits")


class NoNode:
    """An inbox for tests of a cluster without a node: it has sent no event, so it has missed none."""

    def check_history(self) -> None:
        """Do nothing."""


class FakeWall:
    """The Unix time, and seconds that a test adds to it."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.time() + self.passed


class House:
    """One node with fakes around it or, over a Redis, two nodes to which clients connect alternately.

    The tests of one node also run with two: the fixture ``nodes`` sets ``redis``, and closes the opened houses.
    """

    redis: ClassVar[Redis | None] = None
    opened: ClassVar[list["House"]] = []

    def __init__(self, slice_size: int = 1000, **options: Any) -> None:
        self.loop = FakeLoop()
        self.wall = FakeWall()
        self.loop.settled = self._settle
        self._real = asyncio.new_event_loop() if self.redis else None
        self._clusters = self._join_nodes()
        soon = self.loop.call_soon
        self.hubs = [Hub(soon, slice_size, flush_soon=each.flush_soon(soon)) for each in self._clusters]
        self.nodes = [
            Node(hub, each, self.loop.time, self.loop.call_later, wall_clock=self.wall, **options)
            for hub, each in zip(self.hubs, self._clusters, strict=True)
        ]
        self.hub, self.node = self.hubs[0], self.nodes[0]
        self._turn = cycle(self.nodes)
        self.opened.append(self)
        for each in self._clusters:
            self._run(each.start())

    @property
    def sessions(self) -> list[Session]:
        """Return the Redis sessions of all nodes."""
        return [session for each in self._clusters if isinstance(each, RedisCluster) for session in each.sessions]

    def _join_nodes(self) -> Sequence[LocalCluster | RedisCluster]:
        if self.redis is None:
            return [LocalCluster(self.loop.time, cached_events=100)]
        address = Address(unix_socket=self.redis.unix_socket, cluster_nodes=self.redis.cluster_nodes)
        connect, prefix = partial(connector, address), f"test-{uuid4()}"
        partitions, lease = self.redis.partitions, self.redis.lease
        return [RedisCluster(connect, prefix, partitions=partitions, lease=lease) for _ in range(2)]

    def close(self) -> None:
        """Stop the clusters and the event loop."""
        for each in self._clusters:
            self._run(each.stop())
        if self._real is not None:
            self._real.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return now(coroutine) if self._real is None else self._real.run_until_complete(coroutine)

    def _settle(self) -> bool:
        """Wait until all messages in flight between nodes have arrived. Return whether there may be more."""
        if self._real is None:
            return False
        sessions = [each for each in self.sessions if each.connected]
        busy = any(session.busy for session in sessions)
        for session in sessions * 2:  # an effect of the first has reached the second when that is asked
            self._real.run_until_complete(session.ask("ECHO", "settled"))
        return busy

    def until(self, condition: Callable[[], object]) -> None:
        """Run the real event loop until a condition holds."""
        real = self._real
        assert real is not None
        wait_until(condition, pause=lambda seconds: real.run_until_complete(asyncio.sleep(seconds)))

    def ask(self, operation: Coroutine[Any, Any, T]) -> T:
        """Return the result of an operation, which may wait."""
        if self._real is None:
            return now(operation)
        results: list[T] = []
        faults: list[Exception] = []

        async def take() -> None:
            try:
                results.append(await operation)
            except Exception as fault:
                faults.append(fault)

        steps.begin(take())
        for _ in attempts():
            if results or faults:
                break
            self._settle()
        for fault in faults:
            raise fault
        return results[0]

    def confirm(self, receipt: Receipt | None) -> None:
        """Wait for what a receipt says, if there is one."""

        async def wait() -> None:
            if receipt is not None:
                await receipt

        self.ask(wait())

    def place(self) -> Node:
        """Return the node to which the next client connects."""
        return next(self._turn)

    def connect(self, app: App = APP, tab: str | None = None) -> "Client":
        """Return a new client that has read its greeting."""
        client = Client(self, app, tab)
        client.take()
        return client

    def terminate(self, user_id: str, app: App = APP) -> None:
        """Close a user's connections as the REST API would."""
        node = next(self._turn)
        self.confirm(node.terminate(app.id, user_id))
        self.loop.settle()

    @property
    def total(self) -> int:
        """Return the number of connected clients."""
        return sum(node.total for node in self.nodes)

    def sent(self, app: App = APP) -> tuple[int, int]:
        """Return the number of messages to clients, and of their bytes."""
        traffic = [node.traffic[app.id] for node in self.nodes]
        return sum(each.messages_sent for each in traffic), sum(each.bytes_sent for each in traffic)

    def count(self, channel: str, app: App = APP) -> int:
        """Return the number of subscriptions of a channel."""
        return self.ask(self.node.roster.counts(app.id, [channel]))[0]

    def members(self, channel: str, app: App = APP) -> list[str]:
        """Return the user ids of the members of a presence channel."""
        return [member.user_id for member in self.ask(self.node.roster.members(app.id, channel))]

    def channels(self, app: App = APP) -> dict[str, int]:
        """Return the occupied channels with their counts."""
        return dict(self.ask(self.node.roster.channels(app.id, "")))

    def online(self, *user_ids: str, app: App = APP) -> set[str]:
        """Return the users that are online, as a watcher sees them."""
        watcher = (app.id, "one who watches", user_ids)
        online = self.ask(self.node.roster.sign_in(*watcher))
        self.ask(self.node.roster.sign_out(*watcher))
        return online

    def trigger(
        self, channel: str, name: str, data: object = "{}", *, app: App = APP, exclude: "Client | None" = None
    ) -> None:
        """Publish an event as the REST API would."""
        body = {"name": name, "channel": channel, "data": data, "socket_id": exclude.id if exclude else None}
        node = next(self._turn)
        self.confirm(node.publish(app, triggers.check(triggers.parse_event(json.dumps(body).encode()), app)))


REFUSED_AGAIN = "pusher_internal:subscription_error"
"""The event that repeats every refusal, for clients that know no other name."""


class Client:
    """One client of a house. It sends JSON and records the messages that it gets."""

    def __init__(self, house: House, app: App = APP, tab: str | None = None) -> None:
        self.house = house
        self.app = app
        self.transport = FakeTransport()
        self.connection: Connection = house.ask(house.place().connect(app, self.transport, tab=tab))
        self.id = self.connection.id

    def say(self, event: str, data: object = None, **fields: object) -> None:
        """Send one message."""
        message = {"event": event, **({} if data is None else {"data": data}), **fields}
        self.hear(json.dumps(message).encode())

    def hear(self, text: bytes) -> None:
        """Send one message as raw bytes."""
        self.transport.waiting = not self.connection.receive(text)
        for rounds in attempts():
            if not self.transport.waiting:
                return
            self.house.loop.settle()
            if rounds > 10:  # it waits for time, not for another node
                self.house.loop.advance(0.01)

    @property
    def closed(self) -> tuple[int, str] | None:
        """Return the close code and reason of the server, or None."""
        return self.transport.closed

    def take(self) -> list[dict[str, Any]]:
        """Settle the loop and return the new messages. A refusal, which is sent twice, is returned once."""
        self.house.loop.settle()
        return [message for message in self.transport.take() if message["event"] != REFUSED_AGAIN]

    def heard(self) -> list[str]:
        """Return the names of the new events, Pusher's own names without prefix."""
        return [message["event"].removeprefix("pusher_internal:").removeprefix("pusher:") for message in self.take()]

    def pong(self) -> int:
        """Answer all pings. Return their number."""
        self.take()
        pings, self.transport.pings = self.transport.pings, []
        for payload in pings:
            self.connection.pong(payload)
        self.house.loop.settle()
        return len(pings)

    def leave(self) -> None:
        """Disconnect without a close frame, as when the network fails."""
        self.connection.end()

    def subscribe(self, channel: str, user_id: object = None, user_info: object = None, **fields: object) -> None:
        """Subscribe, with the signature that the channel needs; ``fields`` come in place of those of the data."""
        data: dict[str, object] = {"channel": channel}
        if user_id is not None:
            member = {"user_id": user_id, **({} if user_info is None else {"user_info": user_info})}
            data["channel_data"] = json.dumps(member)
        if channel.startswith(("private-", "presence-")):
            channel_data = fields.get("channel_data", data.get("channel_data"))
            data["auth"] = channel_auth(self.id, channel, channel_data, self.app)
        self.say("pusher:subscribe", {**data, **fields})

    def unsubscribe(self, channel: str) -> None:
        """Leave a channel."""
        self.say("pusher:unsubscribe", {"channel": channel})

    def sign_in(self, user_id: str, **fields: object) -> None:
        """Sign in as a user, with the signature that this needs."""
        self.sign_in_with(json.dumps({"id": user_id, **fields}))

    def sign_in_with(self, user_data: str) -> None:
        """Sign in with this text, whatever it is."""
        self.say("pusher:signin", {"auth": user_auth(self.id, user_data, self.app), "user_data": user_data})


def channel_auth(socket_id: str, channel: str, channel_data: object = None, app: App = APP) -> str:
    """The auth of a guarded channel, by the app's first key."""
    assert channel_data is None or isinstance(channel_data, str)
    return _auth(app, signatures.channel_text(socket_id, channel, channel_data))


def user_auth(socket_id: str, user_data: str, app: App = APP) -> str:
    """The auth of a sign-in, by the app's first key."""
    return _auth(app, signatures.user_text(socket_id, user_data))


def _auth(app: App, text: str) -> str:
    return f"{app.key}:{signatures.sign(app.keys[0].secret, text)}"
