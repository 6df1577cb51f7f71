"""The run of ``soketpy bench``: connect, publish, receive, and count."""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from soketpy.cli import call
from soketpy.cli.call import Target
from soketpy.cli.credentials import Credentials
from soketpy.cli.escapes import escaped
from soketpy.cli.faults import Failure
from soketpy.cli.latencies import Latencies
from soketpy.cli.ledger import Ledger
from soketpy.cli.load_report import Result, print_result
from soketpy.cli.pusher_client import Closed, PusherConnection, PusherServer, opened
from soketpy.cli.refusals import reason_in
from soketpy.process.single import event_loop
from soketpy.protocol.signatures import signed_query

AT_ONCE = 50
"""Connections that are opened at the same time."""

SETTLING = 5.0
"""Seconds without a new event after which events that have not arrived count as lost."""

LONGEST_SETTLING = 60.0
"""Most seconds that the test waits for the last events, also while some still arrive."""

EVENT = "load"

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Load:
    """The size of a test: its connections, its publishers, events a second, seconds, and bytes of an event.

    The connections name ``origin`` as that of their page.
    """

    connections: int
    publishers: int
    rate: int
    seconds: int
    size: int
    origin: str | None = None


def measure(load: Load, target: Target, prefix: str, credentials: Credentials, *, as_json: bool) -> int:
    """Run a test and print its result. Raise Failure if an event was lost or arrived twice, or a client was closed."""
    try:
        with asyncio.Runner(loop_factory=event_loop()) as runner:
            result = runner.run(_run(load, target, prefix, credentials))
    except KeyboardInterrupt:
        return INTERRUPTED
    print_result(result, as_json=as_json)
    if result.faults:
        raise Failure("; ".join(result.faults))
    return 0


async def _run(load: Load, target: Target, prefix: str, credentials: Credentials) -> Result:
    async with opened(target, prefix, credentials.key, load.origin) as server:
        return await LoadTest(load, server, prefix, credentials).run()


@dataclass(slots=True)
class Publisher:
    """The events that one publisher has sent. ``refused`` are the numbers that the server did not accept."""

    number: int
    sent: int = 0
    refused: set[int] = field(default_factory=set)


