"""The target of webhooks with a Lambda function: it gets the body and headers of a request as its event, as in soketi.

Source: AWS, "Invoke" (docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import NO_HEADERS, Outcome
from soketpy.core.webhooks import Webhook
from soketpy.drivers.aws.clients import AwsFault, Clients, code_of, read_at_most, reason_of
from soketpy.protocol import webhooks

MOST_READ = 64 * 1024
"""Bytes of the result of a function that are read. The connection of a longer result is closed."""

NO_ENDPOINT = "the endpoint of a Lambda function is blocked: see webhooks.private_addresses"

TOO_LARGE = "RequestTooLargeException"

_PRINTABLE = re.compile(r"[^A-Za-z0-9_.:$-]")


class LambdaTarget:
    """Invokes Lambda functions with ``{"payload": <body>, "headers": {...}}``.

    A synchronous invocation waits for the function: its errors are failed attempts. An asynchronous one ends when AWS
    has queued the event; AWS then makes the further attempts. ``timeout`` is in seconds, for one attempt. Without
    ``endpoints``, functions are invoked at AWS only: an endpoint could be an address of a private network.
    """

    def __init__(self, *, timeout: float = 10, endpoints: bool = True) -> None:
        self._timeout = timeout
        self._endpoints = endpoints
        self._clients = Clients(connect_timeout=timeout, read_timeout=timeout)

    async def send(
        self, delivery: Delivery, app: App, webhook: Webhook, trace: Mapping[str, str] = NO_HEADERS
    ) -> Outcome:
        """Make one attempt. A status that is not 2xx, and an error of the function, refuse the delivery."""
        if webhook.lambda_.client_options.endpoint is not None and not self._endpoints:
            return Outcome(NO_ENDPOINT, gone=True, blocked=True)
        try:
            async with asyncio.timeout(self._timeout):
                client = await self._clients.get("lambda", webhook.region, webhook.lambda_.client_options)
                return await _outcome(
                    await client.invoke(
                        FunctionName=webhook.lambda_function,
                        InvocationType="Event" if webhook.lambda_.async_ else "RequestResponse",
                        Payload=payload(delivery, app, webhook, trace),
                    )
                )
        except TimeoutError:
            return Outcome("no answer in time")
        except AwsFault as fault:
            return _refusal(fault)

    async def close(self) -> None:
        """Close all connections."""
        await self._clients.close()


def payload(delivery: Delivery, app: App, webhook: Webhook, trace: Mapping[str, str] = NO_HEADERS) -> bytes:
    """Return the event of a function. ``payload`` is the signed body, byte for byte."""
    key = app.keys[0]
    headers = {
        "Accept": "application/json",
        **dict(webhook.headers),
        **trace,
        **webhooks.headers(delivery.body, key.key, key.secret, delivery.id),
    }
    return b'{"payload":%b,"headers":%b}' % (delivery.body, msgspec.json.encode(headers))


async def _outcome(answer: Any) -> Outcome:
    status, stream = answer["StatusCode"], answer["Payload"]
    try:
        result = await read_at_most(stream, MOST_READ)
    finally:
        stream.close()
    if not 200 <= status < 300:
        return Outcome(f"HTTP {status}", status=status)
    if "FunctionError" in answer:
        return Outcome(f"the function failed: {_type_of_error(result)}", status=status)
    return Outcome(status=status)


def _type_of_error(result: bytes) -> str:
    """Return the type of a function's error. Its message may contain data of clients, and is left to AWS's own log."""
    try:
        error = msgspec.json.decode(result)
    except msgspec.DecodeError:
        return "unknown error"
    found = error.get("errorType") if isinstance(error, dict) else None
    return _PRINTABLE.sub("", str(found))[:100] if found else "unknown error"


def _refusal(fault: Exception) -> Outcome:
    if not isinstance(fault, ClientError):
        return Outcome(reason_of(fault))
    after = str(fault.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", ""))
    retry_after = float(after) if after.isdecimal() else None
    return Outcome(reason_of(fault), retry_after, gone=code_of(fault) == TOO_LARGE)
