"""Notices: a form's text, triggered to everyone in the lobby or to one user."""

import logging
import time
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, HTTPException, status
from pydantic import BaseModel, StringConstraints

from ..realtime import FAULTS, LOBBY, Busy, client, reason, send
from ..sessions import CurrentUser, User

router = APIRouter(prefix="/api")
log = logging.getLogger(__name__)


class Draft(BaseModel):
    """A text of a user, for one user or for all."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    to: Annotated[str, StringConstraints(pattern="^[a-z0-9-]{1,60}$")] | None = None


class Notice(Draft):
    """A notice that was sent."""

    id: str
    author: User
    time_ms: int


@router.post("/notices")
async def send_notice(draft: Draft, author: CurrentUser) -> Notice:
    """Trigger a notice.

    Answer 502 if the realtime server refused it, and 503 if too many notices wait. Then the page may send it again.
    """
    notice = Notice(**draft.model_dump(), id=uuid4().hex, author=author, time_ms=int(time.time() * 1000))
    try:
        if notice.to is None:
            await send(client.trigger, LOBBY, "notice", notice.model_dump())
        else:
            await send(client.send_to_user, notice.to, "notice", notice.model_dump())
    except Busy:
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE, "Too many notices are being sent. Try again."
        ) from None
    except FAULTS as fault:
        log.warning("A notice could not be sent: %s", reason(fault))
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, "The realtime server cannot be reached.") from None
    return notice
