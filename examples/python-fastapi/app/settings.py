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

# More keys whose webhooks are valid, while you replace a key: KEY:SECRET,KEY:SECRET.
MORE_KEYS = dict(pair.split(":", 1) for pair in environ.get("PUSHER_MORE_KEYS", "").split(",") if pair)

DEFAULT_SESSION_SECRET = "only-for-your-own-machine"
SESSION_SECRET = environ.get("SESSION_SECRET", DEFAULT_SESSION_SECRET)
PUSHER_JS = Path(environ.get("PUSHER_JS", Path(__file__).parents[1] / "node_modules/pusher-js/dist/web/pusher.min.js"))
