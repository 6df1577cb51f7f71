"""Rate limits while the Redis of two nodes is killed, and after it was started again."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from soketpy.config import settings as config
from soketpy.core.apps import App
from tests.conftest import At, Peers, Socket, StartServer
from tests.drivers.limited import stop_clocks
from tests.fakes import APP
from tests.patience import until
from tests.redis import LONG_LEASE, Redis

LIMITED = replace(APP, max_connects_per_second=2, max_read_requests_per_second=2)
ALONE = "Rate limits hold for each node alone while Redis is unavailable (rate_limits.when_unavailable: allow)"
REFUSING = (
    "Rate limits cannot be checked while Redis is unavailable: this node refuses what has a limit"
    " (rate_limits.when_unavailable: refuse)"
)
TOGETHER = "Rate limits hold for all nodes together again"


@pytest.fixture(autouse=True)
def nothing_flows_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clocks(monkeypatch)


class Nodes:
    """Two nodes with one Redis."""

    def __init__(self, first: Peers, second: Peers, redis: Redis) -> None:
        self.each = [At(int(peers.server.port or 0), peers._stack) for peers in (first, second)]
        self._servers = [first.server, second.server]
        self._redis = redis

    async def lose_redis(self) -> None:
        self._redis.kill()
        await until(lambda: not any(server._cluster.connected for server in self._servers))

    async def find_redis(self) -> None:
        self._redis.start()
        await until(lambda: all(server._cluster.connected for server in self._servers))

    async def connects(self, node: int, times: int = 1) -> list[int]:
        """Connect clients. Return the code of each refusal, and 0 for each client that is connected."""
        return [(await (await self.each[node].socket()).hear())["data"].get("code", 0) for _ in range(times)]


StartNodes = Callable[[App, str], Awaitable[Nodes]]


@pytest.fixture
async def start(start_server: StartServer, own_redis: Redis) -> StartNodes:
    async def start(app: App, when_unavailable: str) -> Nodes:
        meeting = config.Redis(unix_socket=own_redis.socket, lease=LONG_LEASE, prefix=f"test-{uuid4()}")
        limits = config.RateLimits(when_unavailable=when_unavailable)
        peers = [await start_server(cluster="redis", redis=meeting, rate_limits=limits, apps=(app,)) for _ in range(2)]
        return Nodes(peers[0], peers[1], own_redis)

    return start


async def test_nodes_share_a_limit_of_connects(start: StartNodes) -> None:
    nodes = await start(LIMITED, "allow")
    assert await nodes.connects(0) + await nodes.connects(1, 2) + await nodes.connects(0) == [0, 0, 4100, 4100]


async def test_nodes_without_redis_limit_connects_alone(start: StartNodes, caplog: pytest.LogCaptureFixture) -> None:
    nodes = await start(LIMITED, "allow")
    await nodes.lose_redis()
    assert [await nodes.connects(node, 3) for node in (0, 1)] == [[0, 0, 4100], [0, 0, 4100]]
    assert caplog.messages.count(ALONE) == 2, "one line of each node"


async def test_nodes_without_redis_may_have_to_refuse_connects(
    start: StartNodes, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = await start(LIMITED, "refuse")
    await nodes.lose_redis()
    assert await nodes.connects(0, 2) == [4100, 4100]
    assert caplog.messages.count(REFUSING) == 1


async def test_an_app_without_the_limit_connects_without_redis(start: StartNodes) -> None:
    nodes = await start(APP, "refuse")
    await nodes.lose_redis()
    assert await nodes.connects(0) == [0]


async def test_a_call_whose_limit_cannot_be_checked_is_asked_to_come_again(start: StartNodes) -> None:
    nodes = await start(LIMITED, "refuse")
    await nodes.lose_redis()
    reply = await nodes.each[0].call("GET", "/channels")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    assert reply.json["error"] == "The rate limit of the app cannot be checked now; try again."


@pytest.mark.parametrize("when_unavailable", ["allow", "refuse"])
async def test_nodes_share_their_limits_again_after_a_restart_of_redis(
    start: StartNodes, when_unavailable: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "soketpy.limits")
    nodes = await start(LIMITED, when_unavailable)
    await nodes.lose_redis()
    for node in (0, 1):
        await nodes.connects(node)
    await nodes.find_redis()
    assert await nodes.connects(0) + await nodes.connects(1, 2) == [0, 0, 4100]
    assert caplog.messages.count(TOGETHER) == 2
    assert [(await nodes.each[node].call("GET", "/channels")).status for node in (0, 1, 0)] == [200, 200, 429]


@pytest.mark.parametrize(("when_unavailable", "heard"), [("allow", 2), ("refuse", 0)])
async def test_client_events_of_a_node_without_redis_have_its_own_limit_or_are_rejected(
    start: StartNodes, when_unavailable: str, heard: int
) -> None:
    nodes = await start(replace(APP, max_total_client_events_per_second=2), when_unavailable)
    sender, listener = await nodes.each[0].client(), await nodes.each[0].client()
    for client in (sender, listener):
        await client.subscribe("private-room")
    await nodes.lose_redis()
    for _ in range(3):
        await sender.say("client-said", channel="private-room")
    rejected = [await sender.hear() for _ in range(3 - heard)]
    assert {(each["event"], each["channel"], each["data"]["code"]) for each in rejected} == {
        ("pusher:error", "private-room", 4301)
    }
    assert [(await listener.hear())["event"] for _ in range(heard)] == ["client-said"] * heard
    await listener.say("pusher:ping")
    assert (await listener.hear())["event"] == "pusher:pong"


async def test_client_events_share_their_limit_again_after_a_restart_of_redis(start: StartNodes) -> None:
    nodes = await start(replace(APP, max_total_client_events_per_second=2), "allow")
    senders = [await node.client() for node in nodes.each]
    for number, sender in enumerate(senders):
        await sender.subscribe(f"private-{number}")
    await nodes.lose_redis()
    await nodes.find_redis()
    answers = [await say(sender, f"private-{number}") for number, sender in (*enumerate(senders), *enumerate(senders))]
    assert answers == ["pusher:pong", "pusher:pong", "pusher:error", "pusher:error"]


async def say(sender: Socket, channel: str) -> str:
    """Send a client event that nobody else gets. Return the name of the next message: an error, or the pong."""
    await sender.say("client-said", channel=channel)
    await sender.say("pusher:ping")
    answer = str((await sender.hear())["event"])
    if answer == "pusher:error":
        assert (await sender.hear())["event"] == "pusher:pong"
    return answer


@pytest.mark.parametrize(
    ("when_unavailable", "answer"),
    [("allow", "pusher_internal:subscription_succeeded"), ("refuse", "pusher:subscription_error")],
)
async def test_subscriptions_of_a_node_without_redis_have_its_own_limit_or_are_refused(
    start: StartNodes, when_unavailable: str, answer: str
) -> None:
    nodes = await start(replace(APP, max_total_subscribes_per_second=2), when_unavailable)
    client = await nodes.each[0].client()
    await nodes.lose_redis()
    assert (await client.subscribe("news"))["event"] == answer
