"""The scenarios: their work, their figures and their targets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.generator import Result

EVERY = ("limit", "soketpy", "soketpy x2", "soketi", "soketi x2")
"""All servers, in the order of the columns on the page."""
BESIDE_LIMIT = ("limit", "soketpy", "soketi")
BOTH = ("soketpy", "soketi")

Options = dict[str, str | int]
Take = Callable[[Result], float]
Play = Callable[[Path, Options], Result]
"""A function that runs a scenario: it gets the compiled load generator and the options, and starts the servers."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a run, or NaN if the server does not have it. The page shows the median of all rounds."""

    name: str
    unit: str
    take: Take
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """The bound of a figure: ``least`` or ``most``, as a fixed value or as a ratio to another server's figure."""

    figure: str
    least: float | None = None
    most: float | None = None
    of: str = ""  # a server; if set, the value is a ratio
    scenario: str = ""  # the scenario of the other figure, if it is another one
    of_figure: str = ""  # the name of the other figure, if it is another one


@dataclass(frozen=True, slots=True)
class Scenario:
    """Work for the load generator, or for ``play``. ``quick`` and ``of_server`` override ``options``."""

    id: str
    title: str
    options: Options
    figures: tuple[Figure, ...]
    targets: tuple[Target, ...] = ()
    servers: tuple[str, ...] = BOTH
    quick: Options = field(default_factory=dict)
    of_server: dict[str, Options] = field(default_factory=dict)
    rounds: int | None = None  # the number of rounds, if it is lower than for the others
    play: Play | None = None  # for a scenario that is more than one run of the load generator
    ours: str = "soketpy"  # the server that has the targets and that is compared with the others

    @property
    def tls(self) -> bool:
        """True if the server must use TLS."""
        return bool(self.options.get("tls"))

    def options_for(self, server: str, quick: bool) -> Options:
        """Return the options for one server."""
        return self.options | self.of_server.get(server, {}) | (self.quick if quick else {})


def of_run(name: str) -> Take:
    """Return a function that reads a number of the publishing phase."""
    return lambda result: float(result["run"][name])


def of_latency(name: str, of: str = "latency_ms") -> Take:
    """Return a function that reads a percentile of the publishing phase."""
    return lambda result: float(result["run"][of][name])


def of_connects(name: str) -> Take:
    """Return a function that reads a number of the connect phase: the median of its rounds."""
    return lambda result: median(float(each[name]) for each in result["connects"])


def first_kib_a_connection(result: Result) -> float:
    """Return the memory per connection, in KiB, of a server that had no connections before."""
    return float(result["connects"][0]["kib_a_connection"])


def memory_kept(result: Result) -> float:
    """Return the largest growth of the memory after all clients left, in per cent of the memory at the start."""
    connects = result["connects"]
    return (max(float(each["rss_after_kib"]) for each in connects) / float(connects[0]["rss_before_kib"]) - 1) * 100


def memory_growth(result: Result) -> float:
    """Return the growth of the memory after all clients left, from the first round to the last, in per cent."""
    after = [float(each["rss_after_kib"]) for each in result["connects"]]
    return (after[-1] / after[0] - 1) * 100


def join_cpu(tenth: int) -> Take:
    """Return a function that reads the CPU per join in one tenth of the joins."""
    return lambda result: float(result["presence"]["tenths"][tenth]["server_cpu_us"])


def us_a_kib(tenth: int) -> Take:
    """Return a function that reads the CPU per KiB that the server sent in one tenth of the joins."""

    def take(result: Result) -> float:
        found = result["presence"]["tenths"][tenth]
        return float(found["server_cpu_us"]) / max(1.0, float(found["bytes"]) / 1024)

    return take


def mib_sent(result: Result) -> float:
    """Return the MiB that the server sent while clients connected."""
    return float(result["connects"][0]["bytes"]) / 2**20


def stall(result: Result) -> float:
    """Return the slowest ping minus the median ping, in milliseconds."""
    return float(result["run"]["ping_ms"]["max"] - result["run"]["ping_ms"]["p50"])


