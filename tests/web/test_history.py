"""The REST call that reads the log of a channel, and rules that change while the server runs."""

from dataclasses import replace
from typing import Any

import pytest

from soketpy import App, Key
from soketpy.core.history import HistoryRule, Position, parse_position
from tests.conftest import Peers, Reply, StartServer
from tests.fakes import APP

pytestmark = pytest.mark.usefixtures("nodes")

STORED = replace(APP, history=(HistoryRule(channels="room*"), HistoryRule(channels="private-room")))
OTHER = App(id="other", keys=(Key("other-key", "other-secret"),), history=(HistoryRule(channels="*"),))


@pytest.fixture
async def peers(start_server: StartServer) -> Peers:
    """Return a server with two apps, both with history."""
    return await start_server(apps=(STORED, OTHER))


async def read(peers: Peers, channel: str = "room", app: App = STORED, **query: object) -> Reply:
    return await peers.call("GET", f"/channels/{channel}/events", query={k: str(v) for k, v in query.items()}, app=app)


async def page(peers: Peers, channel: str = "room", app: App = STORED, **query: object) -> Any:
    reply = await read(peers, channel, app, **query)
    assert reply.status == 200, reply.text
    return reply.json


async def filled(peers: Peers, *names: str, channel: str = "room") -> str:
    """Trigger events with these names. Return the epoch of the log."""
    for name in names:
        assert (await peers.trigger(channel, name, f'{{"of":"{name}"}}')).status == 200
    return parse_position((await page(peers, channel))["last"]).epoch


def names(page: Any) -> str:
    return "".join(event["name"] for event in page["events"])


async def test_a_log_has_the_events_that_were_triggered(peers: Peers) -> None:
    epoch = await filled(peers, "a", "b")
    found = await page(peers)
    assert found.keys() == {"events", "first", "last", "complete"}
    assert (found["first"], found["last"], found["complete"]) == (f"{epoch}:1", f"{epoch}:2", True)
    one, two = found["events"]
    assert (one["id"], one["name"], one["data"]) == (f"{epoch}:1", "a", '{"of":"a"}')
    assert one["time_ms"] <= two["time_ms"]
    assert one.keys() == {"id", "name", "data", "time_ms"}


async def test_a_batch_is_in_the_logs_of_its_channels_in_its_order(peers: Peers) -> None:
    events = [{"channel": channel, "name": name, "data": "{}"} for channel, name in (("room", "a"), ("room1", "b"))]
    batch = [*events, {"channel": "room", "name": "c", "data": "{}"}, {"channel": "news", "name": "d", "data": "{}"}]
    assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 200
    assert names(await page(peers)) == "ac"
    assert names(await page(peers, "room1")) == "b"


async def test_the_log_of_a_channel_without_events_is_empty(peers: Peers) -> None:
    assert await page(peers) == {"events": [], "first": None, "last": None, "complete": True}


@pytest.mark.parametrize("direction", [{}, {"direction": "forwards"}])
async def test_pages_forwards_have_each_event_once(peers: Peers, direction: dict[str, Any]) -> None:
    epoch = await filled(peers, *"abcdefg")
    found, after = "", f"{epoch}:0"
    for expected in ("abc", "def", "g", ""):
        one = await page(peers, after=after, limit=3, **direction)
        assert one["complete"]
        assert names(one) == expected
        found += expected
        after = one["events"][-1]["id"] if one["events"] else after
    assert found == "abcdefg"


async def test_pages_backwards_begin_with_the_newest_event(peers: Peers) -> None:
    await filled(peers, *"abcdefg")
    one = await page(peers, limit=3, direction="backwards")
    assert names(one) == "gfe"
    two = await page(peers, limit=3, direction="backwards", before=one["events"][-1]["id"])
    assert names(two) == "dcb"
    three = await page(peers, limit=3, direction="backwards", before=two["events"][-1]["id"])
    assert names(three) == "a"
    assert [each["complete"] for each in (one, two, three)] == [True] * 3
    assert names(await page(peers, limit=3, direction="backwards", before=three["events"][-1]["id"])) == ""


