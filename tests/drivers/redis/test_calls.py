"""A call to publish waits for its own events alone, whatever became of those that were published before it."""

from collections.abc import Callable
from typing import Any

import pytest

from soketpy.core import triggers
from soketpy.core.ports import Receipt, Unavailable
from tests.drivers.redis.test_alone import Parted
from tests.fakes import APP, Client

CACHED, PLAIN = "cache-news", "news"

pytestmark = [
    pytest.mark.usefixtures("nodes", "contained"),
    pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True),
]


class Bug(Exception):
    """An exception that no code of the server expects."""


@pytest.fixture
def house() -> Parted:
    return Parted()


@pytest.fixture
def failing(house: Parted, monkeypatch: pytest.MonkeyPatch) -> Parted:
    """A house whose first node cannot publish on the channel ``broken``."""
    whole = house.node._bus.publish

    def publish(app_id: str, channel: str, *event: Any) -> Receipt | None:
        if channel == "broken":
            raise Bug
        return whole(app_id, channel, *event)

    monkeypatch.setattr(house.node._bus, "publish", publish)
    return house


def trigger(*channels: str) -> triggers.Trigger:
    return triggers.Trigger("said", b'"{}"', channels, None, ())


def subscriber(house: Parted, channel: str) -> Client:
    client = house.connect()
    client.subscribe(channel)
    client.take()
    return client


def let_redis_refuse_cached_events(house: Parted) -> None:
    """Put a key of another type where the cache of the channel is."""
    for session in house.sessions:
        key = f"{session.prefix}last:{len(APP.id)}:{APP.id}:{CACHED}"
        house._run(session.ask("SET", key, "no hash"))


def terminate(house: Parted) -> Receipt | None:
    return house.node.terminate(APP.id, "ada")


def publish(house: Parted) -> Receipt | None:
    return house.node.publish(APP, trigger(PLAIN))


def publish_cached(house: Parted) -> Receipt | None:
    return house.node.publish(APP, trigger("cache-sport"))


def publish_several(house: Parted) -> Receipt | None:
    return house.node.publish(APP, trigger(PLAIN), trigger("cache-sport", "sport"))


CALLS: list[Callable[[Parted], Receipt | None]] = [publish, publish_cached, publish_several, terminate]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_midway_leaves_the_next_call_its_own_answer(
    failing: Parted, call: Callable[[Parted], Receipt | None]
) -> None:
    let_redis_refuse_cached_events(failing)
    with pytest.raises(Bug):
        failing.node.publish(APP, trigger(CACHED, "broken", PLAIN))
    failing.confirm(call(failing))
    assert failing.node.room.__self__._in_flight == {}, "nothing stays in the app's window"  # type: ignore[attr-defined]


def test_a_call_that_fails_midway_still_publishes_on_its_other_channels(failing: Parted) -> None:
    clients = [subscriber(failing, channel) for channel in (CACHED, PLAIN)]
    with pytest.raises(Bug):
        failing.node.publish(APP, trigger(CACHED, "broken", PLAIN))
    assert [client.heard() for client in clients] == [["said"]] * 2


def test_a_call_whose_cached_event_redis_refuses_is_told_so(house: Parted) -> None:
    let_redis_refuse_cached_events(house)
    receipt = house.node.publish(APP, trigger(CACHED, PLAIN))
    with pytest.raises(Unavailable):
        house.confirm(receipt)


@pytest.mark.parametrize("call", CALLS)
def test_a_client_event_that_redis_refuses_leaves_the_next_call_its_own_answer(
    house: Parted, call: Callable[[Parted], Receipt | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = house.connect()
    while sender.connection._node is not house.node:
        sender = house.connect()
    sender.subscribe("private-a")
    sender.take()
    with monkeypatch.context() as patched:
        for session in house.sessions:
            patched.setattr(session.wire, "publishes", "SADD")  # which Redis refuses: a topic is no set
            house._run(session.ask("SET", session.prefix + topic_of(session, "private-a"), "no set"))
        sender.say("client-typing", {}, channel="private-a")
    house.confirm(call(house))


def topic_of(session: Any, channel: str) -> str:
    return f"t:{len(APP.id)}:{APP.id}:{channel}"
