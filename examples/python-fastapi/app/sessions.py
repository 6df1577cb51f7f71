"""The user of a request, from a signed token, so that the server needs no state. Put your own login here."""

import hmac
import logging
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, HTTPException, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from . import settings

LIFETIME = 12 * 60 * 60
"""The lifetime of a token, in seconds."""

if settings.SESSION_SECRET == settings.DEFAULT_SESSION_SECRET:
    logging.getLogger(__name__).warning(
        "SESSION_SECRET is the default, which everybody knows: for your own machine only"
    )


class User(BaseModel):
    """A user who has signed in."""

    id: str
    name: str


class Claims(BaseModel):
    """The content of a token."""

    user: User
    expires: float
    """In seconds since 1970."""


def issue_token(user: User) -> str:
    """Return a token that proves the user's identity to a server with the secret."""
    claims = Claims(user=user, expires=time.time() + LIFETIME)
    payload = urlsafe_b64encode(claims.model_dump_json().encode()).decode()
    return f"{payload}.{_sign(payload)}"


async def current_user(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> User:
    """Return the user of a request's token. Raise HTTPException 401 without a valid one."""
    payload, _, signature = (credentials.credentials if credentials else "").partition(".")
    if hmac.compare_digest(signature.encode(), _sign(payload).encode()):
        claims = Claims.model_validate_json(urlsafe_b64decode(payload))
        if time.time() < claims.expires:
            return claims.user
    raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Sign in first.", {"WWW-Authenticate": "Bearer"})


CurrentUser = Annotated[User, Depends(current_user)]


def _sign(payload: str) -> str:
    # Never use the app's secret: its signatures open channels.
    return hmac.new(settings.SESSION_SECRET.encode(), payload.encode(), sha256).hexdigest()
