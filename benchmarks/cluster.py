"""The scenarios with two nodes over one Redis, compared with one node, and their targets."""

from math import nan

from benchmarks.generator import Result
from benchmarks.scenarios import (
    CONNECT_CPU,
    CONNECT_GENERATOR,
    CONNECT_TIME,
    DELIVERIES,
    DELIVERY_CPU,
    EVENTS,
    GENERATOR,
    P50,
    P99,
    SERVER,
    Figure,
    Scenario,
    Target,
    mib_sent,
    of_latency,
)

OURS = "soketpy x2"
NODES = (OURS, "soketi x2")
ALL = ("soketpy", *NODES)


def busy(result: Result) -> list[float]:
    """Return the CPU of each process while events were published, in µs, minus its CPU while idle."""
    run = result["run"]
    return [float(used) - float(idle) for used, idle in zip(run["cpu_us"], run["idle_cpu_us"], strict=True)]


def server_an_event(result: Result) -> float:
    """Return the CPU of all nodes per event, in µs."""
    processes = busy(result)
    return sum(processes[:-1] or processes) / float(result["run"]["events"])


def other_node_an_event(result: Result) -> float:
    """Return the CPU of the second node per event, in µs."""
    processes = busy(result)
    return processes[1] / float(result["run"]["events"]) if len(processes) > 1 else nan


def other_node_idle(result: Result) -> float:
    """Return the CPU of the second node while idle, in µs per event, for the same time as the publishing."""
    idle = result["run"]["idle_cpu_us"]
    return float(idle[1]) / float(result["run"]["events"]) if len(idle) > 1 else nan


def redis_an_event(result: Result) -> float:
    """Return the CPU of Redis per event, in µs."""
    processes = busy(result)
    return processes[-1] / float(result["run"]["events"]) if len(processes) > 1 else nan


def redis_a_client(result: Result) -> float:
    """Return the CPU of Redis per client that connects and subscribes, in µs."""
    (connects,) = result["connects"]
    return float(connects["cpu_us"][-1]) / connects["subscribed"] if len(connects["cpu_us"]) > 1 else nan


def joins_a_second(result: Result) -> float:
    """Return the number of clients that subscribed per second."""
    (connects,) = result["connects"]
    return float(connects["subscribed"]) / float(connects["seconds"])


EVENT_CPU = Figure("CPU per event", "µs", server_an_event, 2)
REDIS_EVENT = Figure("Redis' CPU per event", "µs", redis_an_event, 2)
FAN_OUT = (DELIVERIES, DELIVERY_CPU, REDIS_EVENT, P50, P99, SERVER, GENERATOR)
JOINS = (
    Figure("joins", "/s", joins_a_second),
    Figure("CPU per join", "µs", CONNECT_CPU.take),
    Figure("Redis' CPU per join", "µs", redis_a_client, 1),
    Figure("sent in total", "MiB", mib_sent),
    CONNECT_GENERATOR,
)
OTHER_NODE = "CPU of the node without subscribers, per event"
ELSEWHERE = (
    EVENTS,
    EVENT_CPU,
    Figure(OTHER_NODE, "µs", other_node_an_event, 2),
    Figure("the same node, idle for the same time", "µs", other_node_idle, 2),
    REDIS_EVENT,
    GENERATOR,
)

SCENARIOS = (
    Scenario(
        "cluster-fan-out-1",
        "1,000 subscribers, half of them on each node, 1 publisher, 64-byte events",
        {"subscribers": 1000, "publishers": 1, "events": 20_000, "duration": 4000, "idle": 1000},
        FAN_OUT,
        (Target("CPU per delivery", most=1.15, of="soketpy"), Target("deliveries", least=2, of="soketi x2")),
        ALL,
        {"duration": 1500},
        ours=OURS,
    ),
    Scenario(
        "cluster-fan-out-16",
        "1,000 subscribers, half of them on each node, 16 publishers, 64-byte events",
        {"subscribers": 1000, "publishers": 16, "events": 40_000, "duration": 4000, "idle": 1000},
        FAN_OUT,
        (Target("CPU per delivery", most=1.15, of="soketpy"), Target("deliveries", least=10, of="soketi x2")),
        ALL,
        {"duration": 1500},
        ours=OURS,
    ),
    Scenario(
        "cluster-elsewhere",
        "16 publishers call one node, which has 100 subscribers; the other node has none",
        {
            "subscribers": 100,
            "subscribe_at": 1,
            "publishers": 16,
            "publish_at": 1,
            "events": 150_000,
            "duration": 4000,
            "idle": 4000,
        },
        ELSEWHERE,
        (Target(OTHER_NODE, most=0.5),),
        ALL,
        {"duration": 1500},
        ours=OURS,
    ),
    Scenario(
        "cluster-nobody",
        "10,000 channels, two of them with a subscriber, one on each node; 16 publishers call one node",
        {
            "subscribers": 2,
            "channels": 10_000,
            "publishers": 16,
            "publish_at": 1,
            "events": 150_000,
            "duration": 4000,
            "idle": 4000,
        },
        ELSEWHERE,
        (Target(OTHER_NODE, most=0.5),),
        ALL,
        {"duration": 1500},
        ours=OURS,
    ),
    Scenario(
        "cluster-latency",
        "50 events a second, published on one node, to a client on the other node",
        {"publishers": 1, "publish_at": 1, "subscribe_at": 2, "rate": 50, "events": 400, "duration": 10_000},
        (
            Figure("latency p50", "ms", of_latency("p50"), 2),
            Figure("latency p99", "ms", of_latency("p99"), 2),
        ),
        (Target("latency p50", most=2),),
        ALL,
        {"events": 100},
        ours=OURS,
    ),
    Scenario(
        "cluster-channels",
        "10,000 channels of 1 subscriber, half of them on each node, one event each, 16 publishers",
        {
            "subscribers": 10_000,
            "channels": 10_000,
            "publishers": 16,
            "events": 10_000,
            "duration": 20_000,
            "idle": 1000,
        },
        (EVENTS, DELIVERY_CPU, REDIS_EVENT, P50, P99, SERVER, GENERATOR),
        (Target("events", least=2, of="soketi x2"),),
        ALL,
        ours=OURS,
    ),
    Scenario(
        "cluster-connect",
        "5,000 clients connect and subscribe, 200 at once, half of them on each node",
        {"subscribers": 5000},
        (CONNECT_CPU, Figure("Redis' CPU per client", "µs", redis_a_client, 1), CONNECT_TIME, CONNECT_GENERATOR),
        (),
        ALL,
        ours=OURS,
    ),
    Scenario(
        "cluster-rooms",
        "5,000 members join 500 presence channels, 200 at once, half of each channel on each node",
        {"subscribers": 5000, "channels": 500, "kind": "presence-"},
        JOINS,
        (Target("joins", least=2, of="soketi x2"),),
        ALL,
        ours=OURS,
    ),
    Scenario(
        "cluster-presence",
        "1,000 members join one presence channel, 200 at once, half of them on each node",
        {"subscribers": 1000, "kind": "presence-", "seconds": 120},
        JOINS,
        (Target("joins", least=2, of="soketi x2"),),
        ALL,
        ours=OURS,
    ),
)
