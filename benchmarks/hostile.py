"""The scenarios with slow and hostile clients, and the targets for the server and for the other clients."""

from benchmarks import attacks
from benchmarks.generator import Result
from benchmarks.scenarios import Figure, Scenario, Take, Target

OURS = ("soketpy",)


def of(*path: str) -> Take:
    """Return a function that reads a number from the result."""

    def take(result: Result) -> float:
        found = result
        for name in path:
            found = found[name]
        return float(found)  # type: ignore[arg-type]

    return take


def p99(load: int) -> Take:
    """Return a function that reads the other clients' latency. Load 0 is undisturbed, load 1 is disturbed."""
    return lambda result: float(result["loads"][load]["run"]["latency_ms"]["p99"])


def moved(result: Result) -> float:
    """Return the rise of the other clients' latency."""
    return p99(1)(result) - p99(0)(result)


def stayed(result: Result) -> float:
    """Return the number of clients that are connected at the end."""
    return of("app", "stayed")(result) + of("process", "stayed")(result)


def exactly(figure: str, value: float) -> Target:
    """Return a target that only the exact value meets."""
    return Target(figure, least=value, most=value)


ALONE = Figure("p99 of the other clients, undisturbed", "ms", p99(0), 2)
BESIDE = Figure("p99 of the other clients, disturbed", "ms", p99(1), 2)
MOVED = Figure("rise of the other clients' p99", "ms", moved, 2)

SCENARIOS = (
    Scenario(
        "slow-readers",
        "10 clients that do not read while 200 MB are published, beside 100 readers",
        {
            "clients": 10,
            "subscribers": 100,
            "channels": 20,
            "publishers": 8,
            "events": 25_000,
            "rate": 1250,
            "size": 8192,
            "duration": 22_000,
        },
        (
            ALONE,
            BESIDE,
            MOVED,
            Figure("slow clients closed with 4100", "", of("closed")),
            Figure("slow clients not closed, or closed with another code", "", of("wrong")),
            Figure("sockets left open", "", of("left_open")),
            Figure("largest growth", "MiB", of("growth_mib"), 1),
            Figure("growth after the load", "MiB", of("kept_mib"), 1),
        ),
        (
            Target("rise of the other clients' p99", most=2),
            Target("largest growth", most=10 + 32),
            exactly("slow clients not closed, or closed with another code", 0),
            exactly("sockets left open", 0),
        ),
        OURS,
        {"events": 5000, "duration": 5000},
        rounds=1,
        play=attacks.slow_readers,
    ),
    Scenario(
        "silent",
        "1,000 unfinished handshakes, 1,000 clients that send nothing, 1,000 that answer no ping, beside 200 readers",
        {
            "clients": 1000,
            "subscribers": 200,
            "publishers": 2,
            "events": 2000,
            "rate": 200,
            "duration": 5000,
        },
        (
            ALONE,
            BESIDE,
            MOVED,
            Figure("connections dropped before the first request", "", of("dropped")),
            Figure("closed with 4201", "", of("no_pong")),
            Figure("earliest close after the timeout", "s", of("earliest"), 2),
            Figure("latest close after the timeout", "s", of("latest"), 2),
            Figure("growth after the first group", "MiB", of("kept_mib"), 1),
            Figure("growth from the first group to the second", "%", of("grown_percent"), 1),
        ),
        (
            Target("rise of the other clients' p99", most=2),
            exactly("connections dropped before the first request", 2000),
            exactly("closed with 4201", 1000),
            Target("earliest close after the timeout", least=0),
            Target("latest close after the timeout", most=2.5),
            Target("growth from the first group to the second", most=2),
        ),
        OURS,
        rounds=1,
        play=attacks.silent_clients,
    ),
    Scenario(
        "limits",
        "2,000 clients at once, with limits of 1,000 for the app and 2,000 for the process; 300 leave, 600 connect",
        {"clients": 2000, "leaving": 300},
        (
            Figure("accepted by the app", "", of("app", "let_in")),
            Figure("refused with 4004", "", of("app", "refused")),
            Figure("accepted by the app after some left", "", of("app", "let_in_again")),
            Figure("refused with 4004 after some left", "", of("app", "refused_again")),
            Figure("accepted by the process", "", of("process", "let_in")),
            Figure("refused with 4100", "", of("process", "refused")),
            Figure("accepted by the process after some left", "", of("process", "let_in_again")),
            Figure("refused with 4100 after some left", "", of("process", "refused_again")),
            Figure("connected at the end", "", stayed),
        ),
        (
            exactly("accepted by the app", 1000),
            exactly("refused with 4004", 1000),
            exactly("accepted by the app after some left", 300),
            exactly("accepted by the process", 1000),
            exactly("refused with 4100", 1000),
            exactly("accepted by the process after some left", 300),
            exactly("connected at the end", 2000),
        ),
        OURS,
        rounds=1,
        play=attacks.limits,
    ),
    Scenario(
        "restart",
        "15,000 clients reconnect at once after a restart",
        {"clients": 15_000},
        (
            Figure("clients not closed with 4200 at the stop", "", of("not_told")),
            Figure("all closed after", "s", of("stop_s"), 2),
            Figure("clients not reconnected at the first attempt", "", of("not_back")),
            Figure("all reconnected after", "s", of("back_s"), 2),
            Figure("CPU of the clients", "%", lambda result: 100 * float(result["generator_share"])),
        ),
        (
            exactly("clients not closed with 4200 at the stop", 0),
            exactly("clients not reconnected at the first attempt", 0),
        ),
        OURS,
        {"clients": 8000},
        rounds=1,
        play=attacks.restart,
    ),
)
