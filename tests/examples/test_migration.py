"""``examples/node-express-migration``: the applications behave the same with ws, with Socket.IO and with channels."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients.programs import PATIENCE
from tests.examples.apps import DefaultServer, Example, Started
from tests.examples.bodies import post_slowly
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page

Start = Callable[[str], Started]
Enter = Callable[..., Page]

pytestmark = [pytest.mark.examples, pytest.mark.timeout(300)]


def launch(server: DefaultServer, name: str) -> Started:
    """One of the four applications."""
    app = Example("node-express-migration", (f"{name}/server.js",), ready="Listening on", prefix="PUBLIC_")
    app.install()
    return Started(app, app.env(server.port))


@pytest.fixture
def start(server: DefaultServer) -> Iterator[Start]:
    """Start one of the four applications."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(launch(server, name))


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """Return a function that opens a tab for a user who has joined a room."""
    with ExitStack() as stack:

        def enter(
            app: Started | Restartable, name: str, room: str = "red", *, size: tuple[int, int] = DESKTOP, **options: Any
        ) -> Page:
            page = stack.enter_context(browser.open(app.url, size, **options))
            page.see("status", "Connection", "Connected")
            assert page.evaluate("document.activeElement.name") == "name"
            page.fill("textbox", "Your name", name)
            if room != "red":
                page.press("Tab")
                page.press("ArrowDown")
            page.press("Enter") if room == "red" else page.click("button", "Join")
            page.see("list", "Who is here", name)
            return page

        yield enter


def say(page: Page, text: str) -> None:
    page.fill("textbox", "Message", text)
    page.press("Enter")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_vote_is_seen_by_all_and_by_those_who_come_later(browser: Browser, start: Start, when: str) -> None:
    app = start(f"ws-poll/{when}")
    with browser.open(app.url) as ada, browser.open(app.url) as bob:
        for page in (ada, bob):
            page.see("status", "Connection", "Connected")
        ada.click("button", "Tea")
        bob.see("status", "Votes for tea", "1")
        bob.click("button", "Tea")
        ada.see("status", "Votes for tea", "2")
        with browser.open(app.url, PHONE) as late:
            late.see("status", "Votes for tea", "2")
            assert late.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_room_hears_what_is_said_in_it_and_no_other_does(start: Start, enter: Enter, when: str) -> None:
    app = start(f"socketio-rooms/{when}")
    ada, bob, cleo = enter(app, "Ada"), enter(app, "Bob"), enter(app, "Cleo", "blue")
    for page in (ada, bob):
        page.see("list", "Who is here", "Ada")
        page.see("list", "Who is here", "Bob")
    say(ada, "Hello")
    for page in (ada, bob):
        page.see("log", "Messages", "Ada: Hello")
    bob.click("button", "Wave")
    ada.see("log", "Messages", "Bob waves")
    say(ada, "I saw it")
    bob.see("log", "Messages", "Ada: I saw it")
    assert bob.count("log", "Messages", "Bob waves") == 0
    say(cleo, "Am I alone?")
    cleo.see("log", "Messages", "Cleo: Am I alone?")
    assert cleo.count("log", "Messages", "Hello") == 0
    bob.close()
    ada.miss("list", "Who is here", "Bob")


def test_the_rooms_come_back_with_the_server(start: Start, enter: Enter, server: DefaultServer) -> None:
    app = start("socketio-rooms/after")
    ada, bob = enter(app, "Ada"), enter(app, "Bob")
    ada.see("list", "Who is here", "Bob")
    server.kill()
    body = {"room": "presence-red", "name": "Ada", "text": "Hello?"}
    assert requests.post(f"{app.url}/messages", json=body, timeout=PATIENCE).status_code == 502
    ada.see("status", "Connection", "Offline")
    server.start_again()
    for page in (ada, bob):
        page.see("status", "Connection", "Connected")
        page.see("list", "Who is here", "Bob")
    say(bob, "Back again")
    ada.see("log", "Messages", "Bob: Back again")


