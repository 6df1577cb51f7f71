"""Webhooks on the wire: the JSON text of an event, and the body and headers of a request.

Source: Pusher, "Webhooks" (pusher.com/docs/channels/server_api/webhooks).
"""

import json
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from soketpy.protocol import messages, signatures
from soketpy.protocol.event_types import CLIENT_EVENT, EventType

_json = msgspec.json.Encoder().encode
_SUBSCRIPTION_COUNT = str(EventType.SUBSCRIPTION_COUNT)
_CONNECTION_CLOSED = str(EventType.CONNECTION_CLOSED)

DELIVERY_HEADER = "X-Soketpy-Delivery"
"""The header with the id of a delivery, which is the same in each retry."""


class WebhookEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened in an app. Fields that its type does not have are empty.

    The garbage collector does not visit events, because an event has no reference to another object that it tracks.

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
        name, is_client_event = self.name, self.name == CLIENT_EVENT
        fields = _Fields(
            name,
            self.channel or UNSET,
            self.event if is_client_event else UNSET,
            _data_text(self.data) if is_client_event else UNSET,
            self.socket_id or UNSET,
            str(self.user_id) if self.user_id else UNSET,
            self.number if name == _SUBSCRIPTION_COUNT else UNSET,
            self.number if name == _CONNECTION_CLOSED else UNSET,
        )
        try:
            return _json(fields)
        except UnicodeEncodeError:
            return messages.literal(msgspec.to_builtins(fields))


class _Fields(msgspec.Struct, gc=False):
    """The JSON object of an event. A field that is not set is omitted."""

    name: str
    channel: str | UnsetType
    event: str | UnsetType
    data: str | UnsetType
    socket_id: str | UnsetType
    user_id: str | UnsetType
    subscription_count: int | UnsetType
    code: int | UnsetType


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
