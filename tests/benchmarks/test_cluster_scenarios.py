"""The benchmarks of many nodes: the arguments of the load generator, and the figures from its numbers."""

from typing import Any

from benchmarks import cluster, report
from benchmarks.catalogue import CLUSTER
from benchmarks.results import Results
from benchmarks.servers import KINDS, Running


def test_the_load_generator_is_told_of_all_nodes_and_of_their_redis_last() -> None:
    assert Running(6001, 11).words == ["port=6001", "pid=11"]
    assert Running(6001, 11, (Running(6002, 12),), 13).words == ["port=6001,6002", "pid=11,12,13"]


def result(cpu: list[float], idle: list[float]) -> dict[str, Any]:
    connects = {"subscribed": 10, "seconds": 0.5, "cpu_us": cpu}
    return {"connects": [connects], "run": {"events": 100, "cpu_us": cpu, "idle_cpu_us": idle}}


def test_what_a_process_uses_at_rest_is_not_counted_as_the_work_of_an_event() -> None:
    found = result([5000.0, 700.0, 310.0], [100.0, 690.0, 10.0])
    assert cluster.server_an_event(found) == (4900 + 10) / 100
    assert cluster.other_node_an_event(found) == 10 / 100
    assert cluster.other_node_idle(found) == 690 / 100
    assert cluster.redis_an_event(found) == 300 / 100
    assert cluster.redis_a_client(found) == 310 / 10
    assert cluster.joins_a_second(found) == 20


def test_a_node_alone_has_neither_another_one_nor_a_redis() -> None:
    found = result([5000.0], [100.0])
    assert cluster.server_an_event(found) == 4900 / 100
    scenario = next(scenario for scenario in cluster.SCENARIOS if scenario.id == "cluster-nobody")
    found["run"] |= {"events_s": 10.0, "generator_share": 0.5}
    results = Results()
    results.runs[scenario.id, "soketpy"] = [found]
    page = report.write(CLUSTER, results, [], [], [scenario])
    assert "| Redis' CPU per event, µs | – |" in page
    assert "| CPU of the node without subscribers, per event, µs | – |" in page
    assert "not measured" in page


def test_every_server_of_a_scenario_is_one_that_can_be_started() -> None:
    assert {server for scenario in CLUSTER.scenarios for server in scenario.servers} <= set(KINDS)
    assert {scenario.ours for scenario in CLUSTER.scenarios} == {"soketpy x2"}