async def test_a_range_has_the_events_between_two_positions(peers: Peers) -> None:
    epoch = await filled(peers, *"abcdefg")
    between: dict[str, Any] = {"after": f"{epoch}:2", "before": f"{epoch}:6"}
    assert names(await page(peers, **between)) == "cde"
    assert names(await page(peers, direction="backwards", **between)) == "edc"
    assert names(await page(peers, limit=2, **between)) == "cd"
    assert names(await page(peers, after=f"{epoch}:6", before=f"{epoch}:2")) == ""


WRONG = [
    *(({"limit": limit}, "The limit must be ") for limit in ("9" * 5000, "x", "1.5", "--1", "-")),
    *(({"limit": limit}, "The limit must be from 1 to 1000.") for limit in ("0", "-1", "1001", str(10**9))),
    *(({"limit": limit}, "The limit must be a whole number from 1 to 1000.") for limit in ("", " 1", "٣", "1e2")),
    ({"direction": "up"}, "The direction must be forwards or backwards."),
    ({"direction": ""}, "The direction must be forwards or backwards."),
    *(
        ({name: text}, f"The parameter {name} must be a position, such as the id of an event.")
        for name in ("after", "before")
        for text in ("", "5", "0123456789abcdef", "0123456789abcdef:", "0123456789ABCDEF:1", "0123456789abcdef:-1")
    ),
    ({"after": "0123456789abcdef:01"}, "The parameter after must be a position, such as the id of an event."),
    ({"after": "0123456789abcdef:1 "}, "The parameter after must be a position, such as the id of an event."),
    ({"after": "0123456789abcdef:٣"}, "The parameter after must be a position, such as the id of an event."),
    ({"after": f"0123456789abcdef:{2**53 + 1}"}, "The parameter after must be a position, such as the id of an event."),
    ({"after": "0" * 10_000}, "The parameter after must be a position, such as the id of an event."),
]


@pytest.mark.parametrize(("query", "said"), WRONG)
async def test_a_wrong_parameter_is_refused(peers: Peers, query: dict[str, Any], said: str) -> None:
    await filled(peers, "a")
    reply = await read(peers, **query)
    assert (reply.status, reply.json["code"]) == (400, 400)
    assert reply.json["error"].startswith(said)
    assert names(await page(peers)) == "a"


@pytest.mark.parametrize("limit", [1, 1000])
async def test_a_limit_may_be_from_1_to_1000(peers: Peers, limit: int) -> None:
    await filled(peers, "a")
    assert names(await page(peers, limit=limit)) == "a"


@pytest.mark.parametrize("serial", [4, 5, 2**53])
@pytest.mark.parametrize("name", ["after", "before"])
async def test_a_position_in_the_future_is_not_complete(peers: Peers, name: str, serial: int) -> None:
    epoch = await filled(peers, "a", "b", "c")
    asked: dict[str, Any] = {name: f"{epoch}:{serial}"}
    found = await page(peers, **asked)
    assert found["complete"] is (name == "before" and serial == 4)
    assert names(found) == ("" if name == "after" else "abc")


@pytest.mark.parametrize("name", ["after", "before"])
async def test_a_position_of_another_epoch_is_not_complete(peers: Peers, name: str) -> None:
    await filled(peers, "a", "b", "c")
    asked: dict[str, Any] = {name: "0123456789abcdef:2"}
    found = await page(peers, **asked)
    assert (names(found), found["complete"]) == ("abc", False)


async def test_a_position_of_another_channel_is_not_complete(peers: Peers) -> None:
    await filled(peers, "a", "b", "c")
    epoch = await filled(peers, "d", "e", channel="room1")
    found = await page(peers, after=f"{epoch}:1")
    assert (names(found), found["complete"]) == ("abc", False)


async def test_a_position_in_a_log_that_does_not_exist_is_not_complete(peers: Peers) -> None:
    found = await page(peers, "room-of-nobody", after="0123456789abcdef:1")
    assert found == {"events": [], "first": None, "last": None, "complete": False}


