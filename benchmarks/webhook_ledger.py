"""The webhooks of a chaos run: a receiver that sometimes fails, clients that talk, and a ledger of every event.

A client event counts as accepted if another client has received it: a node appends an event to the queue of webhooks
before it publishes the event.
"""

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from soketpy.protocol import signatures

FAILURES = 0.01
"""The share of requests that the receiver refuses with 500, so that they are repeated."""

TALKERS = 20
"""Private channels, each with two clients that send client events to each other."""

INTERVAL = 0.2
"""Seconds between two events of one client."""

Sent = tuple[str, str, int]
"""A client event: its channel, the socket id of its sender, and its number."""


@dataclass
class WebhookLedger:
    """Every event that a client has received, and every webhook that has arrived."""

    heard: set[Sent] = field(default_factory=set)
    accepted: Counter[str] = field(default_factory=Counter)  # requests with the answer 200, by delivery id
    refused: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)  # in the order of arrival, without repeats

    @property
    def client_events(self) -> list[Sent]:
        """Return the client events that have arrived."""
        return [
            (each["channel"], each["socket_id"], int(json.loads(each["data"])["number"]))
            for each in self.events
            if each["name"] == "client_event"
        ]

    def faults(self) -> Counter[str]:
        """Return the number of faults of each kind."""
        found = Counter[str]()
        arrived = self.client_events
        found["webhooks lost"] = len(self.heard - set(arrived))
        found["webhooks out of order"] = sum(
            second < first
            for _, group in itertools.groupby(sorted(arrived, key=lambda sent: sent[:2]), key=lambda sent: sent[:2])
            for first, second in itertools.pairwise(number for *_, number in group)
        )
        for channel in {each["channel"] for each in self.events}:
            states = [
                each["name"]
                for each in self.events
                if each["channel"] == channel and each["name"] in ("channel_occupied", "channel_vacated")
            ]
            found["webhooks that do not alternate"] += sum(one == two for one, two in itertools.pairwise(states))
            found["webhooks that do not alternate"] += states[:1] == ["channel_vacated"]
        return found

    @property
    def doubled(self) -> int:
        """The number of deliveries that were accepted more than once. A kill may cause it, nothing else."""
        return sum(count > 1 for count in self.accepted.values())

    @property
    def occupied(self) -> set[str]:
        """The channels that are occupied, as far as the receiver knows."""
        last = {
            each["channel"]: each["name"]
            for each in self.events
            if each["name"] in ("channel_occupied", "channel_vacated")
        }
        return {channel for channel, name in last.items() if name == "channel_occupied"}

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one request of a node."""
        body = await request.read()
        if random.random() < FAILURES:
            self.refused += 1
            return web.Response(status=500)
        delivery = request.headers["X-Soketpy-Delivery"]
        self.accepted[delivery] += 1
        if self.accepted[delivery] == 1:
            self.events += json.loads(body)["events"]
        return web.Response()


class Talkers:
    """Pairs of clients on private channels. Each client reconnects after every disconnect, until ``stop``."""

    def __init__(self, ledger: WebhookLedger, port: Callable[[], int], key: str, secret: str) -> None:
        self._ledger = ledger
        self._port = port
        self._key = key
        self._secret = secret
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, session: aiohttp.ClientSession) -> None:
        """Connect all clients."""
        channels = [f"private-talk-{number}" for number in range(TALKERS)]
        self._tasks = [asyncio.create_task(self._talk(session, channel)) for channel in channels for _ in range(2)]

    async def stop(self) -> None:
        """Disconnect all clients."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _talk(self, session: aiohttp.ClientSession, channel: str) -> None:
        while True:
            try:
                url = f"http://127.0.0.1:{self._port()}/app/{self._key}?protocol=7"
                async with session.ws_connect(url) as socket:
                    await self._converse(socket, channel)
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.2 * random.random())

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse, channel: str) -> None:
        speaking: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                event = json.loads(message.data)
                if event["event"] == "pusher:connection_established":
                    socket_id = json.loads(event["data"])["socket_id"]
                    text = signatures.channel_text(socket_id, channel, None)
                    auth = f"{self._key}:{signatures.sign(self._secret, text)}"
                    await socket.send_json({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}})
                elif event["event"] == "pusher_internal:subscription_succeeded":
                    speaking = asyncio.create_task(self._speak(socket, channel, socket_id))
                elif event["event"] == "client-numbered":
                    self._ledger.heard.add((channel, event["data"]["by"], event["data"]["number"]))
        finally:
            if speaking is not None:
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)

    async def _speak(self, socket: aiohttp.ClientWebSocketResponse, channel: str, socket_id: str) -> None:
        for number in itertools.count(1):
            data = {"by": socket_id, "number": number}
            await socket.send_json({"event": "client-numbered", "channel": channel, "data": data})
            await asyncio.sleep(INTERVAL)
