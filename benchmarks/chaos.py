"""``make chaos``: kills nodes over one Redis at random, under a steady stream of events, and counts every event.

    python -m benchmarks.chaos [--seconds N] [--nodes N] [--clients N] [--rate N] [--gently]

It prints its progress every ten seconds and ends with a ledger of every event, every client and every webhook. The exit
code is 1 if a connected client lost an event, got it twice or out of order, or if the nodes still count clients that
are gone. It is also 1 if a webhook is lost or out of order, or arrives twice although no node was killed. An event is
lost if a client got an earlier and a later event on the same connection, but not this one. The ledger ignores calls
without a 200 response, because their event may or may not have been published.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.webhook_ledger import Talkers, WebhookLedger
from soketpy.protocol import signatures

KEY, SECRET, APP = "app-key", "app-secret", "app-id"
CHANNELS = 30
PAUSE = 0.2
"""The longest delay before a client reconnects, in seconds."""

PATIENCE = 60.0
"""The time limit for the start of a process, for all reconnects, and for exact counts, in seconds."""

TELL_INTERVAL = 10.0
"""The time between two lines of progress, in seconds."""


class Process:
    """A program that is stopped by its process id."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, ready: str) -> str:
        """Start the program and return the line that says that it is ready."""
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while ready not in (line := (await self.process.stdout.readline()).decode()):
                assert line, f"{self.command} has ended"
        self._reading = asyncio.create_task(self.process.stdout.read())
        return line

    async def end(self, *, kill: bool) -> None:
        """Stop the program with SIGKILL or SIGTERM, and wait for its end."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill() if kill else self.process.terminate()
            await self.process.wait()
            await self._reading
            self.process = None


class ClusterNode(Process):
    """A node of a cluster over Redis, with one app. It keeps its port when it starts again."""

    def __init__(self, folder: Path, number: int, app: dict[str, object]) -> None:
        self.port = 0
        self._config = folder / f"node-{number}.json"
        self._settings = {
            "host": "127.0.0.1",
            "cluster": "redis",
            "redis": {"unix_socket": str(folder / "redis.sock")},
            "timeouts": {"shutdown": 1},
            "apps": [app],
        }
        super().__init__(sys.executable, "-m", "soketpy", "start", "--config", str(self._config))

    async def come(self) -> None:
        """Start the node on the port that it had before, if any."""
        self._config.write_text(json.dumps({**self._settings, "port": self.port}))
        found = re.search(r"127\.0\.0\.1:(\d+)", await self.start("Listening on"))
        assert found is not None
        self.port = int(found[1])

    @property
    def up(self) -> bool:
        """True while the process runs."""
        return self.process is not None and self.process.returncode is None


class Node(ClusterNode):
    """A node whose app has webhooks."""

    def __init__(self, folder: Path, number: int, webhook: str) -> None:
        webhooks = [{"url": webhook, "event_types": ["channel_occupied", "channel_vacated", "client_event"]}]
        app = {"id": APP, "key": KEY, "secret": SECRET, "client_events": True, "webhooks": webhooks}
        super().__init__(folder, number, app)


@dataclass
class Ledger:
    """Every event that was accepted, and every event that was delivered."""

    accepted: dict[str, set[int]] = field(default_factory=dict)
    unknown: int = 0
    heard: list[tuple[str, list[int]]] = field(default_factory=list)  # one entry per connection
    kills: int = 0

    @property
    def taken(self) -> int:
        """The number of accepted events."""
        return sum(map(len, self.accepted.values()))

    def faults(self) -> Counter[str]:
        """Return the number of faults of each kind."""
        found = Counter[str](lost=0, doubled=0, out_of_order=0)
        for channel, numbers in self.heard:
            found["doubled"] += len(numbers) - len(set(numbers))
            found["out_of_order"] += sum(second < first for first, second in itertools.pairwise(numbers))
            if numbers:
                owed = {each for each in self.accepted[channel] if min(numbers) < each < max(numbers)}
                found["lost"] += len(owed - set(numbers))
        return found


class Chaos:
    """The nodes, the clients, the publishers, and the task that kills nodes."""

    def __init__(
        self,
        nodes: list[Node],
        clients: int,
        rate: float,
        webhooks: WebhookLedger,
        *,
        gently: bool,
        tell: Callable[[str], None],
    ) -> None:
        self.ledger = Ledger(accepted={f"channel-{number}": set() for number in range(CHANNELS)})
        self.connected = Counter[str]()
        self.exact = False
        self.webhooks = webhooks
        self._nodes = nodes
        self._clients = clients
        self._rate = rate
        self._gently = gently
        self._tell = tell
        self._over = asyncio.Event()
        self.webhooks_complete = False

    async def run(self, seconds: float) -> None:
        """Kill nodes under load for so many seconds, and then wait until all clients are connected again."""
        unlimited = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=unlimited) as session, asyncio.TaskGroup() as group:
            listening = [group.create_task(self._listen(session, number % CHANNELS)) for number in range(self._clients)]
            await self._all_back()
            talkers = Talkers(self.webhooks, lambda: self._any_up().port, KEY, SECRET)
            talkers.start(session)
            publishing = [group.create_task(self._publish(session, channel)) for channel in self.ledger.accepted]
            killing = group.create_task(self._kill())
            telling = group.create_task(self._tell_now_and_then())
            await asyncio.sleep(seconds)
            self._over.set()
            await killing
            await asyncio.gather(*publishing)
            await talkers.stop()
            telling.cancel()
            self._tell("over: waiting until all clients are connected and the counts are exact")
            await self._all_back()
            self.exact = await self._counts_become_exact()
            self._tell("waiting until all webhooks have arrived")
            await self._webhooks_arrive()
            for task in listening:
                task.cancel()

    async def _all_back(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.connected.total() < self._clients:  # noqa: ASYNC110 - all clients change the count
                await asyncio.sleep(0.05)

    async def _tell_now_and_then(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(TELL_INTERVAL)
            self._tell(
                f"{number * TELL_INTERVAL:5.0f} s: {self.ledger.kills:,} nodes stopped, "
                f"{self.ledger.taken:,} events accepted, {self.connected.total():,} clients connected"
            )

    def _any_up(self) -> Node:
        up = [node for node in self._nodes if node.up]
        return random.choice(up or self._nodes)

    async def _listen(self, session: aiohttp.ClientSession, number: int) -> None:
        """Run one client: it connects to any node, subscribes, and reconnects after every disconnect."""
        channel = f"channel-{number}"
        while True:
            numbers: list[int] = []
            self.ledger.heard.append((channel, numbers))
            subscribed = False
            try:
                url = f"http://127.0.0.1:{self._any_up().port}/app/{KEY}?protocol=7"
                async with session.ws_connect(url) as socket:
                    await socket.send_json({"event": "pusher:subscribe", "data": {"channel": channel}})
                    async for message in socket:
                        event = json.loads(message.data)
                        if event["event"] == "pusher_internal:subscription_succeeded":
                            subscribed = True
                            self.connected[channel] += 1
                        elif event["event"] == "numbered":
                            numbers.append(int(event["data"]))
            except (aiohttp.ClientError, OSError):
                pass
            finally:
                self.connected[channel] -= subscribed
            await asyncio.sleep(PAUSE * random.random())

    async def _publish(self, session: aiohttp.ClientSession, channel: str) -> None:
        """Run one publisher of one channel: it sends numbered events, one after the other."""
        number, next_at = 0, time.monotonic()
        while not self._over.is_set():
            number += 1
            body = json.dumps({"name": "numbered", "channels": [channel], "data": str(number)}).encode()
            path = f"/apps/{APP}/events"
            query = signatures.signed_query(KEY, SECRET, "POST", path, body, int(time.time()), None)
            try:
                async with session.post(f"http://127.0.0.1:{self._any_up().port}{path}?{query}", data=body) as answer:
                    taken = answer.status == 200
            except (aiohttp.ClientError, OSError):
                taken = False
            if taken:
                self.ledger.accepted[channel].add(number)
            else:
                self.ledger.unknown += 1
            next_at += CHANNELS / self._rate
            await asyncio.sleep(max(0, next_at - time.monotonic()))

    async def _kill(self) -> None:
        """Stop random nodes, one at a time, and start them again."""
        while not self._over.is_set():
            await asyncio.sleep(random.uniform(1, 4))
            node = random.choice(self._nodes)
            await node.end(kill=not self._gently and random.random() < 0.7)
            self.ledger.kills += 1
            await asyncio.sleep(random.uniform(0, 2))
            await node.come()

    async def _counts_become_exact(self) -> bool:
        """Return True if the counts of the nodes become exact, which needs the removal of dead nodes' data."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while await self._counts() != dict(self.connected):  # noqa: ASYNC110 - other processes change the counts
                    await asyncio.sleep(0.2)
                return True
        return False

    async def _webhooks_arrive(self) -> None:
        """Wait until the receiver knows which channels are occupied, and has every client event; or for a minute."""
        occupied = set(list(self.ledger.accepted)[: self._clients])  # with few clients, some channels have none
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self.webhooks.occupied != occupied or self.webhooks.faults()["webhooks lost"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
        self.webhooks_complete = self.webhooks.occupied == occupied

    async def _counts(self) -> dict[str, int]:
        """Return the subscription counts of all channels from one node."""
        path = f"/apps/{APP}/channels"
        query = signatures.signed_query(KEY, SECRET, "GET", path, b"", int(time.time()), None)
        url = f"http://127.0.0.1:{self._any_up().port}{path}?{query}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            channels = (await answer.json())["channels"]
        return {name: channel["subscription_count"] for name, channel in channels.items()}


async def chaos(
    seconds: float,
    nodes: int,
    clients: int,
    rate: float,
    *,
    gently: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Chaos:
    """Run chaos with a Redis of its own. ``tell`` is called with lines of progress."""
    redis_server = shutil.which("redis-server")
    assert redis_server is not None, "redis-server is missing"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = Process(redis_server, "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--save", "")
        await redis.start("eady to accept connections")
        webhooks = WebhookLedger()
        receiver = web.Application()
        receiver.router.add_post("/", webhooks.receive)
        runner = web.AppRunner(receiver, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        started = [Node(folder, number, url) for number in range(nodes)]
        try:
            for node in started:
                await node.come()
            run = Chaos(started, clients, rate, webhooks, gently=gently, tell=tell)
            await run.run(seconds)
            return run
        finally:
            for node in started:
                await node.end(kill=True)
            await redis.end(kill=True)
            await runner.cleanup()


def main() -> int:
    """Run chaos with the command line arguments, and print the ledger."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description="Kill nodes at random under load, and count every event. The exit code is 1 if a connected client "
        "lost an event, got it twice or out of order, or if the counts of the nodes are wrong at the end.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=120, help="the time during which nodes are killed")
    parser.add_argument("--nodes", type=int, default=3, help="the number of nodes over one Redis")
    parser.add_argument("--clients", type=int, default=300, help="the number of clients, with one channel each")
    parser.add_argument("--rate", type=float, default=500, help="events per second, over all channels")
    parser.add_argument("--gently", action="store_true", help="stop nodes only with SIGTERM, as in a rolling restart")
    given = parser.parse_args()
    how = "stopped with SIGTERM" if given.gently else "killed, or stopped with SIGTERM,"
    _say(
        f"{given.nodes} nodes over one Redis, {given.clients:,} clients, {given.rate:g} events per second; "
        f"for {given.seconds:g} s nodes are {how} at random and started again"
    )
    run = asyncio.run(chaos(given.seconds, given.nodes, given.clients, given.rate, gently=given.gently, tell=_say))
    ledger, faults = run.ledger, run.ledger.faults()
    print(f"nodes stopped and started again  {ledger.kills:,}")
    print(f"events accepted                 {ledger.taken:,}")
    print(f"calls without a 200 response    {ledger.unknown:,} (expected while nodes stop; not counted as lost)")
    print(f"connections                     {len(ledger.heard):,}")
    print(f"events delivered                {sum(len(numbers) for _, numbers in ledger.heard):,}")
    for fault, times in faults.items():
        print(f"{fault.replace('_', ' '):31} {times:,}")
    print(f"counts at the end               {'exact' if run.exact else 'WRONG'}")
    webhooks = run.webhooks
    print(f"client events received          {len(webhooks.heard):,}")
    print(f"events in webhooks              {len(webhooks.events):,}")
    print(f"webhooks accepted and refused   {webhooks.accepted.total():,} and {webhooks.refused:,}")
    for fault, times in webhooks.faults().items():
        print(f"{fault:31} {times:,}")
    print(f"webhooks doubled                {webhooks.doubled:,}{'' if given.gently else ' (a kill may cause it)'}")
    print(f"occupied channels at the end    {'exact' if run.webhooks_complete else 'WRONG'}")
    faults.update(webhooks.faults())
    doubled = given.gently and webhooks.doubled
    return 0 if run.exact and run.webhooks_complete and not faults.total() and not doubled else 1


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
