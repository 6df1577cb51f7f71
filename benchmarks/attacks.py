"""The scenarios with slow, silent and very many clients: each function with a ``Stage`` runs one scenario.

The other clients belong to the load generator. The hostile clients share its core, at idle priority.
"""

import http.client
import json
import os
import signal
import time

from benchmarks.crowd import NOTHING, Client, Crowd, handshake
from benchmarks.generator import Result
from benchmarks.scenarios import Options
from benchmarks.servers import APP, Running
from benchmarks.stage import Stage, alone, beside_a_load, configured, forget_peak, memory, open_files
from soketpy.protocol import signatures
from soketpy.protocol.errors import Code

PATIENCE = 20.0
"""The time limit for each expected result, in seconds."""

HANDSHAKE, ACTIVITY, PONG = 3, 6, 2
"""The timeouts of the silent clients, in seconds. The load ends before its connections are as old as their sum."""


# Slow readers


class Slow:
    """Clients that are subscribed to all channels of the load and do not read.

    The first half never reads again. Each client of the other half reads its close code after the server closed it, and
    a new client replaces it.
    """

    def __init__(self, crowd: Crowd, server: Running, count: int, channels: int) -> None:
        self.closed = self.wrong = 0
        self._crowd = crowd
        self._http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self._channels = [f"bench-{number}" for number in range(channels)]
        self._came = 0
        self._never = {self._come() for _ in range(count // 2)}
        self._waiting = {self._come() for _ in range(count - count // 2)}
        self._reading: set[Client] = set()

    def _come(self) -> Client:
        """Return a new client that is subscribed to its channels and has stopped reading."""
        self._came += 1
        (client,) = self._crowd.dial(1, handshake(), [f"slow-{self._came}", *self._channels])
        if not self._crowd.until(lambda: client.ready, PATIENCE):
            raise RuntimeError("A slow client could not subscribe.")
        self._crowd.stop_reading(client)
        return client

    def look(self) -> None:
        """Find the clients that the server closed, and replace them."""
        self._crowd.run(0.2)
        connected = self._connected()
        for client in [client for client in self._waiting if client.name not in connected]:
            self._waiting.remove(client)
            self._reading.add(client)
            self._crowd.read_on(client)
            self._waiting.add(self._come())

    def end(self) -> None:
        """Count the close codes, and disconnect the remaining clients."""
        self._crowd.until(lambda: all(client.ended_at for client in self._reading), PATIENCE)
        connected = self._connected()
        gone = [client for client in self._never if client.name not in connected]
        read = [client for client in self._reading if client.code == Code.OVER_CAPACITY]
        self.closed = len(gone) + len(read)
        self.wrong = len(self._never) + len(self._reading) - self.closed
        self._crowd.drop(self._waiting)
        self._http.close()

    def _connected(self) -> set[str]:
        """Return the names of the connected slow clients: each is subscribed to a channel of that name."""
        path = f"/apps/{APP['id']}/channels"
        wanted = {"filter_by_prefix": "slow-"}
        query = signatures.signed_query(APP["key"], APP["secret"], "GET", path, b"", int(time.time()), wanted)
        self._http.request("GET", f"{path}?{query}")
        return set(json.load(self._http.getresponse())["channels"])


@beside_a_load
def slow_readers(stage: Stage, options: Options) -> Result:
    """Measure a load alone, and then together with clients that do not read it."""
    load = dict(options)
    count = int(load.pop("clients"))
    with stage.server() as server, Crowd(server.port) as crowd:
        undisturbed = stage.load(server, load).result()
        before, sockets = memory(server), open_files(server)
        forget_peak(server)
        slow = Slow(crowd, server, count, int(load["channels"]))
        loading = stage.load(server, load)
        while not loading.done():
            slow.look()
        slow.end()
        crowd.until(lambda: open_files(server) <= sockets, PATIENCE)
        return {
            "loads": [undisturbed, loading.result()],
            "closed": slow.closed,
            "wrong": slow.wrong,
            "left_open": max(0, open_files(server) - sockets),
            "growth_mib": (memory(server, "VmHWM") - before) / 1024,
            "kept_mib": (memory(server) - before) / 1024,
        }


# Silent clients


@beside_a_load
def silent_clients(stage: Stage, options: Options) -> Result:
    """Measure a load alone, and then while the server drops clients that are silent.

    An equal group of silent clients runs before the load, so that memory in the allocator does not count as growth.
    """
    load = dict(options)
    count = int(load.pop("clients"))
    kind = configured(
        SOKETPY_TIMEOUTS_HANDSHAKE=HANDSHAKE, SOKETPY_TIMEOUTS_ACTIVITY=ACTIVITY, SOKETPY_TIMEOUTS_PONG=PONG
    )
    with stage.server(kind) as server, Crowd(server.port) as crowd:
        start = memory(server)
        first = Silent(crowd, count)
        first.complete(0)
        first.wait()
        undisturbed = stage.load(server, load).result()
        before = memory(server)
        second = Silent(crowd, count)
        second.complete(ACTIVITY + PONG - HANDSHAKE - 1)  # so that the server drops all of them during the load
        loading = stage.load(server, load)
        crowd.until(loading.done, PATIENCE)
        second.wait()
        ends = second.ends()
        return {
            "loads": [undisturbed, loading.result()],
            "dropped": sum(bool(client.ended_at) for client in second.strangers),
            "no_pong": sum(client.code == Code.NO_PONG for client in second.members),
            "earliest": min(ends),
            "latest": max(ends),
            "kept_mib": (before - start) / 1024,
            "grown_percent": (memory(server) / before - 1) * 100,
        }


class Silent:
    """Three groups of ``count`` clients: silent subscribers, unfinished handshakes, connections without data."""

    def __init__(self, crowd: Crowd, count: int) -> None:
        self._crowd = crowd
        self._count = count
        self.members = crowd.dial(count, handshake(), ["silent"])
        self.strangers: list[Client] = []
        crowd.until(lambda: all(client.ready for client in self.members), PATIENCE)

    def complete(self, after: float) -> None:
        """Connect the clients without a complete handshake after so many seconds."""
        self._crowd.run(after)
        self.strangers = self._crowd.dial(self._count, handshake()[:-2]) + self._crowd.dial(self._count, NOTHING)

    def wait(self) -> None:
        """Return when the server has dropped all clients and is idle."""
        self._crowd.until(lambda: all(client.ended_at for client in self.members + self.strangers), PATIENCE)
        self._crowd.run(1)

    def ends(self) -> list[float]:
        """Return the seconds between the timeout and the close of each client."""
        return [client.ended_at - client.dialled_at - HANDSHAKE for client in self.strangers] + [
            client.ended_at - client.greeted_at - ACTIVITY - PONG for client in self.members
        ]


# Limits


@alone
def limits(stage: Stage, options: Options) -> Result:
    """Connect twice as many clients as the limit of an app, and then of the process; some leave, and more connect."""
    count, leaving = int(options["clients"]), int(options["leaving"])
    app = {**APP, "max_connections": count // 2}
    other = {"id": "other", "key": "other-key", "secret": "other-secret"}
    kind = configured(SOKETPY_APPS=json.dumps([app, other]), SOKETPY_BOUNDS_MAX_CONNECTIONS=count)
    with stage.server(kind) as server, Crowd(server.port) as crowd:
        return {
            "loads": [],
            "app": rush(crowd, handshake(), count, leaving, Code.OVER_QUOTA),
            "process": rush(crowd, handshake("other-key"), count, leaving, Code.OVER_CAPACITY),
        }


def rush(crowd: Crowd, opening: bytes, count: int, leaving: int, code: Code) -> dict[str, int]:
    """Connect ``count`` clients at once. Then ``leaving`` clients leave and twice as many connect."""
    first = crowd.dial(count, opening)
    crowd.until(lambda: all(client.ready or client.ended_at for client in first), PATIENCE)
    let_in = [client for client in first if client.ready]
    crowd.leave(let_in[:leaving], PATIENCE)
    second = crowd.dial(2 * leaving, opening)
    crowd.until(lambda: all(client.ready or client.ended_at for client in second), PATIENCE)
    return {
        "let_in": len(let_in),
        "refused": sum(client.code == code for client in first),
        "let_in_again": sum(client.ready for client in second),
        "refused_again": sum(client.code == code for client in second),
        "stayed": sum(client.ready for client in first + second),
    }


# Restart


@alone
def restart(stage: Stage, options: Options) -> Result:
    """Stop the server and start it again on its port; all of its clients reconnect at once."""
    count = int(options["clients"])
    with stage.server() as old, Crowd(old.port) as crowd:
        clients = crowd.dial(count, handshake(), ["room"])
        crowd.until(lambda: all(client.ready for client in clients), PATIENCE)
        at = time.monotonic()
        os.kill(old.pid, signal.SIGTERM)
        crowd.until(lambda: all(client.ended_at for client in clients), PATIENCE)
        stopped = time.monotonic() - at
    told = sum(client.code == Code.RECONNECT for client in clients)
    with stage.server(port=old.port) as new, Crowd(new.port) as crowd:
        at, cpu = time.monotonic(), time.thread_time()
        clients = crowd.dial(count, handshake(), ["room"])
        crowd.until(lambda: all(client.ready or client.ended_at for client in clients), 3 * PATIENCE)
        back = [client.greeted_at - at for client in clients if client.ready]
        return {
            "loads": [],
            "not_told": count - told,
            "not_back": count - len(back),
            "stop_s": stopped,
            "back_s": max(back, default=0.0),
            "generator_share": (time.thread_time() - cpu) / (time.monotonic() - at),
        }
