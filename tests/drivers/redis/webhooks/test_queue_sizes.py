"""The bytes that webhooks take in Redis: those of an endpoint's queue and those of dead letters are bounded."""

from collections.abc import AsyncIterator

import pytest

from soketpy.core.webhook_ports import Revival
from soketpy.drivers.redis import scripts
from tests.drivers.queues import RedisKit, delivery, ids

SIZE = 400
"""Bytes of a body. Two bodies are below the bound of the test, and three are above it."""


@pytest.fixture
async def kit(redis: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisKit]:
    source = scripts.SOURCES["webhooks/queue.lua"]
    assert source.count("MOST_BYTES = 67108864") == 1
    monkeypatch.setitem(
        scripts.SOURCES, "webhooks/queue.lua", source.replace("MOST_BYTES = 67108864", "MOST_BYTES = 1000")
    )
    kit = RedisKit(redis)
    yield kit
    await kit.close()


async def test_the_oldest_deliveries_of_an_endpoint_with_too_many_bytes_become_dead_letters(kit: RedisKit) -> None:
    queue = await kit.open()
    given = [delivery(size=SIZE) for _ in range(5)]
    other = delivery(webhook="other", size=SIZE)
    assert await queue.put([*given, other]) == 3
    assert {each.webhook_id: each.length for each in await queue.lengths()} == {"hook": 2, "other": 1}
    for expected in given[3:]:
        [taken] = [each for each in await queue.take() if each.webhook_id == "hook"]
        assert taken.id == expected.id
        await queue.finish(taken)


async def test_finished_deliveries_make_room(kit: RedisKit) -> None:
    queue = await kit.open()
    for _ in range(5):
        assert await queue.put([delivery(size=SIZE), delivery(size=SIZE)]) == 0
        for _ in range(2):
            [taken] = await queue.take()
            await queue.finish(taken)


async def test_letters_stay_dead_while_their_endpoint_has_too_many_bytes(kit: RedisKit) -> None:
    queue = await kit.open()
    given = [delivery(size=SIZE) for _ in range(2)]
    small, waiting = delivery(), delivery(size=SIZE)
    for each in given:
        await queue.put([each])
        await queue.bury((await queue.take())[0], "gone")
    await queue.put([small])
    await queue.bury((await queue.take())[0], "gone")
    await queue.put([waiting])
    assert await queue.revive() == Revival(1, kept=2)
    assert [each.delivery.id for each in await queue.dead(10)] == ids([small, given[1]])  # none overtakes another one


async def test_the_oldest_dead_letters_are_removed_if_all_have_too_many_bytes(kit: RedisKit) -> None:
    queue = await kit.open()
    given = [delivery(size=SIZE) for _ in range(5)]
    for each in given:
        await queue.put([each])
        [taken] = await queue.take()
        await queue.bury(taken, "gone")
    kept = [letter.delivery for letter in await queue.dead(10)]
    assert ids(kept) == ids([given[4], given[3]])
    assert await queue.purge() == 2
    await queue.put([given[0]])
    [taken] = await queue.take()
    await queue.bury(taken, "gone")
    assert len(await queue.dead(10)) == 1
