"""The chats of ``examples/``, each built and used in tabs of Chromium."""

import hmac
import json
import os
import re
import socket
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pusher
import pytest
import requests

from tests.clients.programs import PATIENCE, free_port
from tests.examples.apps import NEXTJS, DefaultServer, Example, Started, server_of, stored
from tests.examples.bodies import post_slowly
from tests.examples.pages import DESKTOP, PHONE, Browser, Page

VUE = Example("vue-chat", start=(), ready="Listening on", prefix="VITE_")
NUXT = Example("nuxt-chat", start=(), ready="Listening on", prefix="NUXT_PUBLIC_", private="NUXT_")
SVELTEKIT = Example("sveltekit-chat", start=(), ready="Listening on", prefix="PUBLIC_")
CHATS = [NEXTJS, *(pytest.param(example, marks=pytest.mark.examples) for example in (VUE, NUXT, SVELTEKIT))]

Enter = Callable[..., Page]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=CHATS, ids=lambda example: example.name)
def example(request: pytest.FixtureRequest) -> Example:
    """Return a chat."""
    found: Example = request.param
    return found


@pytest.fixture(scope="module")
def server(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefaultServer]:
    """Start the realtime server of the README of a chat."""
    with server_of(example, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def chat(example: Example, server: DefaultServer) -> Iterator[Started]:
    """Build a chat with ``npm run build`` and start it with ``npm start``."""
    env = example.env(server.port)
    example.build(env)
    with Started(example, env) as started:
        yield started


@pytest.fixture
def enter(browser: Browser, chat: Started) -> Iterator[Enter]:
    """Return a function that opens a tab for a user who has joined the chat."""
    with ExitStack() as stack:

        def enter(name: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
            page = stack.enter_context(browser.open(chat.url, size, dark=dark))
            join(page, name)
            return page

        yield enter


def join(page: Page, name: str) -> None:
    page.fill("textbox", "Your name", name)
    page.press("Enter")
    page.see("status", "Connection", "Connected")


def say(page: Page, room: str, text: str) -> None:
    page.fill("textbox", f"Message to {room}", text)
    page.press("Enter")


def publish(server: DefaultServer, room: str, *texts: str) -> None:
    """Send messages to a room, past the network that a test may have cut."""
    library = pusher.Pusher("1", "app-key", "app-secret", host="127.0.0.1", port=server.own_port, ssl=False)
    for text in texts:
        author = {"id": "cleo-1", "name": "Cleo"}
        message = {"id": uuid4().hex, "room": room, "author": author, "text": text, "at": int(time.time() * 1000)}
        library.trigger(f"private-room-{room}", "message", message)


def texts_of(page: Page) -> list[str]:
    """Return the messages that a page shows, from the first to the last."""
    texts: list[str] = page.evaluate("[...document.querySelectorAll('[role=log] .text')].map((each) => each.innerText)")
    return texts


def test_a_message_crosses_and_presence_shows_both(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    for page in (ada, bob):
        for name in ("Ada", "Bob"):
            page.see("list", "Who is here", name)
    say(ada, "lobby", "Hello from one tab")
    bob.see("log", "Messages in lobby", "Hello from one tab")
    say(bob, "lobby", "and from the other")
    ada.see("log", "Messages in lobby", "and from the other")
    assert ada.count("log", "Messages in lobby", "Hello from one tab") == 1
    bob.close()
    ada.miss("list", "Who is here", "Bob")


def test_who_types_is_seen_to(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.see("list", "Who is here", "Bob")
    bob.see("list", "Who is here", "Bob")
    bob.type("textbox", "Message to lobby", "Hm")
    ada.see("status", "Typing", "Bob is typing")
    ada.miss("status", "Typing", "Bob is typing")
    bob.type("textbox", "Message to lobby", "…")
    ada.see("status", "Typing", "Bob is typing")
    bob.press("Enter")
    ada.see("log", "Messages in lobby", "Hm…")
    assert ada.count("status", "Typing", "Bob is typing") == 0


def test_the_last_message_waits_for_those_who_come_later(enter: Enter) -> None:
    ada = enter("Ada")
    ada.click("button", "#help…")
    say(ada, "help", "Is anybody there?")
    ada.see("log", "Messages in help", "Is anybody there?")
    cleo = enter("Cleo")
    cleo.see("button", "#help…", "Is anybody there?")
    cleo.click("button", "#help new messages Ada: Is anybody there?")  # the whole label is the accessible name
    cleo.see("log", "Messages in help", "Is anybody there?")


def test_a_page_that_opens_late_shows_the_last_fifty_messages(enter: Enter, server: DefaultServer) -> None:
    texts = [f"Early message {number}" for number in range(60)]
    publish(server, "random", *texts)
    ada = enter("Ada")
    ada.click("button", "#random…")
    ada.see("log", "Messages in random", texts[-1])
    assert texts_of(ada) == texts[-50:]


def test_messages_that_a_tab_has_missed_appear_once_and_in_order(enter: Enter, server: DefaultServer) -> None:
    ada = enter("Ada")
    before = [f"Before the tunnel {number}" for number in range(3)]
    missed = [f"In the tunnel {number}" for number in range(60)]  # more than a new page gets
    publish(server, "lobby", *before)
    ada.see("log", "Messages in lobby", before[-1])
    server.network.silence()
    publish(server, "lobby", *missed)
    server.network.speak()
    publish(server, "lobby", "After the tunnel")
    ada.see("log", "Messages in lobby", "After the tunnel")
    assert texts_of(ada)[-64:] == [*before, *missed, "After the tunnel"]
    assert texts_of(ada).count(before[0]) == 1


def test_a_tab_that_may_have_missed_messages_says_so_until_it_is_reloaded(enter: Enter, server: DefaultServer) -> None:
    server.kill()
    server.start_again(SOKETPY_HISTORY_REPLAY_EVENTS="5")
    ada = enter("Ada")
    server.network.silence()
    publish(server, "lobby", *(f"More than comes again {number}" for number in range(6)))
    server.network.speak()
    ada.see("status", "Connection", "You may have missed messages: reload the page.")
    ada.evaluate("location.reload()")
    ada.see("status", "Connection", "Connected")
    ada.see("log", "Messages in lobby", "More than comes again 5")
    server.kill()
    server.start_again()


def test_a_mention_finds_a_user_in_another_room(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    say(bob, "lobby", "I am off to #random")
    ada.see("log", "Messages in lobby", "I am off to #random")
    bob.click("button", "#random…")
    bob.see("list", "Who is here", "Bob")
    say(ada, "lobby", "Come back, @Bob")
    bob.click("button", "Ada mentioned you in #lobby")
    bob.see("log", "Messages in lobby", "Come back, @Bob")


@pytest.mark.parametrize(
    "text", ["@Robert Metcalfe", "(@ROBERT METCALFE)", "Hm, @robert?", "@Robert's turn", "@Ada, @Robert!"]
)
def test_a_mention_finds_who_has_never_been_seen_in_the_room(enter: Enter, text: str) -> None:
    bob = enter("Robert Metcalfe")
    bob.click("button", "#random…")
    bob.see("list", "Who is here", "Robert Metcalfe")
    ada = enter("Ada Lovelace")
    say(ada, "lobby", text)
    bob.click("button", "Ada Lovelace mentioned you in #lobby")
    bob.see("log", "Messages in lobby", text)


MENTIONS = "document.querySelector('.toast')"


def note_mentions(page: Page) -> None:
    """Store each mention that a page shows in ``window.shown``."""
    page.evaluate(
        f"window.shown = []; new MutationObserver(() => shown.push({MENTIONS}.innerText))"
        f".observe({MENTIONS}, {{ childList: true, subtree: true, characterData: true }})"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@Ada Byron", {"Ada Byron"}),
        ("@ada", {"Ada Byron", "Ada Yonath"}),
        ("@Adalbert", {"Adalbert"}),
        ("mail to me@ada.example, or to @Adalbert", {"Adalbert"}),
    ],
)
def test_a_mention_is_for_those_who_have_the_name(enter: Enter, text: str, found: set[str]) -> None:
    names = ("Ada Byron", "Ada Yonath", "Adalbert")
    pages = {name: enter(name) for name in names}
    for page in pages.values():
        page.click("button", "#random…")
        note_mentions(page)
    cleo = enter("Cleo")
    say(cleo, "lobby", text)
    for name in found:
        pages[name].see("status", "", "Cleo mentioned you in #lobby")
    cleo.click("button", "#help…")
    say(cleo, "help", "@Ada Byron, @Ada Yonath, @Adalbert")
    for name, page in pages.items():
        page.see("status", "", "Cleo mentioned you in #help")
        shown = page.evaluate("shown")
        assert ("Cleo mentioned you in #lobby" in shown) == (name in found)


def test_a_mention_that_has_been_read_is_not_shown_again(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    note_mentions(bob)
    say(ada, "lobby", "Here, @Bob")
    bob.see("log", "Messages in lobby", "Here, @Bob")
    bob.click("button", "#help…")
    ada.click("button", "#random…")
    say(ada, "random", "And there, @Bob")
    bob.see("status", "", "Ada mentioned you in #random")
    assert "Ada mentioned you in #lobby" not in bob.evaluate("shown")


def test_a_mention_that_arrives_after_its_message_was_read_is_not_shown(enter: Enter, server: DefaultServer) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    note_mentions(bob)
    say(ada, "lobby", "Here, everyone")
    bob.see("log", "Messages in lobby", "Here, everyone")
    bob.click("button", "#help…")
    library = pusher.Pusher("1", "app-key", "app-secret", host="127.0.0.1", port=server.port, ssl=False)
    read = stored(server, "private-room-lobby")[-1]
    everyone = [user["id"] for user in library.users_info("presence-everyone")["users"]]
    for message in (read, read | {"id": "another", "room": "random"}):
        for user in everyone:
            library.send_to_user(user, "mention", message)
    bob.see("status", "", "Ada mentioned you in #random")
    assert "Ada mentioned you in #lobby" not in bob.evaluate("shown")


def test_a_mention_that_waits_finds_who_is_there_when_it_is_sent(enter: Enter, server: DefaultServer) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    bob.click("button", "#random…")
    server.kill()
    ada.miss("status", "Connection", "Connected")
    bob.miss("status", "Connection", "Connected")
    say(ada, "lobby", "Are you back, @Bob?")
    ada.evaluate("location.reload()")
    ada.see("log", "Messages in lobby", "waiting to be sent")
    server.start_again()
    ada.miss("log", "Messages in lobby", "waiting to be sent")
    bob.see("status", "Connection", "Connected")
    bob.see("list", "Who is here", "Bob")
    say(ada, "lobby", "And now, @Bob?")  # a user who reconnects after the sender gets no mention
    bob.see("status", "", "Ada mentioned you in #lobby")


def test_what_is_empty_says_so(enter: Enter, server: DefaultServer) -> None:
    server.kill()
    server.forget()
    server.start_again()
    ada = enter("Ada")
    ada.see("list", "Who is here", "Nobody else is here.")
    ada.see("log", "Messages in lobby", "No messages yet.")
    ada.see("button", "#help…", "No messages yet")
    bob = enter("Bob")
    ada.miss("list", "Who is here", "Nobody else is here.")
    say(bob, "lobby", "Hello")
    ada.see("log", "Messages in lobby", "Hello")
    assert ada.count("log", "Messages in lobby", "No messages yet.") == 0


def test_what_is_said_while_the_server_is_down_arrives_when_it_is_back(enter: Enter, server: DefaultServer) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.see("list", "Who is here", "Bob")
    server.kill()
    ada.miss("status", "Connection", "Connected")
    for text in ("First of what waits", "Second of what waits"):
        say(ada, "lobby", text)
        ada.see("log", "Messages in lobby", text)
    ada.see("log", "Messages in lobby", "waiting to be sent")
    ada.see("status", "Connection", "2 waiting")
    server.start_again()
    for page in (ada, bob):
        page.see("status", "Connection", "Connected")
        page.see("list", "Who is here", "Ada")
        page.see("list", "Who is here", "Bob")
    bob.see("log", "Messages in lobby", "First of what waits")
    bob.see("log", "Messages in lobby", "Second of what waits")
    ada.miss("log", "Messages in lobby", "waiting to be sent")
    for text in ("First of what waits", "Second of what waits"):
        assert ada.count("log", "Messages in lobby", text) == 1


def test_who_could_not_be_let_into_the_rooms_is_let_in_later(
    enter: Enter, chat: Started, server: DefaultServer
) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    say(bob, "lobby", "I am off to #random")
    ada.see("log", "Messages in lobby", "I am off to #random")
    bob.click("button", "#random…")
    chat.kill()
    server.kill()
    ada.miss("status", "Connection", "Connected")
    server.start_again()
    ada.see("status", "Connection", "Not in the rooms yet, trying again…")
    say(ada, "lobby", "Are you all there?")
    ada.see("log", "Messages in lobby", "waiting to be sent")
    ada.see("status", "Connection", "1 waiting")
    chat.start_again()
    for page in (ada, bob):
        page.see("status", "Connection", "Connected")
    ada.see("list", "Who is here", "Ada")
    bob.see("button", "#lobby…", "Ada: Are you all there?")
    ada.miss("log", "Messages in lobby", "waiting to be sent")
    say(ada, "lobby", "Hello again, @Bob")  # a user who is not signed in again would get no mention
    bob.click("button", "Ada mentioned you in #lobby")


def test_who_found_a_room_full_gets_in_later(enter: Enter, server: DefaultServer) -> None:
    server.kill()
    server.start_again(SOKETPY_APP_MAX_PRESENCE_MEMBERS_PER_CHANNEL="1")
    ada = enter("Ada")
    ada.see("list", "Who is here", "Ada")
    bob = enter("Bob")
    assert bob.count("list", "Who is here", "Bob") == 0
    ada.close()
    bob.see("list", "Who is here", "Bob")
    server.kill()
    server.start_again()


def test_what_was_sent_is_seen_though_the_websocket_brings_nothing(
    browser: Browser, chat: Started, server: DefaultServer
) -> None:
    env = chat.example.env(server.port, PUSHER_PORT=str(server.own_port))
    with Started(chat.example, env) as started, browser.open(started.url) as ada, browser.open(started.url) as bob:
        join(ada, "Ada")
        join(bob, "Bob")
        server.network.silence()
        for text in ("First into the void", "Second into the void"):
            say(ada, "lobby", text)
            ada.see("log", "Messages in lobby", text)
        ada.miss("log", "Messages in lobby", "waiting to be sent")
        for text in ("First into the void", "Second into the void"):
            assert ada.count("log", "Messages in lobby", text) == 1
        server.network.speak()
        bob.see("log", "Messages in lobby", "Second into the void")
        ada.see("status", "Connection", "Connected")
        assert ada.count("log", "Messages in lobby", "Second into the void") == 1


def test_a_message_that_the_realtime_server_refuses_blocks_no_other(enter: Enter, server: DefaultServer) -> None:
    server.kill()
    server.start_again(SOKETPY_APP_MAX_EVENT_PAYLOAD_IN_KB="1")
    ada, bob = enter("Ada"), enter("Bob")
    say(ada, "lobby", "x" * 1000)
    ada.see("alert", "", "The realtime server refuses this message.")
    say(ada, "lobby", "A shorter one")
    bob.see("log", "Messages in lobby", "A shorter one")
    ada.miss("log", "Messages in lobby", "waiting to be sent")
    server.kill()
    server.start_again()


def test_a_page_that_the_realtime_server_refuses_says_so(enter: Enter, server: DefaultServer) -> None:
    page = enter("Ada", PHONE)
    server.kill()
    server.start_again(SOKETPY_APP_KEY="another-key")
    page.see("status", "Connection", "The realtime server refuses this page: reload it.")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    server.kill()
    server.start_again()
    page.evaluate("location.reload()")
    page.see("status", "Connection", "Connected")


ENDED = ("alert", "", "Your session has ended: join again.")


def test_a_session_that_has_ended_loses_no_text(enter: Enter, chat: Started) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.click("button", "#help…")
    ada.fill("textbox", "Message to help", "Half a sen")
    ada.click("button", "#lobby…")
    chat.kill()
    say(ada, "lobby", "First before the end")
    say(ada, "lobby", "Second before the end")
    ada.see("log", "Messages in lobby", "Second before the end")
    chat.start_again(secret="that-was-drawn-at-this-start")
    ada.see(*ENDED)
    join(ada, "Ada")
    bob.see("log", "Messages in lobby", "First before the end")
    bob.see("log", "Messages in lobby", "Second before the end")
    ada.miss("log", "Messages in lobby", "waiting to be sent")
    ada.click("button", "#help…")
    ada.hold("textbox", "Message to help", "Half a sen")


def test_a_session_that_has_ended_leaves_no_dead_page(enter: Enter, chat: Started, server: DefaultServer) -> None:
    ada, bob, cleo = enter("Ada"), enter("Bob"), enter("Cleo")
    cleo.fill("textbox", "Message to lobby", "Half a sen")
    chat.kill()
    chat.start_again(secret="that-was-drawn-at-another-start")
    ada.evaluate("location.reload()")
    ada.see(*ENDED)
    join(ada, "Ada")
    ada.evaluate("location.reload()")  # this does not end the session
    ada.see("status", "Connection", "Connected")
    bob.click("button", "#random…")
    bob.see(*ENDED)
    join(bob, "Bob")
    server.kill()
    server.start_again()
    cleo.see(*ENDED)
    join(cleo, "Cleo")
    assert cleo.value("textbox", "Message to lobby") == "Half a sen"


def test_what_is_half_typed_outlives_a_change_of_the_room(enter: Enter) -> None:
    ada = enter("Ada")
    ada.fill("textbox", "Message to lobby", "Half a sen")
    ada.click("button", "#help…")
    assert ada.value("textbox", "Message to help") == ""
    ada.click("button", "#lobby…")
    assert ada.value("textbox", "Message to lobby") == "Half a sen"


def test_what_waits_is_sent_when_its_author_joins_again(enter: Enter, server: DefaultServer) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    server.kill()
    ada.miss("status", "Connection", "Connected")
    say(ada, "lobby", "Back in a minute")
    ada.see("log", "Messages in lobby", "waiting to be sent")
    ada.click("button", "Leave")
    ada.see("alert", "", "Join again to send the waiting messages.")
    server.start_again()
    join(ada, "Ada")
    bob.see("log", "Messages in lobby", "Back in a minute")
    ada.miss("log", "Messages in lobby", "waiting to be sent")


def test_a_name_that_is_refused_stays_in_its_field(enter: Enter) -> None:
    page = enter("Ada")
    page.click("button", "Leave")
    page.fill("textbox", "Your name", "  ")
    page.press("Enter")
    page.see("alert", "", "A name has 1 to 40 characters.")
    assert page.value("textbox", "Your name") == "  "


def test_who_has_joined_may_type_at_once(enter: Enter) -> None:
    page = enter("Ada")
    page.until("document.activeElement.ariaLabel === 'Message to lobby'")
    page.click("button", "#help…")
    page.see("list", "Who is here", "Ada")
    assert page.evaluate("document.activeElement.innerText").startswith("#help")


SOCKET = "1.2"
LONE = '{"name":"\\ud800"}'  # half of a character
GOOD = {"id": "x", "room": "lobby", "text": "Hello", "mentions": []}


def token_of(chat: Started, name: str = "Ada") -> dict[str, str]:
    answer = requests.post(f"{chat.url}/api/session", json={"name": name}, timeout=PATIENCE)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['token']}"}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"name":" "}', '{"name":7}', json.dumps({"name": "x" * 41}), LONE])
def test_no_name_is_no_session(chat: Started, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{chat.url}/api/session", body, headers=headers, timeout=PATIENCE).status_code == 400


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("auth", {"socket_id": SOCKET, "channel_name": "private-room-lobby"}, 200),
        ("auth", {"socket_id": SOCKET, "channel_name": "presence-room-lobby"}, 200),
        ("auth", {"socket_id": SOCKET, "channel_name": "presence-everyone"}, 200),
        ("auth", {"socket_id": SOCKET, "channel_name": "presence-room-attic"}, 403),
        ("auth", {"socket_id": SOCKET, "channel_name": "private-cache-room-lobby"}, 403),
        ("auth", {"socket_id": f"{SOCKET}:private-x", "channel_name": "presence-room-lobby"}, 400),
        ("auth", {}, 403),
        ("user-auth", {"socket_id": SOCKET}, 200),
        ("user-auth", {"socket_id": f"{SOCKET}::user::x"}, 400),
        ("user-auth", {}, 400),
    ],
)
def test_it_signs_for_its_users_and_rooms_alone(chat: Started, path: str, form: dict[str, str], status: int) -> None:
    url = f"{chat.url}/api/pusher/{path}"
    assert requests.post(url, form, headers=token_of(chat), timeout=PATIENCE).status_code == status
    forged = {"Authorization": token_of(chat)["Authorization"][:-1]}
    for headers in ({}, {"Authorization": "Bearer a.b"}, forged):
        assert requests.post(url, form, headers=headers, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "no spaces"},
        {"id": 7},
        {"room": "attic"},
        {"room": "__proto__"},
        {"text": " "},
        {"text": "x" * 1001},
        {"text": None},
        {"mentions": "bob"},
        {"mentions": ["a b"]},
        {"mentions": ["x"] * 11},
    ],
)
def test_a_message_that_is_wrong_goes_nowhere(chat: Started, wrong: dict[str, Any]) -> None:
    url, headers = f"{chat.url}/api/messages", token_of(chat)
    answer = requests.post(url, json=GOOD | wrong, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert requests.post(url, json=GOOD, timeout=PATIENCE).status_code == 401
    assert requests.post(url, "{", headers=headers, timeout=PATIENCE).status_code == 400


@pytest.mark.parametrize("path", ["session", "messages", "pusher/auth", "pusher/user-auth"])
def test_a_body_without_bound_is_not_read(chat: Started, path: str) -> None:
    url, headers = f"{chat.url}/api/{path}", {**token_of(chat), "Content-Type": "application/json"}
    authorization = headers["Authorization"]
    for length in (16 * 1024 + 1, 2_500_000_000):
        assert post_slowly(url, Content_Length=str(length), Authorization=authorization) == 413
    assert requests.post(url, iter([b"{}"]), headers=headers, timeout=PATIENCE).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("GET", "/api/attic", {404}),
        ("POST", "/api/attic", {404}),
        ("GET", "/api/messages", {404, 405}),
        ("PUT", "/api/messages", {404, 405}),
        ("GET", "/attic", {404, 200}),  # the page may answer this one
    ],
)
def test_what_it_has_not_is_not_found(chat: Started, method: str, path: str, statuses: set[int]) -> None:
    assert requests.request(method, chat.url + path, timeout=PATIENCE).status_code in statuses


