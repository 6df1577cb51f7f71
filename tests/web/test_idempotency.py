"""Calls with an idempotency key: a repeated call publishes nothing and returns the first answer."""

import asyncio
from dataclasses import replace
from typing import Any

import pusher
import pytest

from soketpy.core.history import HistoryRule
from tests.conftest import Peers, Reply, StartServer
from tests.fakes import APP
from tests.patience import attempts

pytestmark = pytest.mark.usefixtures("nodes")

STORED = replace(APP, history=(HistoryRule(channels="stored-*"),))


@pytest.fixture
async def peers(start_server: StartServer) -> Peers:
    return await start_server(apps=(STORED,))


async def trigger(peers: Peers, channels: list[str], name: str, key: object = "a-key", **fields: Any) -> Reply:
    body = {"name": name, "channels": channels, "data": "{}", "idempotency_key": key, **fields}
    return await peers.call("POST", "/events", body)


async def heard_until(client: Any, last: str) -> list[str]:
    """Return the names of the events up to one that is published at the end."""
    heard = list[str]()
    for _ in attempts():
        if heard and heard[-1] == last:
            break
        heard.append((await client.hear())["event"])
    return heard


@pytest.mark.parametrize("channel", ["news", "stored-news", "cache-news"])
async def test_a_repeated_call_publishes_nothing(peers: Peers, channel: str) -> None:
    client = await peers.client()
    await client.subscribe(channel)
    if channel.startswith("cache-"):
        assert (await client.hear())["event"] == "pusher:cache_miss"
    for _ in range(3):
        assert (await trigger(peers, [channel], "once")).status == 200
    assert (await trigger(peers, [channel], "other", "b-key")).status == 200
    assert (await peers.trigger(channel, "last")).status == 200
    assert await heard_until(client, "last") == ["once", "other", "last"]


async def test_a_stored_event_is_stored_once(peers: Peers) -> None:
    for _ in range(3):
        await trigger(peers, ["stored-news"], "once")
    log = (await peers.call("GET", "/channels/stored-news/events")).json
    assert [event["name"] for event in log["events"]] == ["once"]


