"""The contract of stores of logs on one node: each test runs with every store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soketpy.core import steps
from soketpy.core.history import HistoryRule, Position, Query
from soketpy.drivers.local.history import ENTRY_SIZE, LOG_SIZE
from soketpy.protocol.ids import NumericId
from soketpy.protocol.messages import Event
from tests.drivers.logs import KINDS, MIB, Kit, names, task_of
from tests.patience import attempts

RULE = HistoryRule(channels="*")
SMALL = HistoryRule(channels="*", events=3)


@pytest.fixture(params=KINDS)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    kit = Kit(request.param, tmp_path / "history.db", app_size=40_000, size=MIB)
    await kit.start()
    yield kit
    await kit.stop()


async def test_events_are_read_in_the_order_of_their_publication(kit: Kit) -> None:
    await asyncio.gather(*(kit.publish("room", str(number), RULE) for number in range(50)))
    page = await kit.read("room", RULE)
    assert names(page) == [str(number) for number in range(50)]
    assert [entry.serial for entry in page.entries] == list(range(1, 51))
    assert (page.first, page.last, page.complete) == (1, 50, True)
    assert [(position, event.name) for _, _, position, event in kit.delivered] == [
        (Position(page.epoch, number + 1), str(number)) for number in range(50)
    ]


async def test_an_event_comes_back_as_it_was(kit: Kit) -> None:
    events = [
        Event("half \ud800 pair", b'"text"'),
        Event("client-moved", b'{"x":1}', NumericId("5")),
        Event("client-moved", b"[]", "5"),
        Event("empty user", b"1", None),
    ]
    for event in events:
        receipt = kit.store.publish("app", "room", event, RULE, "1.2", lambda position: None)
        if receipt is not None:
            await task_of(_wait(receipt))
    found = (await kit.read("room", RULE)).entries
    assert [entry.event for entry in found] == events
    assert [type(entry.event.user_id) for entry in found] == [type(event.user_id) for event in events]
    assert {entry.exclude for entry in found} == {"1.2"}
    assert {entry.time_ms for entry in found} == {1_000_000_000}


async def _wait(receipt: object) -> None:
    await receipt  # type: ignore[misc] # a receipt


async def test_a_read_resumes_between_two_deliveries(kit: Kit) -> None:
    seen: list[tuple[int, int]] = []
    waiting = []

    async def read() -> None:
        page = await kit.store.read("app", "room", RULE, Query(10))
        seen.append((page.last, len(kit.delivered)))

    for number in range(40):
        waiting.append(kit.publish("room", str(number), RULE))
        steps.begin(read())
    await asyncio.gather(*waiting)
    assert seen == [(number, number) for number in range(1, 41)]


async def test_pages_follow_each_other_in_both_directions(kit: Kit) -> None:
    await asyncio.gather(*(kit.publish("room", str(number), RULE) for number in range(10)))
    epoch = (await kit.read("room", RULE)).epoch
    forwards, position = list[str](), Position(epoch, 0)
    for _ in attempts():
        if not (page := await kit.read("room", RULE, Query(3, after=position))).entries:
            break
        assert page.complete
        forwards += names(page)
        position = Position(epoch, page.entries[-1].serial)
    backwards, position = list[str](), Position(epoch, 11)
    for _ in attempts():
        if not (page := await kit.read("room", RULE, Query(3, before=position, backwards=True))).entries:
            break
        assert page.complete
        backwards = names(page) + backwards
        position = Position(epoch, page.entries[0].serial)
    assert forwards == backwards == [str(number) for number in range(10)]


async def test_a_page_has_about_the_bytes_of_the_query(kit: Kit) -> None:
    for number in range(5):
        await kit.publish("room", str(number), RULE, data=b'"%b"' % (b"x" * 998))
    assert names(await kit.read("room", RULE, Query(10, size=2000))) == ["0", "1"]
    assert names(await kit.read("room", RULE, Query(10, size=2000, backwards=True))) == ["3", "4"]
    assert names(await kit.read("room", RULE, Query(10, size=1))) == ["0"]


async def test_a_query_asks_for_the_events_of_the_last_seconds(kit: Kit) -> None:
    for number in range(5):
        await kit.publish("room", str(number), RULE)
        kit.time += 10
    assert names(await kit.read("room", RULE, Query(10, seconds=25, backwards=True))) == ["3", "4"]
    assert names(await kit.read("room", RULE, Query(10, seconds=25))) == ["3", "4"]


async def test_the_oldest_events_are_dropped_beyond_the_number_of_a_rule(kit: Kit) -> None:
    await asyncio.gather(*(kit.publish("room", name, SMALL) for name in "abcde"))
    page = await kit.read("room", SMALL)
    assert (names(page), page.first, page.last) == (["c", "d", "e"], 3, 5)
    assert not (await kit.read("room", SMALL, Query(10, after=Position(page.epoch, 1)))).complete
    assert (await kit.read("room", SMALL, Query(10, after=Position(page.epoch, 2)))).complete


async def test_events_that_are_too_old_are_not_read(kit: Kit) -> None:
    rule = HistoryRule(channels="*", seconds=60)
    await kit.publish("room", "old", rule)
    kit.time += 30
    await kit.publish("room", "new", rule)
    kit.time += 30
    page = await kit.read("room", rule)
    assert (names(page), page.first, page.last) == (["new"], 2, 2)
    kit.time += 60
    empty = await kit.read("room", rule)
    assert (names(empty), empty.first, empty.last, empty.epoch) == ([], 3, 2, page.epoch)
    await kit.publish("room", "newest", rule)
    assert [entry.serial for entry in (await kit.read("room", rule)).entries] == [3]


async def test_a_log_has_at_most_the_bytes_of_its_rule(kit: Kit) -> None:
    rule = HistoryRule(channels="*", kib=4)
    await asyncio.gather(*(kit.publish("room", name, rule, data=b'"%b"' % (b"x" * 1500)) for name in "abcde"))
    assert names(await kit.read("room", rule)) == ["d", "e"]


async def test_a_rule_that_became_smaller_applies_to_the_next_read(kit: Kit) -> None:
    await asyncio.gather(*(kit.publish("room", name, RULE) for name in "abcde"))
    assert names(await kit.read("room", SMALL)) == ["c", "d", "e"]
    assert names(await kit.read("room", RULE)) == ["c", "d", "e"]
    await kit.publish("room", "f", RULE)
    assert names(await kit.read("room", RULE)) == ["c", "d", "e", "f"]


async def test_the_logs_without_a_new_event_for_the_longest_time_are_dropped_first(kit: Kit) -> None:
    big = b'"%b"' % (b"x" * 8000)
    await kit.publish("a", "1", RULE, data=big)
    await kit.publish("b", "1", RULE, data=big)
    await kit.publish("other", "1", RULE, data=big, app="another")
    await kit.publish("a", "2", RULE, data=big)
    before = {channel: (await kit.read(channel, RULE)).epoch for channel in "ab"}
    await kit.publish("c", "1", RULE, data=big)
    await kit.publish("c", "2", RULE, data=big)
    assert names(await kit.read("a", RULE)) == ["1", "2"]
    assert names(await kit.read("other", RULE, app="another")) == ["1"]
    dropped = await kit.read("b", RULE, Query(10, after=Position(before["b"], 1)))
    assert (dropped.epoch, names(dropped), dropped.complete) == ("", [], False)
    await kit.publish("b", "2", RULE)
    again = await kit.read("b", RULE, Query(10, after=Position(before["b"], 1)))
    assert (again.epoch == before["b"], names(again), again.complete) == (False, ["2"], False)


async def test_a_log_that_was_begun_keeps_its_epoch(kit: Kit) -> None:
    begun = await kit.read("room", RULE, Query(10), begin=True)
    assert (begun.first, begun.last, bool(begun.epoch)) == (1, 0, True)
    await kit.publish("room", "one", RULE)
    page = await kit.read("room", RULE, Query(10, after=Position(begun.epoch, 0)))
    assert (names(page), page.complete) == (["one"], True)


@pytest.mark.parametrize("position", [Position("0" * 16, 1), Position("epoch", 2)])
async def test_a_position_of_another_log_or_of_the_future_is_incomplete(kit: Kit, position: Position) -> None:
    await kit.publish("room", "one", RULE)
    epoch = (await kit.read("room", RULE)).epoch
    asked = Position(epoch, position.serial) if position.epoch == "epoch" else position
    assert not (await kit.read("room", RULE, Query(10, after=asked))).complete
    assert not (await kit.read("never", RULE, Query(10, after=asked))).complete


async def test_after_a_restart_a_log_has_all_of_its_events_or_a_new_epoch(kit: Kit) -> None:
    await asyncio.gather(*(kit.publish("room", name, SMALL) for name in "abcde"))
    begun = await kit.read("empty", RULE, Query(10), begin=True)
    before = await kit.read("room", SMALL)
    await kit.restart()
    after = await kit.read("room", SMALL, Query(10, after=Position(before.epoch, 3)))
    if kit.keeps:
        assert (after.epoch, names(after), after.first, after.complete) == (before.epoch, ["d", "e"], 3, True)
        assert (await kit.read("empty", RULE)).epoch == begun.epoch
        await kit.publish("room", "f", SMALL)
        assert [entry.serial for entry in (await kit.read("room", SMALL)).entries] == [4, 5, 6]
    else:
        assert (after.epoch, names(after), after.complete) == ("", [], False)


async def test_a_large_event_is_dropped_and_counted(kit: Kit) -> None:
    rule = HistoryRule(channels="*", kib=1)
    await kit.publish("room", "one", rule, data=b'"%b"' % (b"x" * 2000))
    page = await kit.read("room", rule)
    assert (names(page), page.first, page.last) == ([], 2, 1)
    assert ENTRY_SIZE + LOG_SIZE < 2000


async def test_a_log_without_a_rule_is_dropped_and_starts_with_a_new_epoch(kit: Kit) -> None:
    for app, channel in (("app", "lost"), ("app", "kept"), ("other", "lost")):
        await kit.publish(channel, "old", RULE, app=app)
    await kit.read("begun", RULE, begin=True)
    before = {channel: (await kit.read(channel, RULE)).epoch for channel in ("lost", "kept", "begun")}
    publication = kit.publish("lost", "last", RULE)
    kit.store.drop_unruled({"app": (HistoryRule(channels="kept"),)}.get)
    await publication
    assert (await kit.read("lost", RULE)).epoch == ""
    await kit.publish("lost", "new", RULE)
    await kit.restart()
    if not kit.keeps:
        return
    assert names(await kit.read("lost", RULE)) == ["new"]
    assert (await kit.read("kept", RULE)).epoch == before["kept"]
    assert names(await kit.read("lost", RULE, app="other")) == ["old"]
    assert (await kit.read("begun", RULE, begin=True)).epoch != before["begun"]
    assert not (await kit.read("lost", RULE, Query(10, after=Position(before["lost"], 2)))).complete
