"""The target of webhooks with a URL: an HTTP client on aiohttp."""

import asyncio
from collections.abc import Mapping

import aiohttp

from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Outcome
from soketpy.core.webhooks import Webhook
from soketpy.protocol import webhooks

USER_AGENT = "soketpy-webhooks"

MOST_READ = 64 * 1024
"""Bytes of an answer that are read. The connection of a longer answer is closed."""


class HttpTarget:
    """Posts deliveries to URLs. Redirects are not followed; TLS certificates are verified.

    ``timeout`` is in seconds, for one attempt.
    """

    def __init__(self, *, timeout: float = 10) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=timeout),
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def send(self, delivery: Delivery, app: App, webhook: Webhook) -> Outcome:
        """Make one attempt. Only an answer with a status from 200 to 299 accepts the delivery."""
        assert webhook.url is not None  # noqa: S101 - the sender chooses the target
        key = app.keys[0]
        headers = {**dict(webhook.headers), **webhooks.headers(delivery.body, key.key, key.secret, delivery.id)}
        try:
            async with self._session.post(
                webhook.url, data=delivery.body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(MOST_READ)
                return _outcome(answer.status, answer.headers)
        except TimeoutError:
            return Outcome("no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            return Outcome(f"{type(fault).__name__}: {fault}")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await asyncio.sleep(0)


def _outcome(status: int, headers: Mapping[str, str]) -> Outcome:
    if 200 <= status < 300:
        return Outcome()
    retry_after = headers.get("Retry-After", "")
    return Outcome(f"HTTP {status}", float(retry_after) if retry_after.isdecimal() else None, gone=status == 410)
