"""Nodes that are processes of their own, over a Redis that tests may kill."""

import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import Launched
from tests.conftest import At
from tests.fakes import APP
from tests.redis import LONG_LEASE, SLOW_REDIS, Redis
from tests.slices.sitecustomize import environment

_REPORT = re.compile(r"App app-id: (channel_occupied|channel_vacated|member_added|member_removed) (.*)")


class Node(Launched):
    """``soketpy start`` as one node of a cluster; what it reports is read from its log."""

    def __init__(self, folder: Path, redis: dict[str, Any], hook: dict[str, Any] | None = None) -> None:
        app: dict[str, Any] = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "client_events": True}
        app["history"] = [{"channels": "log-*"}]
        if hook is not None:
            app["webhooks"] = [hook]
        settings = {
            "host": "127.0.0.1",
            "port": 0,
            "cluster": "redis",
            "redis": {"lease": LONG_LEASE, **redis},
            "log": {"level": "debug", "format": "json"},
            "timeouts": {"shutdown": 0.2},
            "webhooks": {"grace": 0.5},
            "apps": [app],
        }
        config = folder / "soketpy.json"
        config.write_text(json.dumps(settings))
        command = (sys.executable, "-m", "soketpy", "start", "--config", str(config))
        super().__init__(*command, ready="Listening on", env=environment(SLOW_REDIS))
        found = re.search(r"127\.0\.0\.1:(\d+)", self.greeting)
        assert found is not None, self.greeting
        self.port = int(found[1])

    def reports(self) -> list[tuple[str, str]]:
        """Return the transitions in its log since the last call, up to the line that answers a SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)
        lines = self.read_to("Reloaded the configuration")
        found = [_REPORT.search(json.loads(line)["message"]) for line in lines]
        return [(report[1], report[2]) for report in found if report is not None]


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Start a Redis that the test may kill."""
    with Redis(tmp_path_factory.mktemp("redis"), tcp=True) as server:
        yield server


StartNode = Callable[..., Node]


@pytest.fixture
def start_node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """Starts a node; takes settings of its Redis, which is ``own_redis`` unless they say where it is."""
    with ExitStack() as stack:

        def start(**redis: Any) -> Node:
            given = {"unix_socket": request.getfixturevalue("own_redis").socket} if redis.keys() <= {"lease"} else {}
            given |= redis
            return stack.enter_context(Node(tmp_path_factory.mktemp("node"), given))

        yield start


@pytest.fixture
async def at() -> AsyncIterator[Callable[[Node], At]]:
    """Clients of a node, which end with the test."""
    async with AsyncExitStack() as stack:
        yield lambda node: At(node.port, stack)