async def test_a_repeated_call_gets_the_first_answer(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    first = await trigger(peers, ["news"], "once", info="subscription_count")
    assert first.json == {"channels": {"news": {"subscription_count": 1}}}
    other = await peers.client()
    await other.subscribe("news")
    again = await trigger(peers, ["news"], "once", info="subscription_count")
    assert (again.status, again.json) == (200, first.json)


async def test_a_key_with_another_body_is_refused(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    await trigger(peers, ["news"], "once")
    refused = await trigger(peers, ["news"], "another")
    assert refused.status == 422
    assert "idempotency_key" in refused.json["error"]
    await peers.trigger("news", "last")
    assert await heard_until(client, "last") == ["once", "last"]


async def test_keys_of_two_apps_do_not_meet(start_server: StartServer) -> None:
    from soketpy import App, Key

    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    peers = await start_server(apps=(APP, other))
    client = await peers.client(path="/app/other-key?protocol=7")
    await client.subscribe("news")
    await trigger(peers, ["news"], "mine")
    body = {"name": "theirs", "channels": ["news"], "data": "{}", "idempotency_key": "a-key"}
    assert (await peers.call("POST", "/events", body, app=other)).status == 200
    assert (await client.hear())["event"] == "theirs"


async def test_a_repeated_batch_publishes_nothing(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    await client.subscribe("stored-news")
    events = [{"name": name, "channel": channel, "data": "{}"} for name in "ab" for channel in ("news", "stored-news")]
    for _ in range(2):
        reply = await peers.call("POST", "/batch_events", {"batch": events, "idempotency_key": "a-key"})
        assert (reply.status, reply.json) == (200, {})
    await peers.trigger("news", "last")
    await peers.trigger("stored-news", "last")
    heard = [(await client.hear()) for _ in range(6)]
    for channel in ("news", "stored-news"):
        assert [each["event"] for each in heard if each["channel"] == channel] == ["a", "b", "last"]


async def test_pythons_pusher_sends_keys_in_a_batch(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(STORED, id="1"),))  # this library takes only ids of digits
    publisher = pusher.Pusher("1", "app-key", "app-secret", ssl=False, host="127.0.0.1", port=peers.port)
    client = await peers.client()
    await client.subscribe("stored-news")
    for name, key in (("once", "a-key"), ("once", "a-key"), ("last", "b-key")):
        events = [{"channel": "stored-news", "name": name, "data": {"id": 7}, "idempotency_key": key}]
        assert await asyncio.to_thread(publisher.trigger_batch, events) == {}
    assert await heard_until(client, "last") == ["once", "last"]


async def test_each_event_of_a_batch_may_have_its_own_key(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    for names in ("ab", "bc"):
        batch = [{"name": name, "channel": "news", "data": "{}", "idempotency_key": name} for name in names]
        assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 200
    await peers.trigger("news", "last")
    assert await heard_until(client, "last") == ["a", "b", "c", "last"]


@pytest.mark.parametrize("key", ["", "x" * 201, "é", "a\nb", "\0", "\x7f", 7, ["a"], {}])
async def test_a_wrong_key_is_refused(peers: Peers, key: object) -> None:
    reply = await trigger(peers, ["news"], "once", key)
    assert reply.status == 400
    assert "key" in reply.json["error"] or "Expected" in reply.json["error"]


async def test_a_batch_has_one_key_or_each_event_its_own(peers: Peers) -> None:
    batch = [{"name": "a", "channel": "news", "data": "{}", "idempotency_key": "a"}]
    reply = await peers.call("POST", "/batch_events", {"batch": batch, "idempotency_key": "b"})
    assert reply.status == 400


async def test_a_null_key_is_no_key(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    for _ in range(2):
        assert (await trigger(peers, ["news"], "twice", None)).status == 200
    await peers.trigger("news", "last")
    assert await heard_until(client, "last") == ["twice", "twice", "last"]


async def test_the_key_of_a_batch_is_not_that_of_an_event(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    batch = {"batch": [{"name": "of-batch", "channel": "news", "data": "{}"}], "idempotency_key": "B1"}
    assert (await peers.call("POST", "/batch_events", batch)).status == 200
    assert (await trigger(peers, ["news"], "alone", "B1/0")).status == 200
    await peers.trigger("news", "last")
    assert await heard_until(client, "last") == ["of-batch", "alone", "last"]


@pytest.mark.parametrize("channel", ["news", "stored-news"])
async def test_of_different_calls_with_one_key_at_the_same_time_one_succeeds(peers: Peers, channel: str) -> None:
    client = await peers.client()
    await client.subscribe(channel)
    names = [f"event-{number}" for number in range(8)]
    replies = await asyncio.gather(*(trigger(peers, [channel], name) for name in names))
    assert sorted(reply.status for reply in replies) == [200] + [422] * 7
    await peers.trigger(channel, "last")
    [won] = [name for name, reply in zip(names, replies, strict=True) if reply.status == 200]
    assert await heard_until(client, "last") == [won, "last"]


@pytest.mark.parametrize("channel", ["news", "stored-news"])
async def test_a_key_of_an_event_whose_answer_is_lost_is_refused_for_another(peers: Peers, channel: str) -> None:
    client = await peers.client()
    await client.subscribe(channel)
    for name, status in (("first", 200), ("another", 422)):
        # No answer is stored for the keys of a batch's events, as for a call during which the server has ended.
        batch = {"batch": [{"name": name, "channel": channel, "data": "{}", "idempotency_key": "a-key"}]}
        assert (await peers.call("POST", "/batch_events", batch)).status == status
    await peers.trigger(channel, "last")
    assert await heard_until(client, "last") == ["first", "last"]
