"""The cost of webhooks: the CPU that 10,000 ``client_event`` webhooks per second take from fan-out.

    python -m benchmarks.webhooks [--rate N] [--seconds N] [--rounds N] [--queue NAME ...]

Clients send events at a fixed rate to a server on a core of its own. The server runs without webhooks, and with a
webhook for each event: batched or not, for each queue. The figure is the CPU time of the server per second. What
webhooks add is the share of the core that fan-out loses at full load. A receiver counts the events that arrive. The
variants run one after the other in each round, so that all of them see the same machine.

``--queue redis`` measures one node of a cluster over Redis, and compares it with such a node without webhooks. Redis
runs on the core of the server, and its CPU time is printed too.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from benchmarks.crowd import handshake, masked
from benchmarks.servers import GENERATOR_CORE, REDIS, SOKETPY, running
from soketpy.protocol import signatures
from soketpy.protocol.frames import Opcode

PAIRS = 10
"""Channels, each with one sender and one subscriber."""

TICK = 0.01
"""Seconds between two bursts of events."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration of the server."""

    name: str
    queue: str = ""
    batching: bool = False
    cluster: bool = False

    @property
    def plain(self) -> str:
        """Return the name of the variant without webhooks that this one is compared with."""
        return "no webhooks, cluster" if self.cluster else "no webhooks"

    def settings(self, folder: Path, receiver: str, redis: int) -> dict[str, Any]:
        """Return the configuration of the server. ``redis`` is the port of Redis."""
        app: dict[str, Any] = {"id": "app-id", "key": "app-key", "secret": "app-secret", "client_events": True}
        settings: dict[str, Any] = {"host": "127.0.0.1", "log": {"level": "warning"}, "apps": [app]}
        if self.cluster:
            settings |= {"cluster": "redis", "redis": {"host": "127.0.0.1", "port": redis}}
        if self.queue:
            app["webhooks"] = [{"url": receiver, "event_types": ["client_event"]}]
            settings["webhooks"] = {"queue": self.queue, "batching": self.batching}
        if self.queue == "sqlite":
            settings["webhooks"]["path"] = str(folder / "webhooks.db")
        return settings


class Receiver:
    """Counts the events of all requests."""

    def __init__(self) -> None:
        self.requests = self.events = 0

    async def serve(self, request: web.Request) -> web.Response:
        """Count one request."""
        self.requests += 1
        self.events += (await request.read()).count(b'"client_event"')
        return web.Response()


class Peer(asyncio.Protocol):
    """A client: it sends its opening and drops what it reads."""

    def __init__(self) -> None:
        self.greeted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:  # uvloop's transports are not asyncio.Transport
        """Ask for a WebSocket."""
        self.transport: asyncio.WriteTransport = transport
        transport.write(handshake())

    def data_received(self, data: bytes) -> None:
        """Note the greeting, and drop everything else."""
        if not self.greeted.done() and b"socket_id" in data:
            self.greeted.set_result(data)