class LoadTest:
    """One test. It closes all its connections, also if it fails or is interrupted."""

    def __init__(self, load: Load, server: PusherServer, prefix: str, credentials: Credentials) -> None:
        self._load = load
        self._server = server
        self._path = f"{prefix}/apps/{quote(credentials.app_id, safe='')}/events"
        self._credentials = credentials
        self._channel = f"soketpy-bench-{token_hex(8)}"
        self._filling = "x" * load.size
        self._connections: list[PusherConnection] = []
        self._subscribed = 0
        self._publishers = [Publisher(number) for number in range(load.publishers)]
        self._ledger = Ledger(load.connections, load.publishers)
        self._connect_times, self._latencies, self._answer_times = Latencies(), Latencies(), Latencies()
        self._closes: list[str] = []
        self._refusals: list[str] = []
        self._failures: list[str] = []

    async def run(self) -> Result:
        """Run the test, and return what it has measured. Raise Failure if the server refuses the test."""
        receivers: list[asyncio.Task[None]] = []
        try:
            began = time.monotonic()
            await self._connect_all()
            connected = time.monotonic()
            receivers = [
                asyncio.create_task(self._receive(at, connection)) for at, connection in enumerate(self._connections)
            ]
            busy = _cpu()
            await self._publish_all()
            published = time.monotonic()
            busy = _cpu() - busy
            await self._settle()
        finally:
            for receiver in receivers:
                receiver.cancel()
            await asyncio.gather(*receivers, return_exceptions=True)
            await asyncio.gather(*(each.close() for each in self._connections), return_exceptions=True)
        sent = [each.sent for each in self._publishers]
        refused = [each.refused for each in self._publishers]
        return Result(
            connections=self._load.connections,
            connect_seconds=connected - began,
            connect_times=self._connect_times,
            planned=self._load.rate * self._load.seconds,
            seconds=published - connected,
            published=sum(sent) - sum(map(len, refused)),
            refusals=self._refusals,
            failures=self._failures,
            answer_times=self._answer_times,
            latencies=self._latencies,
            delivered=self._ledger.delivered,
            lost=self._ledger.lost(sent, refused),
            duplicated=self._ledger.duplicated,
            reordered=self._ledger.reordered,
            closes=self._closes,
            cpu=busy / (published - connected),
        )

    async def _connect_all(self) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def connect() -> None:
            async with turns:
                await self._join()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._load.connections):
                    group.create_task(connect())
        except* (Failure, Closed) as faults:
            reason = faults.exceptions[0]
            hint = reason.hint if isinstance(reason, Closed) else ""
            number = f"{self._subscribed} of {self._load.connections} clients could connect"
            raise Failure(f"{number}: {reason}{hint}") from None

    async def _join(self) -> None:
        """Open a connection and subscribe. Raise Closed or Failure."""
        began = time.monotonic()
        connection = await self._server.connect()
        self._connect_times.add(time.monotonic() - began)
        self._connections.append(connection)
        await connection.send("pusher:subscribe", {"channel": self._channel})
        try:
            async with asyncio.timeout(call.PATIENCE):
                await self._wait_for_subscription(connection)
        except TimeoutError:
            problem = f"did not answer the subscription within {call.PATIENCE:g} s"
            raise Failure(f"{self._server.target} {problem}") from None
        self._subscribed += 1

    async def _wait_for_subscription(self, connection: PusherConnection) -> None:
        """Wait for the answer to the subscription. Raise Closed or Failure."""
        while not (message := await connection.receive()).event.endswith(":subscription_succeeded"):
            if message.event.endswith("_error"):
                raise Failure(f"the server refuses the channel {self._channel}: {escaped(str(message.data))}")

    async def _receive(self, subscriber: int, connection: PusherConnection) -> None:
        """Note each event of the test that a subscriber receives."""
        try:
            while True:
                message = await connection.receive()
                if message.event == EVENT and self._is_ours(event := message.decoded):
                    self._latencies.add(time.monotonic() - event["at"])
                    self._ledger.receive(subscriber, event["publisher"], event["number"])
        except Closed as closed:
            self._closes.append(escaped(str(closed)))

    def _is_ours(self, event: Any) -> bool:
        """Return whether a publisher has sent this event. A server may send anything."""
        if not isinstance(event, dict) or not isinstance(event.get("at"), float):
            return False
        publisher, number = event.get("publisher"), event.get("number")
        if type(publisher) is not int or type(number) is not int or not 0 <= publisher < len(self._publishers):
            return False
        return 1 <= number <= self._publishers[publisher].sent

    async def _publish_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for publisher in self._publishers:
                    group.create_task(self._publish(publisher))
        except* Failure as faults:
            raise Failure(str(faults.exceptions[0])) from None

    async def _publish(self, publisher: Publisher) -> None:
        """Send events at the publisher's share of the rate. Raise Failure if the server refuses the first one."""
        interval = self._load.publishers / self._load.rate
        now = time.monotonic()
        end, due = now + self._load.seconds, now + interval * publisher.number / self._load.publishers
        while (now := time.monotonic()) < end:
            if due > now:
                await asyncio.sleep(min(due, end) - now)
                if due >= end:
                    return
            due = max(due + interval, time.monotonic() - interval)  # do not make up for a pause with a burst
            await self._send(publisher)

    async def _send(self, publisher: Publisher) -> None:
        """Send one event, and note the answer."""
        publisher.sent = number = publisher.sent + 1
        at = time.monotonic()
        data = {"publisher": publisher.number, "number": number, "at": at, "filling": self._filling}
        body = json.dumps({"name": EVENT, "channels": [self._channel], "data": json.dumps(data)}).encode()
        key, secret = self._credentials.key, self._credentials.secret
        query = signed_query(key, secret, "POST", self._path, body, int(time.time()))
        try:
            status, text = await self._server.post(f"{self._path}?{query}", body)
        except Failure as failure:
            self._refuse(publisher, str(failure), self._failures)
            return
        self._answer_times.add(time.monotonic() - at)
        if not 200 <= status < 300:
            reason = f"HTTP {status}: {reason_in(self._server.target, status, text)}"
            self._refuse(publisher, reason, self._failures if status >= 500 else self._refusals)

    def _refuse(self, publisher: Publisher, reason: str, reasons: list[str]) -> None:
        """Note that the newest event was not accepted, and the reason. Raise Failure if it was the first one."""
        if publisher.sent == 1:
            raise Failure(f"the server refuses the events of the test: {reason}")
        publisher.refused.add(publisher.sent)
        reasons.append(reason)

    async def _settle(self) -> None:
        """Wait until all events have arrived, or none has arrived for SETTLING seconds, at most LONGEST_SETTLING."""
        wanted = sum(each.sent - len(each.refused) for each in self._publishers) * self._load.connections
        seen, until, end = -1, 0.0, time.monotonic() + LONGEST_SETTLING
        while self._ledger.delivered < wanted and len(self._closes) < self._load.connections:
            if self._ledger.delivered != seen:
                seen, until = self._ledger.delivered, time.monotonic() + SETTLING
            if time.monotonic() > min(until, end):
                return
            await asyncio.sleep(0.01)


def _cpu() -> float:
    """Return the seconds of CPU time that this process has used."""
    used = os.times()
    return used.user + used.system