async def test_a_position_before_dropped_events_is_not_complete(peers: Peers) -> None:
    peers.reload(replace(STORED, history=(HistoryRule(channels="room", events=2),)), OTHER)
    epoch = await filled(peers, *"abcde")
    lost = await page(peers, after=f"{epoch}:2")
    assert (names(lost), lost["complete"], lost["first"]) == ("de", False, f"{epoch}:4")
    kept = await page(peers, after=f"{epoch}:3")
    assert (names(kept), kept["complete"]) == ("de", True)


async def test_an_app_does_not_see_the_log_of_another_one(peers: Peers) -> None:
    epoch = await filled(peers, "secret")
    position = str(Position(epoch, 0))
    queries: list[dict[str, Any]] = [{}, {"after": position}, {"before": f"{epoch}:2"}, {"direction": "backwards"}]
    for query in queries:
        assert (await page(peers, app=OTHER, **query))["events"] == []
    assert (await page(peers, app=OTHER))["last"] is None
    stranger = replace(OTHER, id=STORED.id)
    assert (await read(peers, app=stranger)).status == 401
    unsigned = await peers.request("GET", f"/apps/{STORED.id}/channels/room/events")
    assert unsigned.status == 401
    assert "secret" not in unsigned.text


async def test_a_channel_without_history_is_not_found(peers: Peers) -> None:
    reply = await read(peers, "news")
    assert (reply.status, reply.json) == (404, {"error": "The channel has no history.", "code": 404})


@pytest.mark.parametrize("channel", ["room%2Fa", "room%20a", "r%C3%A4ume", "%23room", "room" + "x" * 200])
async def test_a_name_that_no_channel_can_have_is_refused(peers: Peers, channel: str) -> None:
    reply = await read(peers, channel)
    assert (reply.status, reply.json["error"].split(" ")[:2]) in ((400, ["The", "channel"]), (400, ["A", "channel"]))


async def test_head_has_the_status_and_no_body(peers: Peers) -> None:
    await filled(peers, "a")
    reply = await peers.call("HEAD", "/channels/room/events", app=STORED)
    assert (reply.status, reply.text) == (200, "")
    assert int(reply.headers["Content-Length"]) > 0
    assert (await peers.call("HEAD", "/channels/news/events", app=STORED)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_is_not_allowed(peers: Peers, method: str) -> None:
    reply = await peers.call(method, "/channels/room/events", app=STORED)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_a_read_costs_one_point(peers: Peers) -> None:
    peers.reload(replace(STORED, max_read_requests_per_second=2))
    replies = [await read(peers) for _ in range(2)]
    assert [each.headers["X-RateLimit-Limit"] for each in replies] == ["2", "2"]
    assert replies[0].status == 200
    later = {(await read(peers)).status for _ in range(20)}
    assert later - {200} == {429}


async def test_a_changed_rule_applies_to_the_next_event(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    await peers.trigger("news", "a")
    assert (await read(peers, "news")).status == 404
    peers.reload(replace(STORED, history=(HistoryRule(channels="news", rewind=1),)))
    assert (await page(peers, "news"))["events"] == []
    assert (await read(peers, "room")).status == 404
    for name in "bc":
        await peers.trigger("news", name)
    assert names(await page(peers, "news")) == "bc"
    assert [(await client.hear())["event"] for _ in "abc"] == ["a", "b", "c"]
    late = await peers.client()
    await late.subscribe("news")
    assert (await late.hear())["event"] == "c"
    peers.reload(replace(STORED, history=(HistoryRule(channels="news", events=1),)))
    await peers.trigger("news", "d")
    assert names(await page(peers, "news")) == "d"
    peers.reload(replace(STORED, history=()))
    assert (await read(peers, "news")).status == 404
    await peers.trigger("news", "e")
    peers.reload(STORED)
    assert [(await client.hear())["event"] for _ in "de"] == ["d", "e"]
