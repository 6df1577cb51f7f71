"""Deliveries for tests of targets and senders."""

from dataclasses import replace

from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery, form
from soketpy.core.webhooks import Webhook
from soketpy.protocol.webhooks import WebhookEvent
from tests.fakes import APP


def delivery_for(webhook: Webhook, app: App = APP, channel: str = "news") -> Delivery:
    """Return a delivery of one event for a webhook. Its id is the name of the channel."""
    listening = replace(app, webhooks=(webhook,))
    event = WebhookEvent(app.id, webhook.event_types[0], channel)
    [delivery] = form([event], lambda _: listening, 1_800_000_000, lambda *_: channel, batching=False)
    return delivery
