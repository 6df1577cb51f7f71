"""What the environment says. The defaults are soketpy's default app, which everybody knows: for your own machine."""

from os import environ
from pathlib import Path

APP_ID = environ.get("PUSHER_APP_ID", "1")  # PyPI's library takes digits only
KEY = environ.get("PUSHER_KEY", "app-key")
SECRET = environ.get("PUSHER_SECRET", "app-secret")

# Where events are triggered, which may be an address inside your network …
HOST = environ.get("PUSHER_HOST", "127.0.0.1")
PORT = int(environ.get("PUSHER_PORT", "6001"))
TLS = environ.get("PUSHER_TLS") == "true"

# … and where browsers connect: to the page's own host, if it is not set.
PUBLIC_HOST = environ.get("PUBLIC_PUSHER_HOST")
PUBLIC_PORT = int(environ.get("PUBLIC_PUSHER_PORT", PORT))

FOLDER = Path(__file__).parents[1]
PUSHER_JS = Path(environ.get("PUSHER_JS", FOLDER / "node_modules/pusher-js/dist/web/pusher.min.js"))
