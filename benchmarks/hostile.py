"""Slow and hostile clients: what they must not do to the server and to the others, as scenarios with their targets."""

from benchmarks import attacks
from benchmarks.generator import Result
from benchmarks.scenarios import Figure, Scenario, Take, Target

OURS = ("soketpy",)


def of(*path: str) -> Take:
    """A number of the play."""

    def take(result: Result) -> float:
        found = result
        for name in path:
            found = found[name]
        return float(found)  # type: ignore[arg-type]

    return take


def p99(load: int) -> Take:
    """The latency of the others: in the first run of the load they are alone, in the second they are not."""
    return lambda result: float(result["loads"][load]["run"]["latency_ms"]["p99"])


def moved(result: Result) -> float:
    """By how much the others' latency rose."""
    return p99(1)(result) - p99(0)(result)


def stayed(result: Result) -> float:
    """Who is connected when all is over."""
    return of("app", "stayed")(result) + of("process", "stayed")(result)


def exactly(figure: str, value: float) -> Target:
    """A figure that may not be off by one."""
    return Target(figure, least=value, most=value)


ALONE = Figure("p99 of the others, alone", "ms", p99(0), 2)
BESIDE = Figure("p99 of the others, beside them", "ms", p99(1), 2)
MOVED = Figure("rise of the others' p99", "ms", moved, 2)

SCENARIOS = (
    Scenario(
        "slow-readers",
        "10 clients who read nothing while 200 MB flow past, beside 100 readers",
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
            Figure("closed with 4100 in their turn", "", of("closed")),
            Figure("not closed, or with another code", "", of("wrong")),
            Figure("sockets left open", "", of("left_open")),
            Figure("growth at most", "MiB", of("growth_mib"), 1),
            Figure("growth that stays", "MiB", of("kept_mib"), 1),
        ),
        (
            Target("rise of the others' p99", most=2),
            Target("growth at most", most=10 + 32),
            exactly("not closed, or with another code", 0),
            exactly("sockets left open", 0),
        ),
        OURS,
        {"events": 5000, "duration": 5000},
        rounds=1,
        play=attacks.slow_readers,
    ),
    Scenario(
        "silent",
        "1,000 half-open handshakes, 1,000 mute and 1,000 silent clients, beside 200 readers",
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
            Figure("dropped before a first request", "", of("dropped")),
            Figure("closed with 4201", "", of("no_pong")),
            Figure("earliest after its timeout", "s", of("earliest"), 2),
            Figure("latest after its timeout", "s", of("latest"), 2),
            Figure("memory kept after the first time", "MiB", of("kept_mib"), 1),
            Figure("growth by the second time", "%", of("grown_percent"), 1),
        ),
        (
            Target("rise of the others' p99", most=2),
            exactly("dropped before a first request", 2000),
            exactly("closed with 4201", 1000),
            Target("earliest after its timeout", least=0),
            Target("latest after its timeout", most=2.5),
            Target("growth by the second time", most=2),
        ),
        OURS,
        rounds=1,
        play=attacks.silent_clients,
    ),
    Scenario(
        "limits",
        "2,000 clients at once where an app takes 1,000 and the process 2,000; 300 leave and 600 come",
        {"clients": 2000, "leaving": 300},
        (
            Figure("let in by the app", "", of("app", "let_in")),
            Figure("refused with 4004", "", of("app", "refused")),
            Figure("let in by the app when some had left", "", of("app", "let_in_again")),
            Figure("refused with 4004 then", "", of("app", "refused_again")),
            Figure("let in by the process", "", of("process", "let_in")),
            Figure("refused with 4100", "", of("process", "refused")),
            Figure("let in by the process when some had left", "", of("process", "let_in_again")),
            Figure("refused with 4100 then", "", of("process", "refused_again")),
            Figure("connected in the end", "", stayed),
        ),
        (
            exactly("let in by the app", 1000),
            exactly("refused with 4004", 1000),
            exactly("let in by the app when some had left", 300),
            exactly("let in by the process", 1000),
            exactly("refused with 4100", 1000),
            exactly("let in by the process when some had left", 300),
            exactly("connected in the end", 2000),
        ),
        OURS,
        rounds=1,
        play=attacks.limits,
    ),
    Scenario(
        "restart",
        "15,000 clients come back at once after a restart",
        {"clients": 15_000},
        (
            Figure("not closed with 4200 at the stop", "", of("not_told")),
            Figure("all closed after", "s", of("stop_s"), 2),
            Figure("not back at the first attempt", "", of("not_back")),
            Figure("all back after", "s", of("back_s"), 2),
            Figure("the clients' own CPU", "%", lambda result: 100 * float(result["generator_share"])),
        ),
        (
            exactly("not closed with 4200 at the stop", 0),
            exactly("not back at the first attempt", 0),
        ),
        OURS,
        {"clients": 8000},
        rounds=1,
        play=attacks.restart,
    ),
)
