"""Who may join which channel, and whom a connection belongs to. pusher-js asks; soketpy never does."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Form, HTTPException, status
from pydantic import BaseModel, StringConstraints

from ..realtime import CHANNELS, client
from ..sessions import CurrentUser, User, issue_token

router = APIRouter(prefix="/api")

SocketId = Annotated[str, Form(pattern=r"^[0-9]+\.[0-9]+$", max_length=50)]


class SignIn(BaseModel):
    """How somebody wants to be called."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


class Session(BaseModel):
    """A user, and the token that says so."""

    user: User
    token: str


@router.post("/session")
async def sign_in(wish: SignIn) -> Session:
    """Take anybody in under the name they choose."""
    user = User(id=uuid4().hex, name=wish.name)
    return Session(user=user, token=issue_token(user))


@router.post("/pusher/auth")
async def authorize_channel(
    user: CurrentUser, socket_id: SocketId, channel_name: Annotated[str, Form()]
) -> dict[str, Any]:
    """Let the user join a channel; pusher-js hands a 403 to the page as ``pusher:subscription_error``."""
    if channel_name not in CHANNELS:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "There is no such channel.")
    member = {"user_id": user.id, "user_info": {"name": user.name}} if channel_name.startswith("presence-") else None
    signed: dict[str, Any] = client.authenticate(channel_name, socket_id, member)
    return signed


@router.post("/pusher/user-auth")
async def authenticate_user(user: CurrentUser, socket_id: SocketId) -> dict[str, Any]:
    """Say whom the connection belongs to, so that notices can be sent to that user alone."""
    signed: dict[str, Any] = client.authenticate_user(socket_id, {"id": user.id, "user_info": {"name": user.name}})
    return signed
