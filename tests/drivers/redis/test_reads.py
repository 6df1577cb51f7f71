"""Long readings are many short steps, between which others are served, and they end within a bound."""

from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from typing import Any

import hiredis
import pytest

from soketpy.core.ports import TooSlow, Unavailable
from soketpy.drivers.redis import reads
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.reads import Reads
from tests.conftest import StartServer
from tests.drivers.redis.test_transitions import Silent, ended
from tests.fakes import APP
from tests.redis import LONG_LEASE

APP_ID = APP.id
MANY = {f"news-{number}": number for number in range(1, 3501)}


class Counting:
    """A session that records each command, and the commands of others between two steps."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.prefix, self.connected = session.prefix, True
        self.sent: list[str] = []
        self.between: list[int] = []

    def send(self, *arguments: Any, then: Any) -> None:
        self.sent.append(arguments[0])
        self._session.send(*arguments, then=then)
        step = len(self.sent)
        self._session.send("ECHO", "another", then=lambda _: self.between.append(step))


@pytest.fixture
async def session(redis: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    connect = partial(connector, Address(unix_socket=redis))
    cluster = RedisCluster(connect, f"reads-{id(request)}", lease=LONG_LEASE)
    for port in (cluster.bus, cluster.roster):
        port.attach(Silent(lambda *_: None))  # type: ignore[arg-type]
    await cluster.start()
    yield cluster.sessions[0]
    await cluster.stop()


async def fill(session: Any, kind: str, fields: dict[str, int]) -> None:
    pairs = [str(each) for pair in fields.items() for each in pair]
    await session.ask("HSET", f"{session.prefix}{kind}", *pairs)


async def given(operation: Any) -> Any:
    """Return the result of an operation, from a task."""

    results: list[Any] = []

    async def take() -> None:
        results.append(await operation)

    await ended(take())
    return results[0]


async def test_thousands_of_channels_are_listed_in_steps_and_others_are_served_between_them(session: Any) -> None:
    await fill(session, f"channels:{APP_ID}", MANY)
    counting = Counting(session)
    assert await given(Reads(counting, lambda: 0.0).channels(APP_ID, "")) == MANY  # type: ignore[arg-type]
    assert len(counting.sent) > 2
    assert set(counting.sent) == {"HSCAN"}
    assert counting.between[0] == 1, "another command was answered after the first step"
    assert len(counting.between) >= len(counting.sent) - 1, "one was answered after each step but the last"


@pytest.mark.parametrize("character", list("*?[]\\^-a"))
async def test_a_prefix_means_itself_whatever_characters_are_in_it(session: Any, character: str) -> None:
    wanted = {f"x{character}": 1, f"x{character}y": 2, f"x{character}*": 3}
    others = {"x": 4, "xb": 5, "xyz": 6, f"z{character}": 7, "X": 8, f"ax{character}": 9}
    await fill(session, f"channels:{APP_ID}", wanted | others)
    assert await given(Reads(session, lambda: 0.0).channels(APP_ID, f"x{character}")) == wanted


async def test_a_range_in_a_prefix_is_no_range(session: Any) -> None:
    await fill(session, f"channels:{APP_ID}", {"[a-c]": 1, "b": 2, "[^a]": 3, "é*": 4, "é-": 5})
    assert await given(Reads(session, lambda: 0.0).channels(APP_ID, "[a-c]")) == {"[a-c]": 1}
    assert await given(Reads(session, lambda: 0.0).channels(APP_ID, "[^a]")) == {"[^a]": 3}
    assert await given(Reads(session, lambda: 0.0).channels(APP_ID, "é*")) == {"é*": 4}


async def test_a_listing_ends_at_its_bound(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(session, f"channels:{APP_ID}", MANY)
    await fill(session, f"members:{len(APP_ID)}:{APP_ID}:presence-a", MANY)
    times = iter(range(0, 1000, 2))
    slow = Reads(session, lambda: next(times))
    with pytest.raises(TooSlow, match="could not be listed within 5 s; ask with filter_by_prefix, or try again"):
        await given(slow.channels(APP_ID, ""))
    with pytest.raises(TooSlow, match="The users could not be listed within 5 s"):
        await given(slow.members(APP_ID, "presence-a"))
    for counts in (slow.counts, slow.member_counts):
        with pytest.raises(TooSlow, match="could not be counted within 5 s"):
            await given(counts(APP_ID, list(MANY)))


@pytest.mark.parametrize(("second", "ends"), [(4.0, True), (5.5, False)])
async def test_the_readings_of_one_call_share_their_bound(session: Any, second: float, ends: bool) -> None:
    """The first one begins at 0 s and the second one at ``second``, which alone would be within 5 s."""
    await fill(session, f"channels:{APP_ID}", {"presence-a": 1})
    now = 0.0
    shared = Reads(session, lambda: now)
    assert await given(shared.channels(APP_ID, "presence-", now)) == {"presence-a": 1}
    now = second
    for counts in (shared.counts, shared.member_counts):
        if ends:
            assert len(await given(counts(APP_ID, ["presence-a"], 0.0))) == 1
        else:
            with pytest.raises(TooSlow, match="could not be counted within 5 s"):
                await given(counts(APP_ID, ["presence-a"], 0.0))
        assert len(await given(counts(APP_ID, ["presence-a"]))) == 1


async def test_a_long_listing_ends_at_the_bound_of_its_call(session: Any) -> None:
    await fill(session, f"channels:{APP_ID}", MANY)
    with pytest.raises(TooSlow, match="could not be listed within 5 s"):
        await given(Reads(session, lambda: 5.5).channels(APP_ID, "", 0.0))


async def test_what_needs_one_step_is_within_every_bound(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "PATIENCE", 0)
    slow = Reads(session, count().__next__)
    await fill(session, f"channels:{APP_ID}", {"news": 1})
    assert await given(slow.channels(APP_ID, "")) == {"news": 1}
    assert await given(slow.channels("nobody", "")) == {}


async def test_counts_are_asked_for_in_slices(session: Any) -> None:
    await fill(session, f"channels:{APP_ID}", MANY)
    await fill(session, f"members:{len(APP_ID)}:{APP_ID}:news-7", {"ada": 1, "bob": 1})
    names, counting = [*MANY, "nobody"], Counting(session)
    few = Reads(counting, lambda: 0.0)  # type: ignore[arg-type]
    assert await given(few.counts(APP_ID, names)) == [*MANY.values(), 0]
    assert counting.sent == ["HMGET"] * 8
    counts = await given(few.member_counts(APP_ID, names))
    assert dict(zip(names, counts, strict=True))["news-7"] == 2
    assert sum(counts) == 2
    assert counting.between, "others were served"
    assert await given(few.counts(APP_ID, [])) == await given(few.member_counts(APP_ID, [])) == []


async def test_an_error_of_redis_ends_a_listing(session: Any) -> None:
    await session.ask("SET", f"{session.prefix}channels:{APP_ID}", "no hash")
    with pytest.raises(Unavailable) as failed:
        await given(Reads(session, lambda: 0.0).channels(APP_ID, ""))
    assert not isinstance(failed.value, TooSlow | hiredis.ReplyError)


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("nodes", ["two nodes"], indirect=True)
async def test_rest_says_that_it_was_too_slow(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = await start_server()
    monkeypatch.setattr(reads, "PATIENCE", -1)
    monkeypatch.setattr(reads, "STEP", 1)
    client = await peers.client()
    for number in range(200):
        await client.subscribe(f"{number}-{'long' * 20}")
    reply = await peers.call("GET", "/channels")
    assert reply.status == 503
    assert reply.json == {
        "error": "The channels could not be listed within -1 s; ask with filter_by_prefix, or try again.",
        "code": 503,
    }
