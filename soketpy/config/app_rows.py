"""The rows of an app: how the fields of ``soketpy.core.apps.App`` are written down, and the help of each."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, get_type_hints

from soketpy.config.paths import APP_ID, APP_KEY, SAFE
from soketpy.config.rows import Row, shape
from soketpy.core.apps import App, Key
from soketpy.protocol.origins import origin_problem

ID = Row(
    name="id",
    type=str,
    help="The app's id; part of the paths of the REST API.",
    pattern=APP_ID,
    like=f"text of {SAFE}&, and not . or ..",
)
KEY = Row(
    name="key",
    type=str,
    help="The key that clients connect with; public.",
    pattern=APP_KEY,
    like=f"text of {SAFE}, and not . or ..",
)
SECRET = Row(name="secret", type=str, help="What requests and authorizations are signed with.", secret=True)
KEYS = Row(name="keys", type=Key, many=True, help="Several of key and secret, instead of one, to rotate them.")
PAIR: Mapping[str, Row] = {"key": KEY, "secret": SECRET}

HELP = {
    "enabled": "A disabled app refuses its connections with 4003 and its requests with 403.",
    "client_events": "Whether clients may send client events.",
    "subscription_count_events": "Whether channels are told how many subscribers they have.",
    "watchlists": "Whether users are told who of their watchlist is online.",
    "authorized_connections": "Close connections that neither sign in nor join a guarded channel in time.",
    "numeric_ids": "Keep user ids that are JSON numbers as numbers, as soketi does; otherwise they become strings.",
    "tls_only": "Refuse connections without TLS (4000).",
    "close_connections_of_removed_keys": "At SIGHUP, close (4009) the clients whose key was removed.",
    "allowed_origins": "Origins that browsers may connect from; empty for any.",
    "max_connections": "Connections at once; null for no limit.",
    "max_backend_events_per_second": "Events a second over the REST API; null for no limit.",
    "max_client_events_per_second": "Client events a second and connection; null for no limit.",
    "max_subscribes_per_second": "Subscriptions a second and connection; more of them wait. null for no limit.",
    "max_read_requests_per_second": "Reading REST requests a second; null for no limit.",
    "max_channel_name_length": "Characters of a channel's name.",
    "max_subscriptions_per_connection": "Channels that one connection may be in.",
    "max_presence_members_per_channel": "Members of a presence channel.",
    "max_presence_member_size_in_kb": "KiB of a member's user_info.",
    "max_user_id_length": "Characters of a user's id.",
    "max_watchlist_size": "Users that a user may watch.",
    "max_event_name_length": "Characters of an event's name.",
    "max_event_payload_in_kb": "KiB of an event's data.",
    "max_event_channels_at_once": "Channels that one REST request may send an event to.",
    "max_event_batch_size": "Events in one batch.",
}

RULES: Mapping[str, Mapping[str, Any]] = {
    "allowed_origins": {"check": origin_problem},
}
"""What a field must be besides its type."""


@cache
def default_rows() -> Mapping[str, Row]:
    """The switches and limits of an app: the rows of ``app_defaults``."""
    hints = get_type_hints(App)
    return {
        each.name: Row(
            name=each.name,
            help=HELP.get(each.name, ""),
            default=_default(each),
            **shape(hints[each.name]),
            **RULES.get(each.name, {}),
        )
        for each in fields(App)
        if each.name not in ("id", "keys")
    }


@cache
def app_rows() -> Mapping[str, Row]:
    """Everything that may be written of an app."""
    return {"id": ID, "key": KEY, "secret": SECRET, "keys": KEYS, **default_rows()}


def _default(each: Any) -> Any:
    if each.default is MISSING:
        raise TypeError(f"App.{each.name} has no default")
    return each.default