def aged(headers: dict[str, str], secret: str, hours: int) -> dict[str, str]:
    """Return the same session, as if it had begun some hours earlier."""
    payload, _, _ = headers["Authorization"].removeprefix("Bearer ").partition(".")
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    claims["issuedAt"] -= hours * 3_600_000
    payload = unpadded(json.dumps(claims).encode())
    return {"Authorization": f"Bearer {payload}.{unpadded(hmac.digest(secret.encode(), payload.encode(), 'sha256'))}"}


def unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_session_holds_for_twelve_hours(chat: Started, server: DefaultServer) -> None:
    secret = "that-this-test-knows"
    with Started(chat.example, chat.example.env(server.port, SESSION_SECRET=secret)) as started:
        headers = token_of(started)
        for hours, status in ((0, 200), (11, 200), (13, 401)):
            url, given = f"{started.url}/api/messages", aged(headers, secret, hours)
            assert requests.post(url, json=GOOD, headers=given, timeout=PATIENCE).status_code == status


@pytest.mark.parametrize(("secret", "warnings"), [("only-for-your-own-machine", 1), ("that-is-my-own", 0)])
def test_it_warns_of_the_secret_that_everybody_knows(
    chat: Started, server: DefaultServer, secret: str, warnings: int
) -> None:
    env = chat.example.env(server.port, SESSION_SECRET=secret) | {"HOST": "0.0.0.0"}
    with Started(chat.example, env) as started:
        token_of(started)
        token_of(started)
        output = started.preamble + started.end_and_read()
        assert output.count("SESSION_SECRET is the one in .env") == warnings


