"""Strategies for the messages of any client: JSON of every shape, and messages close to those of the protocol."""

import json

from hypothesis import strategies as st

_NAMES = (
    "pusher:subscribe",
    "pusher:unsubscribe",
    "pusher:signin",
    "pusher:ping",
    "pusher:pong",
    "pusher:error",
    "client-said",
    "said",
)
_CHANNELS = ("news", "private-a", "presence-a", "cache-a", "private-encrypted-a", "#server-to-user-1", "#", "")
_FIELDS = ("event", "data", "channel", "auth", "channel_data", "user_data", "user_id", "user_info", "id", "watchlist")

# Text with lone surrogates, as JSON can write it and UTF-8 cannot.
texts = st.text(st.characters(exclude_categories=[]), max_size=8) | st.sampled_from(_NAMES + _CHANNELS + _FIELDS)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_FIELDS) | texts, inner, max_size=4)
        | inner.map(json.dumps)
    ),
    max_leaves=8,
)
json_texts = json_values.map(lambda value: json.dumps(value).encode())

_data = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.sampled_from(_CHANNELS) | json_values,
        "auth": json_values,
        "channel_data": json_values,
        "user_data": json_values,
    },
)
nearly_events = st.fixed_dictionaries(
    {"event": st.sampled_from(_NAMES)},
    optional={"data": _data | json_values, "channel": st.sampled_from(_CHANNELS) | scalars, "user_id": scalars},
).map(lambda value: json.dumps(value).encode())


def nested(depth: int) -> bytes:
    """Return a client event whose data is nested so deeply, and never closed."""
    return b'{"event":"client-said","channel":"private-a","data":' + b"[" * depth
