"""The webhook events of a cluster: random steps over two nodes that die, against the rules of a cluster of one."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest

from soketpy.core.grace import OPPOSITE, State
from soketpy.drivers.local import transitions
from soketpy.drivers.local.transitions import Transitions
from soketpy.drivers.redis import scripts
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.webhooks.forming import _decode
from soketpy.drivers.redis.webhooks.holder import WebhookScript
from soketpy.protocol.event_types import EVENT_TYPES, EventType
from soketpy.protocol.webhooks import WebhookEvent
from tests.drivers.queues import cut_off
from tests.drivers.redis.test_transitions import Silent, ended
from tests.fakes import FakeLoop
from tests.patience import until

STEPS = 10_000
GRACE = 3.0
LEASE = 10_000_000.0
COUNTED_AT_ONCE = 2

CHANNELS = ("news", "chat", "presence-room", "presence-hall")
USERS = ("ada", "bob", "cleo")
Key = tuple[str, str, str]
"""A kind of entry, its channel or user, and on a presence channel the user."""


@pytest.fixture(autouse=True)
def scripts_with_the_clock_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scripts read the time from a key, and count at once up to few subscribers."""
    source = scripts.SOURCES["webhooks/events.lua"]
    for real, instead in (
        ("local time = redis.call('TIME')", "local time = {(redis.call('GET', KEYS[1] .. 'clock') or '0') / 1000, 0}"),
        ("local COUNTED_AT_ONCE = 100", f"local COUNTED_AT_ONCE = {COUNTED_AT_ONCE}"),
    ):
        assert source.count(real) == 1
        source = source.replace(real, instead)
    monkeypatch.setitem(scripts.SOURCES, "webhooks/events.lua", source)
    monkeypatch.setattr(transitions, "QUIET_ABOVE", COUNTED_AT_ONCE)
    monkeypatch.setattr("soketpy.drivers.redis.session.LONGEST_PAUSE", 0.01)


def about(event: WebhookEvent) -> State:
    """Return what an event is about."""
    on = {str(off): str(on) for on, off in OPPOSITE.items()}.get(event.name, event.name)
    return on, event.app_id, event.channel, event.user_id


