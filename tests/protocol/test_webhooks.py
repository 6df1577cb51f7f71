"""The JSON text of the events of webhooks, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol.event_types import EventType
from soketpy.protocol.ids import NumericId
from soketpy.protocol.webhooks import WebhookEvent

TEXTS = [
    (WebhookEvent("app", "channel_occupied", "café"), '{"name":"channel_occupied","channel":"café"}'),
    (
        WebhookEvent("app", EventType.MEMBER_ADDED, "presence-a", NumericId("7")),
        '{"name":"member_added","channel":"presence-a","user_id":"7"}',
    ),
    (
        WebhookEvent("app", "client_event", "presence-a", "7", "1.2", "client-é", b'{"a":"\xc3\xa9"}'),
        r'{"name":"client_event","channel":"presence-a","event":"client-é","data":"{\"a\":\"é\"}",'
        r'"socket_id":"1.2","user_id":"7"}',
    ),
    (
        WebhookEvent("app", "client_event", "private-a", "", "1.2", "", rb'"\u00e9\/"'),
        '{"name":"client_event","channel":"private-a","event":"","data":"é/","socket_id":"1.2"}',
    ),
    (
        WebhookEvent("app", "client_event", "private-a", event="client-\ud800", data=b"1"),
        r'{"name":"client_event","channel":"private-a","event":"client-\ud800","data":"1"}',
    ),
    (
        WebhookEvent("app", "subscription_count", "news", number=0),
        '{"name":"subscription_count","channel":"news","subscription_count":0}',
    ),
    (
        WebhookEvent("app", "connection_closed", user_id="7", socket_id="1.2", number=4009),
        '{"name":"connection_closed","socket_id":"1.2","user_id":"7","code":4009}',
    ),
]


@pytest.mark.parametrize(("event", "text"), TEXTS, ids=[event.name for event, _ in TEXTS])
def test_an_event_has_the_fields_of_its_type(event: WebhookEvent, text: str) -> None:
    assert event.encode() == text.encode()


ANY_TEXT = st.text(st.characters())  # halves of surrogate pairs too


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_any_text_arrives_as_it_is(channel: str, event: str, data: str) -> None:
    encoded = WebhookEvent("app", "client_event", channel or "private-a", "", "1.2", event, json.dumps(data).encode())
    decoded = json.loads(encoded.encode())
    assert (decoded["channel"], decoded["event"], decoded["data"]) == (channel or "private-a", event, data)
