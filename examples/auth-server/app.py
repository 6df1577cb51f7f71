"""The endpoints that an application keeps beside soketpy: who may join a channel, and who a user is.

pusher-js posts to them; soketpy never does. Any web framework will do: all that matters is the form that comes in, and
the signature that the ``pusher`` library makes with the app's secret, which never leaves this process.
"""

import json
import os
from html import escape
from pathlib import Path
from typing import Any

import pusher
from aiohttp import web

# The names are those that soketpy itself reads, so that one environment can serve both.
HOST = os.environ.get("SOKETPY_HOST", "127.0.0.1")
PORT = int(os.environ.get("SOKETPY_PORT", "6001"))
APP_ID = os.environ.get("SOKETPY_APP_ID", "1")  # the library takes numbers only
KEY = os.environ.get("SOKETPY_APP_KEY", "app-key")
SECRET = os.environ.get("SOKETPY_APP_SECRET", "app-secret")
# 32 bytes in Base64: what encrypts channels. Publishers have it too; soketpy does not.
MASTER_KEY = os.environ.get("ENCRYPTION_MASTER_KEY")
PUSHER_JS = Path(os.environ.get("PUSHER_JS", "node_modules/pusher-js/dist/web/pusher-with-encryption.js"))

USERS = {"ada": "Ada Lovelace", "bob": "Robert Metcalfe", "cleo": "Cleo Wade"}
"""Who may log in. In an application this is the table of its users, and nobody gets in without a password."""

signer = pusher.Pusher(
    APP_ID, KEY, SECRET, ssl=False, host=HOST, port=PORT, encryption_master_key_base64=MASTER_KEY or None
)
routes = web.RouteTableDef()


@routes.post("/pusher/auth")
async def authorize_channel(request: web.Request) -> web.Response:
    """Let the user join a private, encrypted or presence channel."""
    user, form = logged_in(request), await request.post()
    channel = str(form.get("channel_name", ""))
    if not may_join(user, channel):
        raise web.HTTPForbidden(text=f"{user} may not join {channel}.")
    member = {"user_id": user, "user_info": {"name": USERS[user]}} if channel.startswith("presence-") else None
    return signed(signer.authenticate, channel, str(form.get("socket_id", "")), member)


@routes.post("/pusher/user-auth")
async def authenticate_user(request: web.Request) -> web.Response:
    """Let the user sign in, and hear when one of the others comes online or goes offline."""
    user, form = logged_in(request), await request.post()
    others = [name for name in USERS if name != user]
    user_data = {"id": user, "user_info": {"name": USERS[user]}, "watchlist": others}
    return signed(signer.authenticate_user, str(form.get("socket_id", "")), user_data)


def logged_in(request: web.Request) -> str:
    """The user who asks. A demonstration believes ``?user=`` and its cookie; an application has sessions."""
    user = request.query.get("user") or request.cookies.get("user", "")
    if user not in USERS:
        raise web.HTTPForbidden(text=f"Log in first: as ?user= with one of {', '.join(USERS)}.")
    return user


def may_join(user: str, channel: str) -> bool:
    """The rule of this application: ``private-for-NAME`` is for NAME alone, all else for whoever is logged in."""
    return not channel.startswith("private-for-") or channel == f"private-for-{user}"


def signed(sign: Any, *arguments: Any) -> web.Response:
    """Answer with what the library signs, or with 400 where it does not accept the arguments."""
    try:
        answer = sign(*arguments)
    except ValueError as fault:
        raise web.HTTPBadRequest(text=str(fault)) from None
    if "shared_secret" in answer:
        answer["shared_secret"] = answer["shared_secret"].decode()  # the library leaves it as bytes
    return web.json_response(answer)


@routes.get("/")
async def page(request: web.Request) -> web.Response:
    """A page that shows who is in the room, and what is said to it."""
    user = logged_in(request)
    settings = json.dumps({"key": KEY, "host": HOST, "port": PORT})
    html = PAGE.replace("NAME", escape(USERS[user])).replace("SETTINGS", settings.replace("<", "\\u003c"))
    response = web.Response(text=html, content_type="text/html")
    response.set_cookie("user", user, httponly=True, samesite="Lax")
    return response


@routes.get("/pusher.js")
async def library(request: web.Request) -> web.FileResponse:
    """pusher-js, as npm installs it."""
    return web.FileResponse(PUSHER_JS)


PAGE = """<!doctype html>
<meta charset="utf-8">
<title>The room</title>
<h1>NAME</h1>
<p>In the room: <span id="members">nobody yet</span></p>
<ul id="said"></ul>
<script src="/pusher.js"></script>
<script>
  const { key, host, port } = SETTINGS;
  const pusher = new Pusher(key, {
    cluster: "",
    wsHost: host,
    wsPort: port,
    forceTLS: false,
    enabledTransports: ["ws"],
    channelAuthorization: { endpoint: "/pusher/auth" },
    userAuthentication: { endpoint: "/pusher/user-auth" },
  });
  const room = pusher.subscribe("presence-room");
  const show = () => {
    const names = [];
    room.members.each((member) => names.push(member.info.name));
    document.getElementById("members").textContent = names.join(", ");
  };
  for (const event of ["subscription_succeeded", "member_added", "member_removed"]) room.bind(`pusher:${event}`, show);
  room.bind("said", (text) => {
    document.getElementById("said").appendChild(document.createElement("li")).textContent = text;
  });
</script>
"""


def application() -> web.Application:
    """The whole application."""
    app = web.Application()
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
