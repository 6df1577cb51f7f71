"""What the environment says. The defaults are soketpy's default app, which everybody knows: for your own machine."""

from os import environ
from pathlib import Path

APP_ID = environ.get("PUSHER_APP_ID", "1")  # PyPI's library takes digits only
KEY = environ.get("PUSHER_KEY", "app-key")
SECRET = environ.get("PUSHER_SECRET", "app-secret")

# Where this application triggers events, which may be an address inside your network …
HOST = environ.get("PUSHER_HOST", "127.0.0.1")
PORT = int(environ.get("PUSHER_PORT", "6001"))
TLS = environ.get("PUSHER_TLS") == "true"

# … and where browsers connect: to the page's own host, if it is not set.
PUBLIC_HOST = environ.get("PUBLIC_PUSHER_HOST")
PUBLIC_PORT = int(environ.get("PUBLIC_PUSHER_PORT", PORT))

# Webhooks are believed under the app's key, and under these, while keys are changed: KEY:SECRET,KEY:SECRET.
MORE_KEYS = dict(pair.split(":", 1) for pair in environ.get("PUSHER_MORE_KEYS", "").split(",") if pair)

DEFAULT_SESSION_SECRET = "only-for-your-own-machine"
SESSION_SECRET = environ.get("SESSION_SECRET", DEFAULT_SESSION_SECRET)
PUSHER_JS = Path(environ.get("PUSHER_JS", Path(__file__).parents[1] / "node_modules/pusher-js/dist/web/pusher.min.js"))