def test_what_could_not_be_sent_on_is_a_line_of_the_log(chat: Started, server: DefaultServer) -> None:
    port = str(free_port())
    with Started(chat.example, chat.example.env(server.port, SESSION_SECRET="my-own", PUSHER_PORT=port)) as started:
        answer = requests.post(f"{started.url}/api/messages", json=GOOD, headers=token_of(started), timeout=PATIENCE)
        assert answer.status_code == 502
        output = started.end_and_read()
    assert "The message could not be published: Request failed with an error ECONNREFUSED" in output
    assert output.count("\n") < 10
    assert "auth_signature" not in output


def test_the_api_publishes_on_6001_wherever_browsers_connect(chat: Started, server: DefaultServer) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", 6001)):
        pytest.skip("somebody listens on 6001")
    env = chat.example.env(server.port)
    del env[f"{chat.example.private}PUSHER_PORT"]
    with Started(chat.example, env) as started:
        answer = requests.post(f"{started.url}/api/messages", json=GOOD, headers=token_of(started), timeout=PATIENCE)
        assert answer.status_code == 502


@pytest.mark.skipif(sys.platform == "darwin", reason="There is but one 127.0.0.1.")
def test_it_listens_on_this_machine_alone_unless_told(chat: Started, server: DefaultServer) -> None:
    elsewhere = chat.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(requests.ConnectionError):
        requests.get(elsewhere, timeout=PATIENCE)
    with Started(chat.example, {**chat.example.env(server.port), "HOST": "0.0.0.0"}) as started:
        assert requests.get(started.url.replace("127.0.0.1", "127.0.0.2"), timeout=PATIENCE).status_code == 200