def test_what_is_said_while_either_server_is_away_stays_in_its_field(enter: Enter, server: DefaultServer) -> None:
    with Restartable(lambda: launch(server, "socketio-rooms/after")) as app:
        ada, bob = enter(app, "Ada"), enter(app, "Bob")
        ada.evaluate("window.faults = []; onunhandledrejection = ({ reason }) => faults.push(String(reason))")
        server.kill()
        say(ada, "Not lost")
        ada.see("alert", "", "The realtime server cannot be reached.")
        app.kill()
        ada.press("Enter")
        ada.see("alert", "", "The application cannot be reached.")
        ada.click("button", "Wave")
        ada.see("alert", "", "The application cannot be reached.")
        assert ada.value("textbox", "Message") == "Not lost"
        for page in (ada, bob):
            page.miss("status", "Connection", "Connected")
        server.start_again()
        for page in (ada, bob):
            page.see("alert", "", "The application does not answer, trying again")
        app.start_again()
        for page in (ada, bob):
            page.miss("alert", "", "The application does not answer")
            page.see("list", "Who is here", "Bob")
        ada.click("button", "Send")
        for page in (ada, bob):
            page.see("log", "Messages", "Ada: Not lost")
        assert ada.value("textbox", "Message") == ""
        assert ada.count("log", "Messages", "Not lost") == 1
        assert ada.evaluate("faults") == []


def test_a_vote_that_was_not_taken_may_be_given_again(browser: Browser, server: DefaultServer) -> None:
    with Restartable(lambda: launch(server, "ws-poll/after")) as app, browser.open(app.url) as ada:
        ada.see("status", "Connection", "Connected")
        server.kill()
        ada.click("button", "Tea")
        ada.see("alert", "", "The realtime server cannot be reached.")
        assert requests.get(f"{app.url}/votes", timeout=PATIENCE).json() == {"tea": 0, "coffee": 0}
        server.start_again()
        ada.see("status", "Connection", "Connected")
        ada.miss("alert", "", "The realtime server cannot be reached.")
        for _ in range(10):  # at once: each vote counts
            ada.click("button", "Tea")
        ada.see("status", "Votes for tea", "10")
        app.kill()
        ada.click("button", "Coffee")
        ada.see("alert", "", "The application cannot be reached.")


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_scrolls_to_the_oldest_message_and_stands_at_the_newest(start: Start, enter: Enter, when: str) -> None:
    ada = enter(start(f"socketio-rooms/{when}"), "Ada", size=PHONE)
    for number in range(40):
        say(ada, f"Message {number}.")
        ada.see("log", "Messages", f"Ada: Message {number}.")
    place = "(({ top, bottom }) => [top, bottom])(%s.getBoundingClientRect())"
    log = "document.querySelector('[role=log]')"
    first, last = (f"{log}.querySelector('li:{which}-child')" for which in ("first", "last"))
    assert ada.evaluate(place % last)[1] <= ada.evaluate(place % log)[1] + 1
    ada.evaluate(f"{log}.focus()")
    ada.press("Home")
    ada.until(f"{log}.scrollTop === 0")
    assert ada.evaluate(place % first)[0] >= ada.evaluate(place % log)[0] - 1
    assert (
        ada.evaluate("document.querySelector('#say input').clientWidth") > 180
    )  # wide enough for more than "Say somethin"