def server_share(result: Result) -> float:
    """Return the per cent of its core that the server used while events were published."""
    return float(result["run"]["server_cpu_us"] * result["run"]["deliveries_s"] / 1e4)


DELIVERIES = Figure("deliveries", "/s", of_run("deliveries_s"))
EVENTS = Figure("events", "/s", of_run("events_s"))
DELIVERY_CPU = Figure("CPU per delivery", "µs", of_run("server_cpu_us"), 2)
P50 = Figure("latency p50", "ms", of_latency("p50"), 1)
P99 = Figure("latency p99", "ms", of_latency("p99"), 1)
CONNECT_CPU = Figure("CPU per client", "µs", of_connects("server_cpu_us"))
CONNECT_TIME = Figure("all subscribed after", "s", of_connects("seconds"), 2)
CONNECTION_MEMORY = Figure("memory per connection", "KiB", first_kib_a_connection, 2)
SERVER = Figure("server's CPU", "%", server_share)
GENERATOR = Figure("load generator's CPU", "%", lambda result: 100 * float(result["run"]["generator_share"]))
CONNECT_GENERATOR = Figure(
    "load generator's CPU", "%", lambda result: 100 * float(result["connects"][0]["generator_share"])
)
FAN_OUT = (DELIVERIES, DELIVERY_CPU, P50, P99, SERVER, GENERATOR)
CONNECTS = (CONNECT_CPU, CONNECT_TIME, CONNECTION_MEMORY, CONNECT_GENERATOR)

LIMIT_OF_REST = 22_000 / 389_000
"""The target for events per second, as a ratio to the deliveries per second of ``limit``."""