def test_its_settings_can_be_uncommented(chat: Started) -> None:
    settings = [line for line in (chat.example.folder / ".env").read_text().splitlines() if "=" in line]
    assert len(settings) > 6
    for line in settings:
        assert re.fullmatch(r"(# )?[A-Z_]+=\S+", line)


def test_it_asks_for_no_icon_that_is_missing(enter: Enter) -> None:
    assert enter("Ada").evaluate("document.querySelector('link[rel=icon]').href") == "data:,"


def test_lists_hold_items_and_the_log_is_none(enter: Enter) -> None:
    page = enter("Ada")
    say(page, "lobby", "Listed")
    page.see("log", "Messages in lobby", "Listed")
    assert page.evaluate("document.querySelector(':is(ol, ul)[role]:not([role=list])') === null")
    assert page.evaluate("[...document.querySelectorAll('li')].every((item) => item.parentElement.matches('ol, ul'))")


def legible(page: Page) -> set[str]:
    """Return all text of a page, after a check that it is legible."""
    contrasts = page.contrasts()
    assert {text: contrast for text, contrast in contrasts.items() if contrast < 4.5} == {}
    return set(contrasts)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_is_legible(enter: Enter, server: DefaultServer, dark: bool) -> None:
    page = enter("Ada", dark=dark)
    say(page, "lobby", "This is sent")
    page.see("button", "#lobby…", "Ada: This is sent")
    server.kill()
    page.miss("status", "Connection", "Connected")
    say(page, "lobby", "This waits")
    page.see("log", "Messages in lobby", "This waits")
    assert {"This is sent", "Ada: This is sent", "This waits", "waiting to be sent"} <= legible(page)
    page.click("button", "Leave")
    page.fill("textbox", "Your name", " ")
    page.press("Enter")
    page.see("alert", "", "A name has 1 to 40 characters.")
    assert "A name has 1 to 40 characters." in legible(page)
    server.start_again()


