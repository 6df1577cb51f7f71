"""``examples/nextjs-chat``: webhooks of a running server tell visitors who is online."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests
import yaml

from tests.clients.programs import PATIENCE, Balancer
from tests.examples.apps import NEXTJS, DefaultServer, Started
from tests.examples.pages import Browser, Page

pytestmark = [pytest.mark.timeout(600), pytest.mark.examples]


@pytest.fixture(scope="module")
def way() -> Iterator[Balancer]:
    """Return the way from the realtime server to the application."""
    with ExitStack() as stack:
        way = Balancer(0)
        stack.callback(way.__exit__)
        yield way


@pytest.fixture(scope="module")
def server(way: Balancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefaultServer]:
    """Start the realtime server of the README."""
    folder = tmp_path_factory.mktemp("server")
    text = (NEXTJS.folder / "soketpy.yaml").read_text()
    assert text.count("http://127.0.0.1:3000/api/webhooks") == len(yaml.safe_load(text)["apps"][0]["webhooks"])
    (folder / "soketpy.yaml").write_text(text.replace("127.0.0.1:3000", f"127.0.0.1:{way.port}"))
    paths = {"SOKETPY_WEBHOOKS_PATH": str(folder / "webhooks.db"), "SOKETPY_HISTORY_PATH": str(folder / "history.db")}
    env = {"SOKETPY_CONFIG": str(folder / "soketpy.yaml"), **paths}
    with DefaultServer(env) as server:
        yield server


@pytest.fixture(scope="module")
def chat(server: DefaultServer, way: Balancer) -> Iterator[Started]:
    env = NEXTJS.env(server.port)
    NEXTJS.build(env)
    with Started(NEXTJS, env) as started:
        way.behind = started.port
        yield started


def join(page: Page, name: str) -> None:
    page.fill("textbox", "Your name", name)
    page.press("Enter")
    page.see("status", "Connection", "Connected")


def test_a_visitor_sees_who_is_online(browser: Browser, chat: Started) -> None:
    with browser.open(chat.url) as visitor, browser.open(chat.url) as ada, browser.open(chat.url) as bob:
        visitor.see("status", "Online", "Nobody is online.")  # by a cache_miss
        join(ada, "Ada")
        visitor.see("status", "Online", "Online now: Ada")
        join(bob, "Bob")
        visitor.see("status", "Online", "Online now: Ada, Bob")
        with browser.open(chat.url) as late:
            late.see("status", "Online", "Online now: Ada, Bob")
        ada.close()
        visitor.see("status", "Online", "Online now: Bob")


def test_a_visitor_sees_after_an_outage_of_the_application_who_is_online(
    browser: Browser, chat: Started, way: Balancer
) -> None:
    with browser.open(chat.url) as visitor, browser.open(chat.url) as ada:
        visitor.see("status", "Online", "online")
        way.cut()
        join(ada, "Cleo")
        way.mend()
        visitor.see("status", "Online", "Cleo")


@pytest.mark.parametrize("headers", [{}, {"X-Pusher-Key": "app-key", "X-Pusher-Signature": "0" * 64}])
def test_a_webhook_with_a_wrong_signature_is_refused(chat: Started, headers: dict[str, str]) -> None:
    body = json.dumps({"time_ms": 1, "events": []})
    headers = {"Content-Type": "application/json", **headers}
    answer = requests.post(f"{chat.url}/api/webhooks", body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 401