@pytest.mark.parametrize("name", ["ws-poll/before", "ws-poll/after", "socketio-rooms/before", "socketio-rooms/after"])
def test_a_page_asks_for_nothing_that_is_not_there(browser: Browser, start: Start, name: str) -> None:
    with browser.open(start(name).url) as page:
        page.see("status", "Connection", "Connected")
        statuses = page.evaluate("performance.getEntriesByType('resource').map(({ responseStatus }) => responseStatus)")
        assert max(statuses) < 400
        assert page.evaluate("document.querySelector('link[rel=icon]').href") == "data:,"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages", {}),
        ("/messages", []),
        ("/messages", {"room": "presence-green", "name": "Ada", "text": "x"}),
        ("/messages", {"room": "presence-red", "name": "", "text": "x"}),
        ("/messages", {"room": "presence-red", "name": "Ada", "text": "x" * 1001}),
        ("/waves", {"room": "presence-red", "name": "Ada", "socketId": "1.2:private-x"}),
        ("/waves", {"room": "presence-red", "name": "Ada"}),
    ],
)
def test_what_is_wrong_is_refused(start: Start, path: str, body: Any) -> None:
    app = start("socketio-rooms/after")
    assert requests.post(app.url + path, json=body, timeout=PATIENCE).status_code == 400
    broken = requests.post(app.url + path, "{", headers={"Content-Type": "application/json"}, timeout=PATIENCE)
    assert broken.status_code == 400
    form = {"socket_id": "1.2", "channel_name": "private-red", "name": "Ada"}
    assert requests.post(f"{app.url}/pusher/auth", form, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize("choice", ["milk", "__proto__", 7, None, {"tea": 1}])
def test_there_is_tea_and_coffee(start: Start, choice: Any) -> None:
    app = start("ws-poll/after")
    assert requests.post(f"{app.url}/votes", json=choice, timeout=PATIENCE).status_code == 400
    assert requests.get(f"{app.url}/votes", timeout=PATIENCE).json() == {"tea": 0, "coffee": 0}


def test_it_looks_like_its_picture(start: Start, enter: Enter, tmp_path: Path) -> None:
    app = start("socketio-rooms/after")
    ada, bob = enter(app, "Ada", size=(700, 560)), enter(app, "Bob", size=PHONE, dark=True)
    assert bob.text_before("log") == "No messages yet."
    say(ada, "The server may restart now.")
    bob.see("log", "Messages", "The server may restart now.")
    assert bob.text_before("log") == ""
    say(bob, "And the sockets stay?")
    ada.see("log", "Messages", "And the sockets stay?")
    say(ada, "All of them: it holds none.")
    ada.see("log", "Messages", "All of them: it holds none.")
    assert bob.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    folder = Example("node-express-migration", (), ready="", prefix="").folder
    picture = (folder if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    ada.screenshot(picture)
    bob.screenshot(tmp_path / "phone.png")
    assert (folder / "screenshot.png").exists(), "run `make screenshots`"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages", {"room": "presence-red", "name": "\ud800", "text": "x"}),
        ("/messages", {"room": "presence-red", "name": "Ada", "text": "x\udc00"}),
        ("/waves", {"room": "presence-red", "name": "Ada", "socketId": ["1.2"]}),
    ],
)
def test_what_npm_pusher_or_the_server_would_not_take_is_refused(start: Start, path: str, body: Any) -> None:
    app = start("socketio-rooms/after")
    assert requests.post(app.url + path, json=body, timeout=PATIENCE).status_code == 400


def test_a_realtime_server_that_hangs_is_not_waited_for_long() -> None:
    rooms = Example("node-express-migration", ("socketio-rooms/after/server.js",), ready="Listening", prefix="PUBLIC_")
    rooms.install()
    with (
        socket.create_server(("127.0.0.1", 0)) as hanging,
        Started(rooms, rooms.env(hanging.getsockname()[1])) as app,
    ):
        body = {"room": "presence-red", "name": "Ada", "text": "x"}
        assert requests.post(f"{app.url}/messages", json=body, timeout=PATIENCE).status_code == 502
        assert len(app.end_and_read().splitlines()) == 1


def test_a_body_that_does_not_come_is_not_waited_for_long(start: Start) -> None:
    app = start("socketio-rooms/after")
    assert post_slowly(f"{app.url}/messages", Content_Type="application/json") == 408
