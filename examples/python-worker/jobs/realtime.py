"""The access to soketpy: the client that signs and triggers, and the names of the channels."""

import pusher
import requests
from pusher.errors import PusherError

from . import settings

JOBS = "private-jobs"
"""The channel of all jobs: an event ``job`` for each change of a state, and ``started`` after a restart."""

PROGRESS = "private-cache-progress-"
"""The prefix of the channel with the progress of one job, a cache channel: new subscribers get the last event."""

FAULTS = (PusherError, requests.RequestException)
"""The exceptions of a trigger while the realtime server is down, or if it refuses."""


def reason(fault: Exception) -> str:
    """Return the reason of a failed trigger for the log, without the signed URL, which errors of requests contain."""
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