class Truth:
    """The ledgers of all nodes as they should be, and the events that a cluster of one would report."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.events: list[WebhookEvent] = []
        self.totals = Counter[Key]()
        self._ledgers: dict[object, Counter[Key]] = {}
        self._rules = Transitions(
            lambda app_id: frozenset(EVENT_TYPES),
            lambda event, state, is_on: self.events.append(event),
            self.loop.time,
            self.loop.call_later,
            grace=GRACE,
        )

    def write(self, node: object, key: Key, count: int) -> None:
        """Set an entry of a node."""
        ledger = self._ledgers.setdefault(node, Counter())
        change = count - ledger[key]
        ledger[key] = count
        kind, name, user_id = key
        if not change:
            return
        if kind == "user":
            self._turn(EventType.USER_ONLINE, key, change, user_id=name)
            return
        self._turn(EventType.CHANNEL_OCCUPIED, ("channel", name, ""), change, name)
        if kind == "member":
            self._turn(EventType.MEMBER_ADDED, key, change, name, user_id)
        else:
            self._rules.counted("app", name, self.totals["channel", name, ""])

    def _turn(self, on: EventType, key: Key, change: int, channel: str = "", user_id: str = "") -> None:
        before = self.totals[key]
        self.totals[key] += change
        if not before or not self.totals[key]:
            self._rules.turned(on, not before, "app", channel, user_id)

    def end(self, node: object) -> None:
        """End all entries of a node."""
        for key in list(self._ledgers.get(node, ())):
            self.write(node, key, 0)

    def on(self) -> set[State]:
        """Return what is on."""
        kinds = {"channel": EventType.CHANNEL_OCCUPIED, "member": EventType.MEMBER_ADDED, "user": EventType.USER_ONLINE}
        return {
            (kinds[kind], "app", *(("", name) if kind == "user" else (name, user_id)))
            for (kind, name, user_id), total in self.totals.items()
            if total
        }


@dataclass(eq=False)
class Node:
    """A node, and the subscriptions and sign-ins of its clients."""

    cluster: RedisCluster
    clients: Counter[Key] = field(default_factory=Counter)
    connect: Any = None

    @property
    def session(self) -> Session:
        return self.cluster.sessions[0]

    @property
    def parted(self) -> bool:
        return self.connect is not None

    async def change(self, key: Key, change: int) -> None:
        """Let a client come (1) or go (-1)."""
        kind, name, user_id = key
        roster = self.cluster.roster
        if kind == "subscriptions":
            await ended(_drop((roster.join if change > 0 else roster.leave)("app", name)))
        elif kind == "member" and change > 0:
            await ended(_drop(roster.join_as("app", name, user_id, b"{}", 100)))
        elif kind == "member":
            await ended(roster.leave_as("app", name, user_id))
        else:
            await ended(_drop((roster.sign_in if change > 0 else roster.sign_out)("app", name, [])))
        self.clients[key] += change

    async def part(self) -> None:
        """Make Redis unavailable for this node."""
        self.connect = self.session._connect

        async def refuse(*_: object) -> Any:
            raise ConnectionRefusedError("parted")

        self.session._connect = refuse
        self.session._disconnect()
        self.session._mark_lost("parted")

    async def rejoin(self) -> None:
        """Make Redis available again."""
        self.session._connect, self.connect = self.connect, None
        await until(lambda: self.session.connected and not self.session.busy)


async def _drop(operation: Any) -> None:
    await operation


class Scene:
    """Two nodes, the truth, and a holder that reads the stream."""

    def __init__(self, redis: str, seed: int) -> None:
        self.dice = random.Random(seed)
        self.truth = Truth()
        self.events: list[WebhookEvent] = []
        self.known: dict[State, bool] = {}
        self.prefix = f"test-{uuid4()}"
        self.nodes: list[Node] = []
        self._connect = partial(connector, Address(unix_socket=redis))
        self.died = 0

    async def start(self) -> None:
        self.watch = await self._cluster()
        [partition] = self.watch.partitions
        self.script = WebhookScript(partition.session, GRACE)
        await self.script.run("hold", "seed")
        self.nodes = [Node(await self._cluster()) for _ in range(2)]

    async def _cluster(self) -> RedisCluster:
        wanted = frozenset(EVENT_TYPES)
        cluster = RedisCluster(
            self._connect,
            self.prefix,
            lease=LEASE,
            advises=False,
            grace=GRACE,
            webhook_types=lambda app_id: wanted if app_id == "app" else frozenset(),
        )
        for port in (cluster.bus, cluster.roster):
            port.attach(cast(Any, Silent(lambda *_: None)))
        await cluster.start()
        return cluster

    async def close(self) -> None:
        for node in self.nodes:
            if node.parted:
                await node.rejoin()
            await node.cluster.stop()
        await self.watch.stop()

    # The steps

    async def step(self) -> None:
        node = self.dice.choice(self.nodes)
        match self.dice.random():
            case chance if chance < 0.01:
                await self.kill(node)
            case chance if chance < 0.03:
                await (self.reconnect if node.parted else self.part)(node)
            case chance if chance < 0.05 and node.parted:
                await self.declare_dead(node)
            case chance if chance < 0.2:
                await self.pass_time(self.dice.choice((0.5, 1, 2, 5)))
            case chance if chance < 0.6 and +node.clients:
                await self.change(node, self.dice.choice(sorted(+node.clients)), -1)
            case _:
                await self.change(node, self.any_key(), 1)

    def any_key(self) -> Key:
        channel, user_id = self.dice.choice(CHANNELS), self.dice.choice(USERS)
        if self.dice.random() < 0.2:
            return "user", user_id, ""
        return ("member", channel, user_id) if channel.startswith("presence-") else ("subscriptions", channel, "")

    async def change(self, node: Node, key: Key, change: int) -> None:
        await node.change(key, change)
        if not node.parted:
            self.truth.write(node, key, node.clients[key])

    async def pass_time(self, seconds: float) -> None:
        """Advance the clock in steps, and end the grace periods that are due."""
        for _ in range(round(2 * seconds)):
            self.truth.loop.advance(0.5)
            now = round(1000 * (self.truth.loop.now - 1000))
            await self.watch.sessions[0].ask("SET", f"{self.watch.sessions[0].prefix}clock", now)
            await self.read()

    async def read(self) -> None:
        """Take the events out of the stream, and check that those of each thing alternate."""
        _, dropped, found = await self.script.run("read")
        assert not dropped
        if found:
            await self.script.run("remove", *found[::2])
        for packed in found[1::2]:
            event = _decode(packed)
            assert event is not None
            self.events.append(event)
            state, is_on = about(event), event.name in OPPOSITE
            if state[0] in OPPOSITE:
                assert self.known.get(state, False) != is_on, f"{event} twice"
                self.known[state] = is_on

    async def kill(self, node: Node) -> None:
        """Let a node die with its clients. Another one clears up after it, and it is replaced."""
        self.died += 1
        await cut_off(node.session)
        await self.declare_dead(node)
        self.nodes[self.nodes.index(node)] = Node(await self._cluster())

    async def declare_dead(self, node: Node) -> None:
        await self.watch.sessions[0]._clear(node.session.id, own=True)
        self.truth.end(node)

    async def part(self, node: Node) -> None:
        await node.part()

    async def reconnect(self, node: Node) -> None:
        await node.rejoin()
        for key, count in node.clients.items():
            self.truth.write(node, key, count)

    def check(self) -> None:
        """Compare the events with those of a cluster of one: for each thing, the same ones in the same order."""
        assert by_state(self.events) == by_state(self.truth.events)


def by_state(events: list[WebhookEvent]) -> dict[State, list[tuple[str, int]]]:
    found: dict[State, list[tuple[str, int]]] = {}
    for event in events:
        found.setdefault(about(event), []).append((event.name, event.number))
    return found


@pytest.fixture
async def scene(redis: str, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    scene = Scene(redis, getattr(request, "param", 0))
    await scene.start()
    yield scene
    await scene.close()


@pytest.mark.parametrize("scene", range(2), indirect=True)
async def test_events_alternate_and_are_those_of_one_node_whatever_two_nodes_and_their_deaths_do(scene: Scene) -> None:
    for _ in range(STEPS):
        await scene.step()
    for node in scene.nodes:
        if node.parted:
            await scene.reconnect(node)
    await scene.pass_time(GRACE + 10)
    scene.check()
    assert {state for state, is_on in scene.known.items() if is_on} == scene.truth.on()
    names = Counter(event.name for event in scene.events)
    assert min(names[each] for each in (*OPPOSITE, *OPPOSITE.values(), EventType.SUBSCRIPTION_COUNT)) > 50, names
    assert scene.died > 50
