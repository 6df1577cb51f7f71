"""Idempotency keys of stored events, in each kind of store of one node."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soketpy.core.history import HistoryRule
from soketpy.core.idempotency import KeyReused, Once
from soketpy.protocol.messages import Event
from tests.drivers.logs import KINDS, Kit, names, task_of

RULE = HistoryRule(channels="*")


@pytest.fixture(params=KINDS)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    kit = Kit(request.param, tmp_path / "history.db")
    await kit.start()
    yield kit
    await kit.stop()


async def publish(kit: Kit, name: str, once: str | None = "key", channel: str = "room", app: str = "app") -> None:
    """Publish an event, and wait until it is stored. All events have the same digest, except those named "another"."""
    event = Event(name, b'"{}"')
    key = None if once is None else Once(once, "other-digest" if name == "another" else "digest")
    receipt = kit.store.publish(
        app, channel, event, RULE, None, lambda position: kit.delivered.append((app, channel, position, event)), key
    )

    async def confirm() -> None:
        if receipt is not None:
            await receipt

    await task_of(confirm())


async def test_a_repeated_key_stores_and_delivers_nothing(kit: Kit) -> None:
    for name in ("first", "second"):
        await publish(kit, name)
    assert names(await kit.read("room", RULE)) == ["first"]
    assert [event.name for *_, event in kit.delivered] == ["first"]


async def test_repeats_in_one_transaction_store_one_event(kit: Kit) -> None:
    for name in ("first", "second", "third"):
        event = Event(name, b'"{}"')
        kit.store.publish("app", "room", event, RULE, None, lambda position: None, Once("key", "digest"))
    await publish(kit, "fourth")
    assert names(await kit.read("room", RULE)) == ["first"]


async def test_a_key_is_that_of_one_channel_of_one_app(kit: Kit) -> None:
    await publish(kit, "first")
    await publish(kit, "first", channel="other")
    await publish(kit, "first", app="another")
    assert len(kit.delivered) == 3


async def test_a_key_is_forgotten_after_its_time(kit: Kit) -> None:
    await publish(kit, "first")
    kit.time += 119
    await publish(kit, "second")
    kit.time += 2
    await publish(kit, "third")
    assert names(await kit.read("room", RULE)) == ["first", "third"]


async def test_old_keys_are_removed(kit: Kit) -> None:
    for number in range(50):
        await publish(kit, str(number), f"key-{number}")
    kit.time += 121
    for number in range(50):
        await publish(kit, str(number), f"later-{number}")
    for number in range(50):
        await publish(kit, "again", f"later-{number}")
    assert len(names(await kit.read("room", RULE))) == 100


async def test_a_key_survives_a_restart_if_the_logs_do(kit: Kit) -> None:
    await publish(kit, "first")
    await kit.restart()
    await publish(kit, "second")
    assert names(await kit.read("room", RULE)) == (["first"] if kit.keeps else ["second"])


async def test_a_key_of_another_event_is_refused_and_disturbs_nobody(kit: Kit) -> None:
    await publish(kit, "first")
    with pytest.raises(KeyReused):
        await publish(kit, "another")
    results = await asyncio.gather(
        publish(kit, "a", "key-a"), publish(kit, "another"), publish(kit, "b", "key-b"), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), KeyReused, type(None)]
    assert names(await kit.read("room", RULE)) == ["first", "a", "b"]