async def peer(port: int, channel: str) -> Peer:
    """Return a client that is subscribed to a channel."""
    _, client = await asyncio.get_running_loop().create_connection(Peer, "127.0.0.1", port)
    greeting = await client.greeted
    message = json.loads(greeting[greeting.index(b'{"event"') :])
    socket_id = json.loads(message["data"])["socket_id"]
    auth = "app-key:" + signatures.sign("app-secret", signatures.channel_text(socket_id, channel, None))
    subscribe = {"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}}
    client.transport.write(masked(int(Opcode.TEXT), json.dumps(subscribe).encode()))
    return client


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def send(port: int, pids: Sequence[int], rate: int, seconds: float) -> tuple[list[float], int]:
    """Send events at a rate for so many seconds. Return the CPU of processes per second, and the number of events."""
    names = [f"private-{number}" for number in range(PAIRS)]
    senders = [await peer(port, name) for name in names]
    listeners = [await peer(port, name) for name in names]
    event = {"event": "client-moved", "data": {"x": 120, "y": 340, "by": "somebody"}}
    frames = [masked(int(Opcode.TEXT), json.dumps({**event, "channel": name}).encode()) for name in names]
    await asyncio.sleep(0.5)
    sent, start, before = 0, time.monotonic(), [cpu(pid) for pid in pids]
    while (passed := time.monotonic() - start) < seconds:
        due = (int(rate * passed) - sent) // PAIRS
        for client, frame in zip(senders, frames, strict=True):
            client.transport.write(frame * due)
        sent += due * PAIRS
        await asyncio.sleep(TICK)
    passed = time.monotonic() - start
    used = [(cpu(pid) - earlier) / passed for pid, earlier in zip(pids, before, strict=True)]
    for client in (*senders, *listeners):
        client.transport.close()
    return used, sent


async def measure(variant: Variant, rate: int, seconds: float) -> dict[str, float]:
    """Run one variant. Return its figures."""
    receiver = Receiver()
    served = web.Application(client_max_size=2**26)
    served.router.add_post("/hook", receiver.serve)
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    with tempfile.TemporaryDirectory() as name, running(REDIS) if variant.cluster else nullcontext() as redis:
        config = Path(name) / "soketpy.json"
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        config.write_text(json.dumps(variant.settings(Path(name), url, redis.port if redis else 0)))
        kind = replace(
            SOKETPY, command=(sys.executable, "-m", "soketpy", "start", "--config", str(config), "--port", "PORT")
        )
        with running(kind) as server:
            pids = [server.pid, *([redis.pid] if redis else [])]
            used, sent = await send(server.port, pids, rate, seconds)
            late = time.monotonic()
            while variant.queue and receiver.events < sent and time.monotonic() - late < 60:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            late = time.monotonic() - late
    await runner.cleanup()
    arrived = {"arrived": receiver.events, "requests": receiver.requests, "late": late}
    return {"cpu": used[0], "redis": sum(used[1:]), "sent": sent, **arrived}


def main() -> None:
    """Measure all variants in turn, and print their medians."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.webhooks",
        description="Measure the CPU that webhooks of client events take from the server.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rate", type=int, default=10_000, help="client events per second")
    parser.add_argument("--seconds", type=float, default=5, help="the time of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the number of measurements of each variant")
    parser.add_argument("--queue", nargs="*", default=["memory", "sqlite"], help="the queues to measure")
    parser.add_argument("--unbatched", action="store_true", help="also measure one request for each event")
    given = parser.parse_args()
    hooked = [Variant(f"{queue}, batched", queue, True, queue == "redis") for queue in given.queue]
    if given.unbatched:
        hooked += [Variant(f"{queue}, one by one", queue, False, queue == "redis") for queue in given.queue]
    clusters = dict.fromkeys(each.cluster for each in hooked)
    variants = [*(Variant(Variant("", cluster=each).plain, cluster=each) for each in clusters), *hooked]
    os.sched_setaffinity(0, {int(GENERATOR_CORE)})
    figures: dict[str, list[dict[str, float]]] = {each.name: [] for each in variants}
    for number in range(given.rounds):
        for variant in variants:
            found = uvloop.run(measure(variant, given.rate, given.seconds))
            figures[variant.name].append(found)
            print(
                f"round {number + 1}  {variant.name:22} CPU {found['cpu']:5.1%}"
                + (f", Redis {found['redis']:5.1%}" if variant.cluster else "")
                + f"; {found['sent']:,} events, "
                f"{found['arrived']:,} arrived in {found['requests']:,} requests, the last {found['late']:.1f} s late",
                flush=True,
            )
    medians = {name: statistics.median(each["cpu"] for each in rounds) for name, rounds in figures.items()}
    for variant in variants:
        used = medians[variant.name]
        print(f"{variant.name:22} CPU {used:5.1%}, of which webhooks {used - medians[variant.plain]:5.1%}")


if __name__ == "__main__":
    main()
