"""Proxies in front of nodes that fail in the middle of a call: no call of a publisher is published twice."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest

from tests.clients.programs import free_port
from tests.deploy.proxies import PROXIES, Front, Proxy, haproxy, nginx, traefik

EVENT = {"name": "my-event", "channel": "my-channel", "data": "x" * 10_000}


class Upstream(ThreadingHTTPServer):
    """A node that is ready, and gives the same answer to each call: a status, or none."""

    daemon_threads = True

    def __init__(self, status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.status = status
        self.got: list[bytes] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Ignore a connection that the proxy has reset."""


class Request(BaseHTTPRequestHandler):
    """A request to an upstream. The connection stays open, as that of a node."""

    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.status is None:
            self.close_connection = True
        else:
            self._answer(self.server.status)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def upstreams(statuses: tuple[int | None, int | None]) -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(status)) for status in statuses]


def publish(front: Front) -> int:
    return front.call("/events", EVENT)


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: proxy.__name__)
@pytest.mark.parametrize("statuses", [(None, None)])
def test_a_call_that_a_node_has_got_is_not_repeated(proxy: Proxy, upstreams: list[Upstream], tmp_path: Path) -> None:
    with Front(proxy, {}, tmp_path, [each.server_port for each in upstreams]) as front:
        front.wait()
        for sent in (1, 2):
            assert publish(front) == 502
            assert sum(len(each.got) for each in upstreams) == sent


# Under load, HAProxy may choose the same node again. Its health checks notice a stop, and those of nginx do not exist.
@pytest.mark.parametrize(("proxy", "publishers"), [(nginx, 8), (haproxy, 1)])
@pytest.mark.parametrize("statuses", [(503, 200), (200, 503)])
def test_the_other_node_gets_the_calls_that_a_node_answers_with_503(
    proxy: Proxy, publishers: int, upstreams: list[Upstream], tmp_path: Path
) -> None:
    with Front(proxy, {}, tmp_path, [each.server_port for each in upstreams]) as front:
        front.wait()
        with ThreadPoolExecutor(publishers) as pool:
            assert set(pool.map(publish, [front] * 40)) == {200}
    stopping, works = sorted(upstreams, key=lambda each: each.status or 0, reverse=True)
    assert len(works.got) == 40
    assert stopping.got
    assert set(stopping.got) == set(works.got)


@pytest.mark.parametrize("proxy", [nginx, haproxy])
@pytest.mark.parametrize("statuses", [(503, 503)])
def test_the_publisher_gets_the_503_of_a_node_if_all_nodes_answer_so(
    proxy: Proxy, upstreams: list[Upstream], tmp_path: Path
) -> None:
    with Front(proxy, {}, tmp_path, [each.server_port for each in upstreams]) as front:
        front.wait()
        assert publish(front) == 503


@pytest.mark.parametrize("proxy", [nginx, haproxy, traefik])
@pytest.mark.parametrize("statuses", [(200, 200)])
def test_the_other_node_gets_the_calls_for_a_node_that_cannot_be_reached(
    proxy: Proxy, upstreams: list[Upstream], tmp_path: Path
) -> None:
    works, _ = upstreams
    with Front(proxy, {}, tmp_path, [works.server_port, free_port()]) as front:
        front.wait()
        assert [publish(front) for _ in range(10)] == [200] * 10
    assert len(works.got) == 10
