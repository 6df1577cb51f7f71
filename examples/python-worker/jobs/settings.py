"""The settings, from environment variables. The defaults are soketpy's default app, for your own machine only."""

from os import environ
from pathlib import Path

APP_ID = environ.get("PUSHER_APP_ID", "1")  # PyPI's library accepts only digits
KEY = environ.get("PUSHER_KEY", "app-key")
SECRET = environ.get("PUSHER_SECRET", "app-secret")

# The address for triggers, which may be inside your network …
HOST = environ.get("PUSHER_HOST", "127.0.0.1")
PORT = int(environ.get("PUSHER_PORT", "6001"))
TLS = environ.get("PUSHER_TLS") == "true"

# … and the address for browsers: by default the host of the page.
PUBLIC_HOST = environ.get("PUBLIC_PUSHER_HOST")
PUBLIC_PORT = int(environ.get("PUBLIC_PUSHER_PORT", PORT))

FOLDER = Path(__file__).parents[1]
PUSHER_JS = Path(environ.get("PUSHER_JS", FOLDER / "node_modules/pusher-js/dist/web/pusher.min.js"))
