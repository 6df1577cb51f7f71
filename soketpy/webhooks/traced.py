"""The traces of webhooks: one span for each attempt to deliver, whose trace the receiver can continue."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.tracing import Tracer
from soketpy.core.webhook_ports import NO_HEADERS, Outcome, Target
from soketpy.core.webhooks import Webhook

_PORTS = {"http": 80, "https": 443}


class TracedTarget:
    """Sends deliveries by another target. No span has the path or the query of a URL, which may have secrets.

    A webhook that has a header ``traceparent`` of its own keeps it.
    """

    def __init__(self, target: Target, tracer: Tracer) -> None:
        self._target = target
        self._tracer = tracer

    async def send(
        self, delivery: Delivery, app: App, webhook: Webhook, trace: Mapping[str, str] = NO_HEADERS
    ) -> Outcome:
        """Make one attempt."""
        name = "POST" if webhook.url is not None else "Invoke"
        span = self._tracer.begin(name, {**_of_receiver(webhook), **_of_delivery(delivery)})
        if "traceparent" not in map(str.lower, webhook.headers):
            trace = {**trace, **span.headers}
        outcome = Outcome("the attempt was interrupted")
        try:
            outcome = await self._target.send(delivery, app, webhook, trace)
        finally:
            status = {} if outcome.status is None else {"http.response.status_code": outcome.status}
            span.end(status, outcome.error.removeprefix("HTTP "))
        return outcome

    async def close(self) -> None:
        """Close all connections."""
        await self._target.close()


def _of_receiver(webhook: Webhook) -> dict[str, str | int]:
    if webhook.url is None:
        return {
            "faas.invoked_name": webhook.lambda_function or "",
            "faas.invoked_provider": "aws",
            "faas.invoked_region": webhook.region,
        }
    parts = urlsplit(webhook.url)
    return {
        "http.request.method": "POST",
        "url.scheme": parts.scheme,
        "server.address": parts.hostname or "",
        "server.port": parts.port or _PORTS[parts.scheme],
    }


def _of_delivery(delivery: Delivery) -> dict[str, str | int]:
    repeated = {"http.request.resend_count": delivery.attempts} if delivery.attempts else {}
    return {
        **repeated,
        "soketpy.app.id": delivery.app_id,
        "soketpy.webhook.id": delivery.webhook_id,
        "soketpy.delivery.id": delivery.id,
        "soketpy.delivery.attempt": delivery.attempts + 1,
        "soketpy.event.count": delivery.events,
    }
