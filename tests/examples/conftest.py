"""Chromium, and a realtime server that tests can kill."""

import re
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.clients.javascript import chromium
from tests.examples.apps import NEXTJS, DefaultServer
from tests.examples.pages import Browser


class ByExample(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """A scheduler that gives all tests of an example to one worker, because they build it in its folder."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, rest = nodeid.partition("::")
        chat = re.search(r"\w+-chat", rest)
        of_nextjs = module.endswith(("test_proxies.py", "test_nextjs_online.py"))
        return chat[0] if chat else NEXTJS.name if of_nextjs else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByExample:
    return ByExample(config, log)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return Chromium."""
    browser = Browser(chromium(), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.end()


@pytest.fixture(autouse=True)
def serving_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start the module's server again if a test has failed after it killed the server."""
    yield
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    if isinstance(server, DefaultServer) and server.is_killed:
        server.start_again()


@pytest.fixture(scope="module")
def server() -> Iterator[DefaultServer]:
    """Return a realtime server for one module, whose tests may kill it."""
    with DefaultServer() as server:
        yield server
