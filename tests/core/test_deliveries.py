"""Deliveries: one app and one webhook each, in order, joined only where batching is on."""

import json
from itertools import count

from soketpy.core.apps import App, Key
from soketpy.core.deliveries import MOST_EVENTS, Delivery, form
from soketpy.core.webhooks import Filter, Webhook
from soketpy.protocol.event_types import EVENT_TYPES
from soketpy.protocol.webhooks import WebhookEvent

OCCUPIED, MISS = "channel_occupied", "cache_miss"


def hook(path: str = "", batching: bool | None = None, **conditions: str) -> Webhook:
    return Webhook(
        url=f"https://example.com/{path}", event_types=EVENT_TYPES, batching=batching, filter=Filter(**conditions)
    )


def app(name: str, *webhooks: Webhook) -> App:
    return App(id=name, keys=(Key(f"{name}-key", "secret"),), webhooks=webhooks)


def formed(events: list[WebhookEvent], *apps: App, batching: bool = False) -> list[Delivery]:
    by_id = {each.id: each for each in apps}
    numbers = count(1)
    return form(events, by_id.get, 1000.5, lambda lane, positions: str(next(numbers)), batching=batching)


def names(delivery: Delivery) -> list[str]:
    return [event["channel"] for event in json.loads(delivery.body)["events"]]


def test_each_event_is_a_delivery_of_its_own_without_batching() -> None:
    one, two = formed([WebhookEvent("a", OCCUPIED, "x"), WebhookEvent("a", OCCUPIED, "x")], app("a", hook()))
    assert one.body == b'{"time_ms":1000500,"events":[{"name":"channel_occupied","channel":"x"}]}'
    assert (one.id, two.id) == ("1", "2")
    assert one.lane == two.lane


def test_a_batch_has_the_events_in_their_order() -> None:
    events = [WebhookEvent("a", name, "x") for name in (OCCUPIED, MISS, OCCUPIED)]
    [batch] = formed(events, app("a", hook()), batching=True)
    assert [event["name"] for event in json.loads(batch.body)["events"]] == [OCCUPIED, MISS, OCCUPIED]
    assert batch.events == 3


def test_a_batch_never_mixes_apps_or_webhooks() -> None:
    events = [WebhookEvent(app_id, OCCUPIED, "x") for app_id in ("a", "b", "a", "b")]
    batches = formed(events, app("a", hook("1"), hook("2")), app("b", hook("1")), batching=True)
    assert sorted((each.app_id, each.target[-1], each.events) for each in batches) == [
        ("a", "1", 2),
        ("a", "2", 2),
        ("b", "1", 2),
    ]


def test_a_webhook_overrides_the_servers_batching() -> None:
    events = [WebhookEvent("a", OCCUPIED, "x")] * 2
    deliveries = formed(events, app("a", hook("1", batching=True), hook("2", batching=False)))
    assert sorted((each.target[-1], each.events) for each in deliveries) == [("1", 2), ("2", 1), ("2", 1)]


def test_a_batch_is_bounded() -> None:
    events = [WebhookEvent("a", OCCUPIED, "x")] * (MOST_EVENTS + 1)
    assert [each.events for each in formed(events, app("a", hook()), batching=True)] == [MOST_EVENTS, 1]


def test_a_filter_is_applied_before_the_body_is_formed() -> None:
    events = [WebhookEvent("a", OCCUPIED, name) for name in ("room-1", "news", "room-2-old")]
    webhook = hook(channel_name_starts_with="room-", channel_name_ends_with="1")
    assert [names(each) for each in formed(events, app("a", webhook))] == [["room-1"]]


def test_a_webhook_gets_only_its_types_of_the_events_of_a_channel() -> None:
    few = Webhook(url="https://example.com/", event_types=[MISS])
    events = [WebhookEvent("a", name, "x") for name in (OCCUPIED, MISS, OCCUPIED, MISS)]
    deliveries = formed(events, app("a", few))
    assert [json.loads(each.body)["events"][0]["name"] for each in deliveries] == [MISS, MISS]


def test_an_event_of_an_unknown_app_has_no_delivery() -> None:
    assert formed([WebhookEvent("gone", OCCUPIED, "x")], app("a", hook())) == []


def test_the_events_of_one_connection_are_in_one_lane_though_only_some_have_a_user() -> None:
    opened = WebhookEvent("a", "connection_opened", socket_id="1.2")
    closed = WebhookEvent("a", "connection_closed", user_id="ada", socket_id="1.2", number=1001)
    lanes = {each.lane for each in formed([opened, closed], app("a", hook()))}
    assert len(lanes) == 1
