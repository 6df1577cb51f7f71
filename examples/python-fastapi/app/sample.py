"""Sends this application a webhook, signed as by Pusher: ``python -m app.sample member_added presence-lobby ada``."""

import hmac
import json
import sys
import time
from hashlib import sha256
from os import environ

import requests

from . import settings

URL = environ.get("WEBHOOK_URL", "http://127.0.0.1:8000/webhooks/pusher")


def main(name: str = "channel_occupied", channel: str = "presence-lobby", user_id: str | None = None) -> None:
    """Send one event."""
    event = {"name": name, "channel": channel} | ({"user_id": user_id} if user_id else {})
    body = json.dumps({"time_ms": int(time.time() * 1000), "events": [event]}).encode()
    signature = hmac.new(settings.SECRET.encode(), body, sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Pusher-Key": settings.KEY, "X-Pusher-Signature": signature}
    requests.post(URL, body, headers=headers, timeout=5).raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
