"""Chromium, a realtime server that can die, and the examples that run against it."""

from collections.abc import Iterator

import pytest

from tests.clients.javascript import chromium
from tests.examples.apps import DefaultServer
from tests.examples.pages import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium."""
    browser = Browser(chromium(), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.end()


@pytest.fixture(scope="module")
def server() -> Iterator[DefaultServer]:
    """A realtime server of the module's own: its tests may kill it."""
    with DefaultServer() as server:
        yield server
