"""Who a request comes from: a signed token, so that nobody has to be remembered. Put your own login here."""

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
"""Seconds that a token is good for."""

if settings.SESSION_SECRET == settings.DEFAULT_SESSION_SECRET:
    logging.getLogger(__name__).warning(
        "SESSION_SECRET is the default, which everybody knows: for your own machine only"
    )


class User(BaseModel):
    """Somebody who has signed in."""

    id: str
    name: str


class Claims(BaseModel):
    """What a token says."""

    user: User
    expires: float
    """In seconds since 1970."""


def issue_token(user: User) -> str:
    """A token that proves who somebody is to whoever knows the secret."""
    claims = Claims(user=user, expires=time.time() + LIFETIME)
    payload = urlsafe_b64encode(claims.model_dump_json().encode()).decode()
    return f"{payload}.{_sign(payload)}"


async def current_user(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> User:
    """The user whose token a request carries. Raises HTTPException, 401."""
    payload, _, signature = (credentials.credentials if credentials else "").partition(".")
    if hmac.compare_digest(signature.encode(), _sign(payload).encode()):
        claims = Claims.model_validate_json(urlsafe_b64decode(payload))
        if time.time() < claims.expires:
            return claims.user
    raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Sign in first.", {"WWW-Authenticate": "Bearer"})


CurrentUser = Annotated[User, Depends(current_user)]


def _sign(payload: str) -> str:
    # Never the app's secret: what that has signed opens channels.
    return hmac.new(settings.SESSION_SECRET.encode(), payload.encode(), sha256).hexdigest()