SCENARIOS = (
    Scenario(
        "fan-out-1",
        "1,000 subscribers, 1 publisher, 64-byte events",
        {"subscribers": 1000, "publishers": 1, "events": 20_000, "duration": 4000},
        FAN_OUT,
        (Target("deliveries", least=0.85, of="limit"), Target("deliveries", least=2.5, of="soketi")),
        BESIDE_LIMIT,
        {"duration": 1500},
    ),
    Scenario(
        "fan-out-16",
        "1,000 subscribers, 16 publishers, 64-byte events",
        {"subscribers": 1000, "publishers": 16, "events": 40_000, "duration": 4000},
        FAN_OUT,
        (
            Target("deliveries", least=4, of="limit", scenario="fan-out-1"),
            Target("deliveries", least=15, of="soketi"),
            Target("latency p99", most=20),
        ),
        BESIDE_LIMIT,
        {"duration": 1500},
    ),
    Scenario(
        "rest",
        "1 subscriber, 16 publishers, signatures checked",
        {"subscribers": 1, "publishers": 16, "events": 150_000, "duration": 4000},
        (EVENTS, DELIVERY_CPU, P50, P99, SERVER, GENERATOR),
        (
            Target("events", least=LIMIT_OF_REST, of="limit", scenario="fan-out-1", of_figure="deliveries"),
            Target("events", least=1.5, of="soketi"),
        ),
        quick={"duration": 1500},
    ),
    Scenario(
        "connect-1000",
        "1,000 clients connect and subscribe, 200 at once",
        {"subscribers": 1000},
        CONNECTS,
        (Target("CPU per client", most=80),),
    ),
    Scenario(
        "connect-15000",
        "15,000 clients connect and subscribe, 200 at once",
        {"subscribers": 15_000},
        CONNECTS,
        (
            Target("CPU per client", most=80),
            Target("CPU per client", most=1.25, of="soketpy", scenario="connect-1000"),
            Target("memory per connection", most=4),
        ),
        quick={"subscribers": 8000},
    ),
    Scenario(
        "storm",
        "15,000 clients connect and subscribe, all at once",
        {"subscribers": 15_000, "parallel": 0},
        CONNECTS,
        quick={"subscribers": 8000},
    ),
    Scenario(
        "memory",
        "8,000 clients connect and leave, ten times (soketi: three times)",
        {"subscribers": 8000, "rounds": 10, "seconds": 120},
        (
            CONNECTION_MEMORY,
            CONNECT_CPU,
            Figure("memory not returned after all clients left, at most", "%", memory_kept, 1),
            Figure("growth from the first round to the last", "%", memory_growth, 1),
        ),
        (Target("memory not returned after all clients left, at most", most=10),),
        quick={"subscribers": 2000, "rounds": 3},
        of_server={"soketi": {"rounds": 3}},
        rounds=1,
    ),
    Scenario(
        "client-events",
        "client events: 100 senders on 10 private channels of 10",
        {
            "subscribers": 100,
            "channels": 10,
            "kind": "private-",
            "window": 1,
            "events": 1_000_000,
            "duration": 4000,
        },
        FAN_OUT,
        (Target("deliveries", least=3, of="soketi"),),
        quick={"duration": 1500},
    ),
    Scenario(
        "presence",
        "5,000 members join one presence channel",
        {"subscribers": 5000, "kind": "presence-", "parallel": 50, "seconds": 120},
        (
            Figure("sent in total", "MiB", mib_sent),
            CONNECT_TIME,
            Figure("CPU per join, second tenth", "µs", join_cpu(1)),
            Figure("CPU per join, last tenth", "µs", join_cpu(9)),
            Figure("CPU per KiB sent, second tenth", "µs", us_a_kib(1), 2),
            Figure("CPU per KiB sent, last tenth", "µs", us_a_kib(9), 2),
            CONNECT_GENERATOR,
        ),
        (
            Target(
                "CPU per KiB sent, last tenth",
                most=1.25,
                of="soketpy",
                scenario="presence",
                of_figure="CPU per KiB sent, second tenth",
            ),
        ),
        quick={"subscribers": 1000},
        rounds=1,
    ),
    Scenario(
        "channels",
        "10,000 channels of 1 subscriber, one event each, 16 publishers",
        {"subscribers": 10_000, "channels": 10_000, "publishers": 16, "events": 10_000, "duration": 20_000},
        (EVENTS, DELIVERY_CPU, P50, P99, SERVER, GENERATOR),
        (Target("events", least=2, of="soketi"),),
    ),
    Scenario(
        "stall",
        "one event to 15,000 receivers, five times, with pings at the same time",
        {"subscribers": 15_000, "publishers": 1, "events": 5, "rate": 1, "duration": 8000, "ping": 1},
        (
            Figure("slowest ping", "ms", of_latency("max", "ping_ms"), 1),
            Figure("median ping", "ms", of_latency("p50", "ping_ms"), 2),
            Figure("longest stall", "ms", stall, 1),
            P99,
            GENERATOR,
        ),
        (Target("longest stall", most=20), Target("slowest ping", most=50)),
        quick={"subscribers": 8000},
    ),
    Scenario(
        "fan-out-1-tls",
        "over TLS: 1,000 subscribers, 1 publisher, 64-byte events",
        {"subscribers": 1000, "publishers": 1, "events": 20_000, "duration": 2500, "tls": 1},
        FAN_OUT,
        (Target("deliveries", least=0.25, of="soketpy", scenario="fan-out-1"),),
        quick={"duration": 1500},
    ),
    Scenario(
        "fan-out-16-tls",
        "over TLS: 1,000 subscribers, 16 publishers, 64-byte events",
        {"subscribers": 1000, "publishers": 16, "events": 40_000, "duration": 2500, "tls": 1},
        FAN_OUT,
        (Target("deliveries", least=0.25, of="soketpy", scenario="fan-out-16"),),
        quick={"duration": 1500},
    ),
    Scenario(
        "connect-1000-tls",
        "over TLS: 1,000 clients connect and subscribe, 200 at once",
        {"subscribers": 1000, "tls": 1},
        CONNECTS,
    ),
)
