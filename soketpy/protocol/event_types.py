"""The types of events that webhooks send.

Source of the first seven: Pusher, "Webhooks" (pusher.com/docs/channels/server_api/webhooks). The others are soketpy's
own.
"""

from enum import StrEnum


class EventType(StrEnum):
    """The type of an event, which is its ``name`` on the wire."""

    CHANNEL_OCCUPIED = "channel_occupied"
    CHANNEL_VACATED = "channel_vacated"
    MEMBER_ADDED = "member_added"
    MEMBER_REMOVED = "member_removed"
    CLIENT_EVENT = "client_event"
    CACHE_MISS = "cache_miss"
    SUBSCRIPTION_COUNT = "subscription_count"
    USER_ONLINE = "user_online"
    USER_OFFLINE = "user_offline"
    CONNECTION_OPENED = "connection_opened"
    CONNECTION_CLOSED = "connection_closed"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


EVENT_TYPES = tuple(str(each) for each in EventType)

CLIENT_EVENT = str(EventType.CLIENT_EVENT)
"""The same as plain text. In Python 3.11, an attribute of an enum costs as much time as creating the whole event."""
