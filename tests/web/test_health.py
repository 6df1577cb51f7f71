"""Health checks: the server is alive, ready, and has enough memory."""

import os
from pathlib import Path

import pytest

from soketpy.config.settings import Bounds, Metrics
from soketpy.web import health
from soketpy.web import memory as memory_module
from soketpy.web.memory import Memory, memory
from tests.conftest import Peers, StartServer
from tests.web.wire import wire

PAGE = os.sysconf("SC_PAGE_SIZE")


async def test_a_server_that_runs_is_alive_and_ready(peers: Peers) -> None:
    for path in ("/", "/ready", "/serving"):
        reply = await peers.request("GET", path)
        assert (reply.status, reply.text) == (200, "OK")


async def test_accept_traffic_tells_the_memory_in_soketis_words(peers: Peers) -> None:
    reply = await peers.request("GET", "/accept-traffic")
    assert reply.status == 200
    assert set(reply.json) == {"memory"}
    used = reply.json["memory"]
    assert set(used) == {"usedSize", "totalSize", "percentUsage"}
    assert 0 < used["usedSize"] < used["totalSize"]
    assert used["percentUsage"] == pytest.approx(100 * used["usedSize"] / used["totalSize"])


async def test_accept_traffic_refuses_above_its_share_of_memory(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = await start_server(bounds=Bounds(memory_percent=50))
    monkeypatch.setattr(health, "memory", lambda: Memory(used=50, total=100))
    assert (await peers.request("GET", "/accept-traffic")).status == 200
    monkeypatch.setattr(health, "memory", lambda: Memory(used=51, total=100))
    reply = await peers.request("GET", "/accept-traffic")
    assert (reply.status, reply.json["code"]) == (503, 503)
    assert "memory" in reply.json["error"]
    assert (await peers.request("GET", "/ready")).status == 200


@pytest.mark.parametrize(
    ("draining", "available", "ready", "serving"),
    [(False, True, 200, 200), (False, False, 503, 200), (True, True, 503, 503), (True, False, 503, 503)],
)
async def test_a_server_that_has_lost_redis_is_serving_until_it_stops(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, draining: bool, available: bool, ready: int, serving: int
) -> None:
    server = peers.server._rest
    monkeypatch.setattr(server, "draining", draining)
    monkeypatch.setattr(server._health, "_available", lambda: available)
    assert (await peers.request("GET", "/ready")).status == ready
    assert (await peers.request("GET", "/serving")).status == serving


@pytest.mark.parametrize("path", sorted(health.PATHS))
async def test_a_health_check_may_be_asked_with_head(peers: Peers, path: str) -> None:
    reply = await peers.request("HEAD", path)
    assert (reply.status, reply.text) == (200, "")


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")


@pytest.mark.parametrize("path", [*sorted(health.PATHS), "/realtime/ready", "/realtime", "/realtime/"])
async def test_a_health_check_is_answered_alike_to_every_method(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    peers = await start_server(path_prefix="/realtime")
    server = peers.server._rest
    for draining, available, used in ((False, True, 0), (True, True, 0), (False, False, 0), (False, True, 100)):
        monkeypatch.setattr(server, "draining", draining)
        monkeypatch.setattr(server._health, "_available", lambda available=available: available)
        monkeypatch.setattr(health, "memory", lambda used=used: Memory(used=used, total=100))
        expected = (await peers.request("GET", path)).status
        assert expected == 200 or path not in ("/", "/realtime", "/realtime/")
        assert {method: (await peers.request(method, path)).status for method in METHODS} == dict.fromkeys(
            METHODS, expected
        )


async def test_a_server_that_is_not_ready_says_so_to_haproxy(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = await start_server()
    for version in ("1.0", "1.1"):
        for draining, status in ((False, 200), (True, 503)):
            monkeypatch.setattr(peers.server._rest, "draining", draining)
            async with wire(peers.port) as balancer:
                balancer.send(f"OPTIONS /ready HTTP/{version}\r\nHost: a\r\n\r\n".encode())
                answer = await balancer.answer()
                assert answer.status == status
                assert "access-control-allow-methods" in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/usage", "/ready/", "//ready"])
async def test_the_main_port_tells_strangers_nothing_more(start_server: StartServer, path: str) -> None:
    peers = await start_server(metrics=Metrics(enabled=True, host="127.0.0.1", port=0))
    assert (await peers.request("GET", path)).status == 404


# Memory


def test_memory_is_that_of_this_process() -> None:
    now = memory()
    assert 0 < now.used < now.total
    assert now.percent == 100 * now.used / now.total


@pytest.mark.parametrize(
    ("limit", "total"),
    [(None, 2048 * 1024), ("max\n", 2048 * 1024), ("1000000\n", 1_000_000), (f"{2**60}\n", 2048 * 1024)],
)
def test_a_container_has_the_memory_of_its_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str | None, total: int
) -> None:
    (tmp_path / "statm").write_text("100 10 5 1 0 20 0\n")
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nMemTotal:     2048 kB\n")
    if limit is not None:
        (tmp_path / "limit").write_text(limit)
    monkeypatch.setattr(memory_module, "_STATM", tmp_path / "statm")
    monkeypatch.setattr(memory_module, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory_module, "_CGROUP", tmp_path / "limit")
    monkeypatch.setattr(memory_module, "_OWN_CGROUP", tmp_path / "nothing")
    assert memory() == Memory(10 * PAGE, total)


GROUPS: list[tuple[str, dict[str, str], int]] = [
    # /proc/self/cgroup, limits under /sys/fs/cgroup, the least of them in KiB
    ("0::/", {"memory.max": "1048576"}, 1024),
    ("0::/system.slice/soketpy.service", {"system.slice/soketpy.service/memory.max": "1048576"}, 1024),
    (
        "0::/a/b",
        {"a/b/memory.max": "max", "a/memory.max": "524288", "memory.max": "1048576", "c/memory.max": "1024"},
        512,
    ),
    ("0::/a/b", {"a/b/memory.max": "524288", "a/memory.max": "1048576"}, 512),
    ("0::/../../elsewhere", {"memory.max": "524288"}, 512),
    ("5:cpu,memory:/docker/1", {"memory/docker/1/memory.limit_in_bytes": "524288"}, 512),
    ("5:memory:/a/b", {"memory/a/memory.limit_in_bytes": "524288"}, 512),
    ("5:memory:/docker/1", {"memory/memory.limit_in_bytes": "524288"}, 512),
    ("5:memory:/docker/1\n0::/docker/1", {"memory/memory.limit_in_bytes": "524288"}, 512),
    ("5:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 2048),
    ("4:cpu:/a", {"memory/a/memory.limit_in_bytes": "1024"}, 2048),
    ("no group", {}, 2048),
]


@pytest.mark.parametrize(("own", "limits", "total"), GROUPS)
def test_the_least_limit_of_the_groups_of_the_process_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, limits: dict[str, str], total: int
) -> None:
    (tmp_path / "statm").write_text("100 10 5 1 0 20 0\n")
    (tmp_path / "meminfo").write_text("MemTotal:     2048 kB\n")
    (tmp_path / "own").write_text(f"{own}\n")
    for name, limit in limits.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    for name, path in (("_STATM", "statm"), ("_MEMINFO", "meminfo"), ("_OWN_CGROUP", "own")):
        monkeypatch.setattr(memory_module, name, tmp_path / path)
    monkeypatch.setattr(memory_module, "_CGROUP", tmp_path / "groups" / "memory.max")
    assert memory() == Memory(10 * PAGE, total * 1024)


@pytest.mark.parametrize("page", [4096, 16_384, 65_536])
def test_memory_counts_the_pages_of_this_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: int) -> None:
    (tmp_path / "statm").write_text("100 10 5 1 0 20 0\n")
    monkeypatch.setattr(memory_module, "_STATM", tmp_path / "statm")
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": page}.__getitem__)
    assert memory().used == 10 * page


def test_a_system_that_does_not_say_has_no_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory_module, "_STATM", tmp_path / "nothing")
    assert memory() == Memory(0, 0)
    assert memory().percent == 0
