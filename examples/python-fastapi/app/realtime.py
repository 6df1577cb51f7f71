"""The way to soketpy: the client that signs and triggers, and the names of the channels."""

import pusher
import requests
from pusher.errors import PusherError

from . import settings

LOBBY = "presence-lobby"
"""Who is here, and notices for all of them."""

FEED = "private-feed"
"""What webhooks have told."""

CHANNELS = frozenset({LOBBY, FEED})

FAULTS = (PusherError, requests.RequestException)
"""What a trigger raises while the realtime server is away, or refuses."""

client = pusher.Pusher(
    settings.APP_ID,
    settings.KEY,
    settings.SECRET,
    ssl=settings.TLS,
    host=settings.HOST,
    port=settings.PORT,
    timeout=5,
)
"""It blocks while it talks to the server: call it in plain functions, which FastAPI runs in threads of their own."""
