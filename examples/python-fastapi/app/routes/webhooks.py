"""The receiver of webhooks, and their way to the page."""

import logging
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, status
from pydantic import ValidationError

from ..realtime import FAULTS, FEED, Busy, client, reason, send
from ..webhooks import Entry, Webhook, deliveries, entries_of, is_signed

router = APIRouter()
log = logging.getLogger(__name__)

MOST_IN_BATCH = 10  # the most events of one REST call


@router.post("/webhooks/pusher", status_code=status.HTTP_204_NO_CONTENT)
async def receive(
    request: Request,
    key: Annotated[str, Header(alias="X-Pusher-Key")] = "",
    signature: Annotated[str, Header(alias="X-Pusher-Signature")] = "",
    delivery: Annotated[str, Header(alias="X-Soketpy-Delivery", max_length=100)] = "",
) -> None:
    """Receive a webhook. Check its signature before the body is parsed. Pusher sends no id of the delivery.

    Answer after the realtime server has stored the events. If it cannot, answer 503: it sends the webhook again.
    """
    body = await request.body()
    if not is_signed(body, key, signature):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "The signature is invalid.")
    try:
        webhook = Webhook.model_validate_json(body)
    except ValidationError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "The body is not a webhook.") from None
    delivery = delivery or signature
    if delivery in deliveries:
        return
    try:
        await show(entries_of(webhook, delivery))
    except (Busy, *FAULTS) as fault:
        log.warning("Events of a webhook could not be shown: %s", reason(fault))
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "The events could not be stored.") from None
    deliveries.add(delivery)


async def show(entries: list[Entry]) -> None:
    """Trigger the events to the pages. The channel has history, so a page that opens later gets them too."""
    for start in range(0, len(entries), MOST_IN_BATCH):
        some = entries[start : start + MOST_IN_BATCH]
        batch = [{"channel": FEED, "name": "entry", "data": entry.model_dump()} for entry in some]
        await send(client.trigger_batch, batch)