def test_who_is_here_fits_a_phone(enter: Enter) -> None:
    page = enter("Ada", PHONE)
    for name in ("Grace Hopper", "Barbara Liskov", "Robert Metcalfe"):
        enter(name)
        page.see("list", "Who is here", name)
    bar = "document.querySelector('.members')"
    assert page.evaluate(f"{bar}.scrollWidth <= {bar}.clientWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system_in_light_and_dark(enter: Enter, dark: bool) -> None:
    page = enter("Ada", PHONE, dark=dark)
    say(page, "lobby", "x" * 200)
    page.see("log", "Messages in lobby", "x" * 200)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    red, green, blue = (
        int(part) for part in page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(",")
    )
    assert (red + green + blue < 200) == dark


FIELD_IS_SEEN = "document.querySelector('.composer').getBoundingClientRect().bottom <= innerHeight"


@pytest.mark.parametrize("size", [(375, 667), (375, 330)], ids=["phone", "phone-with-its-keyboard"])
def test_the_field_stays_in_sight_on_a_phone(enter: Enter, size: tuple[int, int]) -> None:
    for number in range(6):
        enter(f"Somebody with a name too long, number {number}")
    page = enter("W" * 40, size)
    for number in range(5):
        say(page, "lobby", f"{number}\n" * 10)
    page.see("log", "Messages in lobby", "4")
    page.fill("textbox", "Message to lobby", "Half a sentence\n" * 12)
    assert page.evaluate(FIELD_IS_SEEN)
    assert page.evaluate("document.querySelector('[role=log]').clientHeight") > 40
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "interactive-widget=resizes-content" in page.evaluate(
        "document.querySelector('meta[name=viewport]').content"
    )


def test_everything_is_reached_by_the_keyboard(enter: Enter) -> None:
    page, reached = enter("Ada"), set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(12):
        page.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    assert {"Leave", "Message to lobby", "Send"} <= reached
    assert sum(name.startswith(("#lobby", "#random", "#help")) for name in reached) == 3


def test_it_looks_like_its_picture(enter: Enter, server: DefaultServer, example: Example, tmp_path: Path) -> None:
    server.kill()
    server.forget()
    server.start_again()
    ada, bob = enter("Ada Lovelace"), enter("Robert Metcalfe")
    say(bob, "lobby", "Is the release out?")
    ada.see("log", "Messages in lobby", "Is the release out?")
    ada.click("button", "#random…")
    bob.click("button", "#random…")
    ada.see("list", "Who is here", "Robert Metcalfe")
    bob.see("list", "Who is here", "Robert Metcalfe")
    talk = [
        (ada, "Morning! The new build is out."),
        (bob, "I have it on my phone and on the desk: both got your message at once."),
        (ada, "And if the server restarts?"),
        (bob, "Then what we type waits, in order, and goes out when it is back."),
    ]
    for page, text in talk:
        say(page, "random", text)
        ada.see("log", "Messages in random", text)
        bob.see("log", "Messages in random", text)
    bob.type("textbox", "Message to random", "…")
    ada.see("status", "Typing", "Robert Metcalfe is typing")
    folder = example.folder
    picture = (folder if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    ada.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (folder / "screenshot.png").exists(), "run `make screenshots`"
