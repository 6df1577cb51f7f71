"""The events inside a Python program: ``Server(on_event=…)``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from soketpy import App, Key, Server, Webhook, WebhookEvent
from soketpy.config import settings as config
from soketpy.protocol.event_types import EVENT_TYPES
from soketpy.webhooks import callback
from soketpy.webhooks.callback import Callback, with_all_events
from tests.conftest import Contained, StartServer, until
from tests.fakes import APP
from tests.patience import PATIENCE
from tests.receiver import receiving


def event(number: int) -> WebhookEvent:
    return WebhookEvent("app-id", "client_event", f"channel-{number}")


@asynccontextmanager
async def running(one: Callback) -> AsyncIterator[None]:
    one.start()
    try:
        yield
    finally:
        await one.stop()


class Heard(list[WebhookEvent]):
    """The events that a callback has had."""

    async def __call__(self, event: WebhookEvent) -> None:
        self.append(event)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self]


async def test_a_callback_gets_events_of_every_type_without_any_webhook(start_server: StartServer) -> None:
    heard = Heard()
    peers = await start_server(on_event=heard, webhooks=config.Webhooks(grace=0))
    ada, bob = await peers.client(), await peers.client()
    for client in (ada, bob):
        await client.subscribe("private-room")
    await ada.say("client-hello", {"a": "é"}, channel="private-room")
    await ada.sign_in("ada")
    await bob.subscribe("cache-empty")
    await bob.subscribe("presence-room", {"user_id": "bob"})
    await ada.peer.close()
    await bob.peer.close()
    await until(lambda: set(EVENT_TYPES) <= set(heard.names))
    [said] = [each for each in heard if each.name == "client_event"]
    assert (said.app_id, said.channel, said.event, said.socket_id) == ("app-id", "private-room", "client-hello", ada.id)


@pytest.mark.usefixtures("nodes")
async def test_each_event_is_heard_once_by_one_of_several_nodes(start_server: StartServer) -> None:
    heard = Heard()
    peers = await start_server(on_event=heard, webhooks=config.Webhooks(grace=0))
    clients = [await peers.client() for _ in range(4)]
    for client in clients:
        await client.subscribe("presence-room", {"user_id": "ada"})
    await until(lambda: heard.names.count("subscribed") == 4)
    for client in clients:
        await client.peer.close()
    await until(lambda: heard.names.count("connection_closed") == 4)
    await until(lambda: "channel_vacated" in heard.names)
    once = ("channel_occupied", "channel_vacated", "member_added", "member_removed")
    assert [heard.names.count(name) for name in once] == [1, 1, 1, 1]
    assert heard.names.count("connection_opened") == heard.names.count("subscribed") == 4


async def test_a_callback_gets_what_webhooks_get_in_the_same_order(start_server: StartServer) -> None:
    async with receiving() as receiver:
        heard = Heard()
        webhook = Webhook(url=receiver.url(), event_types=EVENT_TYPES)
        peers = await start_server(
            on_event=heard, apps=(replace(APP, webhooks=(webhook,)),), webhooks=config.Webhooks(grace=0, queue="memory")
        )
        client = await peers.client()
        await client.subscribe("news")
        await client.peer.close()
        events = await receiver.wait_for_events("connection_closed", "channel_vacated")
        of_channel = [each["name"] for each in events if each.get("channel") == "news"]
        assert [each.name for each in heard if each.channel == "news"] == of_channel


async def test_the_grace_period_is_that_of_webhooks(start_server: StartServer) -> None:
    heard = Heard()
    peers = await start_server(on_event=heard, webhooks=config.Webhooks(grace=config.LONGEST))
    for _ in range(3):
        client = await peers.client()
        await client.subscribe("news")
        await client.peer.close()
        await until(lambda: heard.names.count("connection_closed") == heard.names.count("connection_opened"))
    assert heard.names.count("channel_occupied") == 1
    assert "channel_vacated" not in heard.names


async def test_apps_of_a_reload_are_heard_too(start_server: StartServer) -> None:
    heard = Heard()
    peers = await start_server(on_event=heard)
    other = App(id="other", keys=(Key("other-key", "s"),))
    peers.server.reload(replace(peers.server.settings, apps=(APP, other)))
    await peers.client(path="/app/other-key?protocol=7")
    await until(lambda: [each.app_id for each in heard if each.name == "connection_opened"] == ["other"])


async def test_a_fault_of_the_callback_ends_one_call_only(contained: Contained) -> None:
    heard = Heard()

    async def fail_once(event: WebhookEvent) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise RuntimeError("a fault of the program")

    async with running(Callback(fail_once)) as _:
        pass
    one = Callback(fail_once)
    async with running(one):
        one.offer([event(1), event(2)])
        await until(lambda: len(heard) == 2)
    assert contained.count == 1


async def test_a_cancelled_task_that_the_callback_waits_for_ends_one_call_only(contained: Contained) -> None:
    heard = Heard()

    async def wait_for_another(event: WebhookEvent) -> None:
        heard.append(event)
        other = asyncio.create_task(asyncio.Event().wait())
        other.cancel()
        await other

    one = Callback(wait_for_another)
    async with running(one):
        one.offer([event(1), event(2)])
        await until(lambda: len(heard) == 2)
    assert contained.count == 2


async def test_a_callback_that_hides_its_cancellation_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callback, "STOP_TIMEOUT", 0.01)
    heard = Heard()

    async def hide(event: WebhookEvent) -> None:
        heard.append(event)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    one = Callback(hide)
    one.start()
    one.offer([event(1), event(2)])
    await until(lambda: len(heard) == 1)
    async with asyncio.timeout(PATIENCE):
        await one.stop()
    assert len(heard) == 1


async def test_a_slow_callback_has_a_buffer_of_bounded_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "MOST_BYTES", 1000)
    one = Callback(Heard())
    for number in range(20):
        one.offer([WebhookEvent("app-id", "client_event", f"channel-{number}", data=bytes(100))])
    assert [each.channel for each in one._events] == [f"channel-{number}" for number in range(10, 20)]
    assert one.dropped == 10


async def test_a_slow_callback_has_a_bounded_buffer_and_the_oldest_events_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard, free = Heard(), asyncio.Event()

    async def wait(event: WebhookEvent) -> None:
        await free.wait()
        heard.append(event)

    one = Callback(wait, most=10, clock=lambda: 0.0)
    async with running(one):
        one.offer([event(0)])
        await until(lambda: not one._events)
        for number in range(1, 1001):
            one.offer([event(number)])
        assert len(one._events) == 10
        assert one.dropped == 990
        free.set()
        await until(lambda: len(heard) == 11)
    assert [each.channel for each in heard] == ["channel-0", *(f"channel-{number}" for number in range(991, 1001))]
    assert caplog.text.count("on_event is too slow") == 1


async def test_the_server_serves_while_a_callback_hangs(start_server: StartServer) -> None:
    called = asyncio.Event()

    async def hang(event: WebhookEvent) -> None:
        called.set()
        await asyncio.Event().wait()

    peers = await start_server(on_event=hang)
    await (await peers.client()).subscribe("news")
    await called.wait()
    assert (await (await peers.client()).subscribe("news"))["event"] == "pusher_internal:subscription_succeeded"


async def test_the_last_events_are_delivered_when_the_server_stops(start_server: StartServer) -> None:
    heard = Heard()
    peers = await start_server(on_event=heard)
    client = await peers.client()
    await client.subscribe("news")
    await peers.server.stop()
    assert heard.names.count("connection_closed") == 1


async def test_a_callback_that_hangs_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callback, "STOP_TIMEOUT", 0.0)
    ended = asyncio.Event()

    async def hang(event: WebhookEvent) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    one = Callback(hang)
    one.start()
    one.offer([event(1), event(2)])
    await until(lambda: len(one._events) == 1)
    await one.stop()
    assert ended.is_set()
    assert "on_event did not end in time: 1 events are lost" in caplog.text


async def test_without_a_callback_an_app_wants_only_the_events_of_its_webhooks(start_server: StartServer) -> None:
    peers = await start_server()
    app = peers.server._apps.by_id("app-id")
    assert app is not None
    assert app.webhook_types == frozenset()


def test_copies_with_all_events_are_equal_to_their_apps() -> None:
    [copy] = with_all_events([APP])
    assert copy == APP
    assert copy.webhook_types == frozenset(EVENT_TYPES)
    assert APP.webhook_types == frozenset()


@pytest.mark.parametrize("wrong", [1, "a name", []])
def test_on_event_must_be_a_function(wrong: Any) -> None:
    with pytest.raises(TypeError, match="on_event must be an async function"):
        Server(on_event=wrong)
