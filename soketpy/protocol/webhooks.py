"""Webhooks on the wire: the JSON text of an event, and the body and headers of a request.

Source: Pusher, "Webhooks" (pusher.com/docs/channels/server_api/webhooks).
"""

import json
from collections.abc import Iterable, Mapping

import msgspec

from soketpy.protocol import messages, signatures
from soketpy.protocol.event_types import EventType

DELIVERY_HEADER = "X-Soketpy-Delivery"
"""The header with the id of a delivery, which is the same in each retry."""


class WebhookEvent(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened in an app. Fields that its type does not have are empty.

    ``data`` is the JSON text of a client event's data. ``number`` is the number of subscribers of a
    ``subscription_count``, or the close code of a ``connection_closed``.
    """

    app_id: str
    name: str
    channel: str = ""
    user_id: str = ""
    socket_id: str = ""
    event: str = ""
    data: bytes = b""
    number: int = 0

    @property
    def subject(self) -> str:
        """Return what the event is about. Events with one subject are delivered in their order."""
        return self.channel or self.socket_id or self.user_id

    def encode(self) -> bytes:
        """Return the JSON text of the event: compact, with characters beyond ASCII unescaped."""
        fields: dict[str, object] = {"name": self.name}
        if self.channel:
            fields["channel"] = self.channel
        if self.name == EventType.CLIENT_EVENT:
            fields |= {"event": self.event, "data": _data_text(self.data)}
        if self.socket_id:
            fields["socket_id"] = self.socket_id
        if self.user_id:
            fields["user_id"] = str(self.user_id)
        if self.name == EventType.SUBSCRIPTION_COUNT:
            fields["subscription_count"] = self.number
        elif self.name == EventType.CONNECTION_CLOSED:
            fields["code"] = self.number
        return messages.literal(fields)


def _data_text(data: bytes) -> str:
    """Return the data of a client event as text: the text itself if it is a JSON string, else its JSON text."""
    if data.startswith(b'"'):
        text: str = json.loads(data)
        return text
    return data.decode()


def body(events: Iterable[bytes], time_ms: int) -> bytes:
    """Return the body of a request from the JSON texts of its events. ``time_ms`` is a Unix time in milliseconds."""
    return b'{"time_ms":%d,"events":[%s]}' % (time_ms, b",".join(events))


def headers(content: bytes, key: str, secret: str, delivery_id: str) -> Mapping[str, str]:
    """Return the headers of a request: the signature of the body with the secret of ``key``, and the delivery id."""
    return {
        "Content-Type": "application/json",
        "X-Pusher-Key": key,
        "X-Pusher-Signature": signatures.sign(secret, content.decode()),
        DELIVERY_HEADER: delivery_id,
    }
