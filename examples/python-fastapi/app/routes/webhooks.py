"""The receiver of webhooks, and their way to the page."""

import logging
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Header, HTTPException, Request, status
from pydantic import ValidationError

from ..realtime import FAULTS, FEED, Busy, client, reason, send
from ..sessions import current_user
from ..webhooks import Entry, Webhook, feed, is_signed

router = APIRouter()
log = logging.getLogger(__name__)

MOST_IN_BATCH = 10  # the most events of one REST call


@router.post("/webhooks/pusher", status_code=status.HTTP_204_NO_CONTENT)
async def receive(
    request: Request,
    tasks: BackgroundTasks,
    key: Annotated[str, Header(alias="X-Pusher-Key")] = "",
    signature: Annotated[str, Header(alias="X-Pusher-Signature")] = "",
    delivery: Annotated[str, Header(alias="X-Soketpy-Delivery", max_length=100)] = "",
) -> None:
    """Receive a webhook. Check its signature before the body is parsed. Pusher sends no id of the delivery."""
    body = await request.body()
    if not is_signed(body, key, signature):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "The signature is invalid.")
    try:
        entries = feed.add(Webhook.model_validate_json(body), delivery or signature)
    except ValidationError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "The body is not a webhook.") from None
    tasks.add_task(show, entries)  # after the response, because the sender waits for it


@router.get("/api/feed", dependencies=[Depends(current_user)])
async def read_feed() -> list[Entry]:
    """Return the last events. A page asks for them after each join, so that it misses none."""
    return list(feed.entries)


async def show(entries: list[Entry]) -> None:
    """Trigger the events to the pages. The server stores them, so a page that misses them now asks for them later."""
    try:
        for start in range(0, len(entries), MOST_IN_BATCH):
            some = entries[start : start + MOST_IN_BATCH]
            batch = [{"channel": FEED, "name": "entry", "data": entry.model_dump()} for entry in some]
            await send(client.trigger_batch, batch)
    except (Busy, *FAULTS) as fault:
        log.warning("Events of a webhook could not be shown: %s", reason(fault))
