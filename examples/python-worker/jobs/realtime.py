"""The way to soketpy: the client that signs and triggers, and the names of the channels."""

import pusher
import requests
from pusher.errors import PusherError

from . import settings

JOBS = "private-jobs"
"""What becomes of jobs: one event ``job`` for each change of a state, and ``started`` when all are forgotten."""

PROGRESS = "private-cache-progress-"
"""With a job's id: how far it is. Whoever joins late is given the last event at once, since it is a cache channel."""

FAULTS = (PusherError, requests.RequestException)
"""What a trigger raises while the realtime server is away, or refuses."""


def reason(fault: Exception) -> str:
    """Why a trigger failed, for the log: the messages of requests have the signed URL in them."""
    return type(fault).__name__ if isinstance(fault, requests.RequestException) else str(fault)


client = pusher.Pusher(
    settings.APP_ID,
    settings.KEY,
    settings.SECRET,
    ssl=settings.TLS,
    host=settings.HOST,
    port=settings.PORT,
    timeout=2,
)
