"""The routes that sign requests to join a channel and to sign in. pusher-js calls them; soketpy never does."""

import re
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Form, HTTPException, status
from pydantic import BaseModel, StringConstraints

from ..realtime import CHANNELS, client
from ..sessions import CurrentUser, User, issue_token

router = APIRouter(prefix="/api")

SocketId = Annotated[str, Form(pattern=r"^[0-9]+\.[0-9]+$", max_length=50)]


class SignIn(BaseModel):
    """The name that a user chooses."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


class Session(BaseModel):
    """A user, and the token that proves it."""

    user: User
    token: str


@router.post("/session")
async def sign_in(wish: SignIn) -> Session:
    """Sign in anybody, under any name."""
    word = re.sub(r"[^a-z0-9]+", "-", wish.name.lower()).strip("-")
    user = User(id=f"{word or 'user'}-{uuid4().hex[:8]}", name=wish.name)
    return Session(user=user, token=issue_token(user))


@router.post("/pusher/auth")
async def authorize_channel(
    user: CurrentUser, socket_id: SocketId, channel_name: Annotated[str, Form()]
) -> dict[str, Any]:
    """Let the user join a channel. pusher-js reports a 403 to the page as ``pusher:subscription_error``."""
    if channel_name not in CHANNELS:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "There is no such channel.")
    member = {"user_id": user.id, "user_info": {"name": user.name}} if channel_name.startswith("presence-") else None
    signed: dict[str, Any] = client.authenticate(channel_name, socket_id, member)
    return signed


@router.post("/pusher/user-auth")
async def authenticate_user(user: CurrentUser, socket_id: SocketId) -> dict[str, Any]:
    """Sign in the user of a connection, so that the application can send notices to this user only."""
    signed: dict[str, Any] = client.authenticate_user(socket_id, {"id": user.id, "user_info": {"name": user.name}})
    return signed
