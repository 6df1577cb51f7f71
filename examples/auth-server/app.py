"""The endpoints that an application needs besides soketpy: they sign requests to join a channel and to sign in.

pusher-js sends requests to them; soketpy never does. Any web framework works: read the form, and let the ``pusher``
library sign it with the app's secret, which never leaves this process.
"""

import asyncio
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pusher
import requests
from aiohttp import web
from pusher.errors import PusherError

# soketpy reads the same names, so that both can use one environment.
HOST = os.environ.get("SOKETPY_HOST", "127.0.0.1")
PORT = int(os.environ.get("SOKETPY_PORT", "6001"))
APP_ID = os.environ.get("SOKETPY_APP_ID", "1")  # the library accepts only digits
KEY = os.environ.get("SOKETPY_APP_KEY", "app-key")
SECRET = os.environ.get("SOKETPY_APP_SECRET", "app-secret")
# The key for encrypted channels, 32 bytes in Base64. All publishers share it; soketpy never gets it.
MASTER_KEY = os.environ.get("ENCRYPTION_MASTER_KEY") or b64encode(os.urandom(32)).decode()

FOLDER = Path(__file__).parent
PUSHER_JS = Path(os.environ.get("PUSHER_JS", FOLDER / "node_modules/pusher-js/dist/web/pusher-with-encryption.min.js"))

USERS = {"ada": "Ada Lovelace", "bob": "Robert Metcalfe", "cleo": "Cleo Wade"}
"""The users who may log in. A real application has a table of users, and asks for a password."""

KIND = re.compile(r"^(private-encrypted|private|presence)-(cache-)?")
"""The prefixes of the channels that need a signature."""

CHANNELS = ("presence-room", "private-encrypted-room")
"""The channels to which the page may send a text."""

client = pusher.Pusher(
    APP_ID, KEY, SECRET, ssl=False, host=HOST, port=PORT, timeout=5, encryption_master_key_base64=MASTER_KEY
)
routes = web.RouteTableDef()


@routes.post("/pusher/auth")
async def authorize_channel(request: web.Request) -> web.Response:
    """Let the user join a private, encrypted or presence channel."""
    user, form = logged_in(request), await form_of(request)
    channel = str(form.get("channel_name", ""))
    if not may_join(user, channel):
        raise web.HTTPForbidden(text=f"{user} may not join {channel}.")
    member = {"user_id": user, "user_info": {"name": USERS[user]}} if channel.startswith("presence-") else None
    return signed(client.authenticate, channel, str(form.get("socket_id", "")), member)


@routes.post("/pusher/user-auth")
async def authenticate_user(request: web.Request) -> web.Response:
    """Let the user sign in, with a watchlist of all other users."""
    user, form = logged_in(request), await form_of(request)
    others = [name for name in USERS if name != user]
    user_data = {"id": user, "user_info": {"name": USERS[user]}, "watchlist": others}
    return signed(client.authenticate_user, str(form.get("socket_id", "")), user_data)


@routes.post("/say")
async def say(request: web.Request) -> web.Response:
    """Send a text to one of the channels, or to one user."""
    user, form = logged_in(request), await form_of(request)
    to, text = str(form.get("to", "")), str(form.get("text", "")).strip()
    if to not in (*CHANNELS, *USERS) or not 1 <= len(text) <= 500:
        raise web.HTTPBadRequest(text="The target must be a channel or a user.")
    trigger = client.send_to_user if to in USERS else client.trigger
    try:
        await asyncio.to_thread(trigger, to, "said", f"{USERS[user]}: {text}")  # trigger blocks
    except (PusherError, requests.RequestException):
        raise web.HTTPBadGateway(text="The realtime server cannot be reached.") from None
    return web.Response(status=204)


async def form_of(request: web.Request) -> Mapping[str, Any]:
    """Return the form of a request. Raise HTTPBadRequest if the body is not a form."""
    try:
        return await request.post()
    except (ValueError, LookupError):
        raise web.HTTPBadRequest(text="The body is not a form.") from None


def logged_in(request: web.Request) -> str:
    """Return the user of a request. This example trusts ``?user=`` and its cookie; an application has sessions."""
    user = request.query.get("user") or request.cookies.get("user", "")
    if user not in USERS:
        raise web.HTTPForbidden(text=f"Log in first: as ?user= with one of {', '.join(USERS)}.")
    return user


def may_join(user: str, channel: str) -> bool:
    """Return True if the user may join: ``for-NAME`` is only for NAME, other channels are for all logged-in users.

    The rule covers every kind of channel: a rule for ``private-`` only would leave the encrypted channel open.
    """
    name = KIND.sub("", channel)
    return not name.startswith("for-") or name == f"for-{user}"


def signed(sign: Any, *arguments: Any) -> web.Response:
    """Return the result of a signing call of the library, or 400 if it does not accept the arguments."""
    try:
        answer = sign(*arguments)
    except ValueError as fault:
        raise web.HTTPBadRequest(text=str(fault)) from None
    if "shared_secret" in answer:
        answer["shared_secret"] = answer["shared_secret"].decode()  # the library returns bytes
    return web.json_response(answer)


@routes.get("/")
async def page(request: web.Request) -> web.FileResponse:
    """Serve the page."""
    response = web.FileResponse(FOLDER / "page.html")
    response.set_cookie("user", logged_in(request), httponly=True, samesite="Lax")
    return response


@routes.get("/settings")
async def read_settings(request: web.Request) -> web.Response:
    """Return the settings of the page, without the secret."""
    return web.json_response({"key": KEY, "host": HOST, "port": PORT, "user": logged_in(request), "users": USERS})


@routes.get("/pusher.js")
async def library(request: web.Request) -> web.FileResponse:
    """Serve pusher-js as npm installs it."""
    return web.FileResponse(PUSHER_JS)


def application() -> web.Application:
    """Return the application."""
    app = web.Application(client_max_size=16 * 1024)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
