"""``examples/laravel-echo``, used in tabs of Chromium."""

import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests.clients.programs import PATIENCE, free_port
from tests.examples.apps import DefaultServer, Example, Started
from tests.examples.bodies import post_slowly
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page
from tests.patience import attempts

ECHO = Example(
    "laravel-echo",
    start=("--env-file=.env", "server/index.js"),
    ready="Listening on",
    prefix="VITE_",
)

Enter = Callable[..., Page]

pytestmark = [pytest.mark.examples, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def app(server: DefaultServer) -> Iterator[Started]:
    """Build the example with ``npm run build`` and start it with ``npm start``."""
    env = ECHO.env(server.port)
    ECHO.build(env)
    with Started(ECHO, env) as started:
        yield started


@pytest.fixture
def enter(browser: Browser, app: Started) -> Iterator[Enter]:
    """Return a function that opens a tab for a user who has signed in and joined the room."""
    with ExitStack() as stack:

        def enter(name: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
            page = stack.enter_context(browser.open(app.url, size, dark=dark))
            join(page, name)
            return page

        yield enter


def join(page: Page, name: str) -> None:
    page.fill("textbox", "Your name", name)
    page.press("Enter")
    page.see("status", "Connection", "Connected")
    page.see("list", "Who is here", f"{name} (you)")


def say(page: Page, text: str) -> None:
    page.fill("textbox", "Message", text)
    page.press("Enter")


def test_an_event_of_a_public_channel_reaches_all(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.click("button", "Publish news")
    for page in (ada, bob):
        page.see("log", "News", "Ada has news")


def test_an_event_of_a_private_channel_reaches_its_user_alone(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.click("button", "Ship my order")
    ada.see("log", "Your orders", "is on its way")
    bob.click("button", "Publish news")
    ada.see("log", "News", "Bob has news")
    bob.see("log", "News", "Bob has news")
    assert bob.count("log", "Your orders", "is on its way") == 0


def test_who_is_here_joins_and_leaves(enter: Enter) -> None:
    ada = enter("Ada")
    bob = enter("Bob")
    ada.see("list", "Who is here", "Bob")
    bob.see("list", "Who is here", "Ada")
    bob.close()
    ada.miss("list", "Who is here", "Bob")


def test_a_message_reaches_the_others_and_is_text(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    text = "<b>Hello</b> to the others"
    say(ada, text)
    for page in (bob, ada):
        page.see("log", "Messages", text)
    say(bob, "And back")
    ada.see("log", "Messages", "And back")
    assert ada.count("log", "Messages", text) == 1


def test_a_whisper_says_who_types(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.see("list", "Who is here", "Bob")
    bob.type("textbox", "Message", "Hm")
    ada.see("status", "Typing", "Bob is typing")
    ada.miss("status", "Typing", "Bob is typing")


def test_all_channels_come_back_with_the_server(enter: Enter, server: DefaultServer) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    server.kill()
    for page in (ada, bob):
        page.miss("status", "Connection", "Connected")
    say(ada, "Does anybody hear this?")
    ada.see("alert", "", "The realtime server cannot be reached")
    assert ada.evaluate(
        "(({ top }) => top)(document.getElementById('problem').getBoundingClientRect()) >= "
        "(({ bottom }) => bottom)(document.getElementById('composer').getBoundingClientRect())"
    )
    assert ada.evaluate("document.getElementById('problem').getBoundingClientRect().bottom <= innerHeight")
    server.start_again()
    for page in (ada, bob):
        page.see("status", "Connection", "Connected")
    cleo = enter("Cleo")  # only users who have joined again can see her
    for page in (ada, bob):
        page.see("list", "Who is here", "Cleo")
        cleo.see("list", "Who is here", "Ada")
        cleo.see("list", "Who is here", "Bob")
    ada.miss("alert", "", "The realtime server cannot be reached")
    ada.press("Enter")
    bob.see("log", "Messages", "Does anybody hear this?")
    ada.click("button", "Ship my order")
    ada.see("log", "Your orders", "is on its way")
    bob.click("button", "Publish news")
    ada.see("log", "News", "Bob has news")


@pytest.fixture
def restartable(app: Started, server: DefaultServer) -> Iterator[Restartable]:
    """Return an application that the test may stop."""
    with Restartable(lambda: Started(ECHO, ECHO.env(server.port))) as started:
        yield started


def test_a_page_that_could_not_be_signed_for_joins_once_the_application_is_back(
    browser: Browser, server: DefaultServer, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada, browser.open(restartable.url) as bob:
        join(ada, "Ada")
        join(bob, "Bob")
        restartable.kill()
        server.kill()
        for page in (ada, bob):
            page.miss("status", "Connection", "Connected")
        server.start_again()
        for page in (ada, bob):
            page.see("status", "Connection", "No answer, trying again")
        restartable.start_again()
        for page in (ada, bob):
            page.see("status", "Connection", "Connected")
        say(ada, "For all")
        for _ in attempts():  # the channels are joined in any order
            if bob.count("log", "Messages", "For all"):
                break
            say(ada, "For all")
        for _ in attempts():
            if ada.count("log", "Your orders", "is on its way"):
                break
            ada.click("button", "Ship my order")
        bob.see("list", "Who is here", "Ada")


def test_a_session_that_ends_leads_to_the_sign_in_and_keeps_the_text(
    browser: Browser, server: DefaultServer, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada, browser.open(restartable.url) as bob:
        join(ada, "Ada")
        join(bob, "Bob")
        bob.fill("textbox", "Message", "Half a th")
        restartable.kill()
        say(ada, "Am I still here?")
        ada.see("alert", "", "The server cannot be reached.")
        restartable.start_again(lambda: Started(ECHO, {**ECHO.env(server.port), "APP_KEY": "another"}))
        ada.press("Enter")  # one tab notices by a send, the other by a join
        server.kill()
        bob.miss("status", "Connection", "Connected")
        server.start_again()
        for page, name, text in ((ada, "Ada", "Am I still here?"), (bob, "Bob", "Half a th")):
            page.see("alert", "", "Your session has ended.")
            join(page, name)
            assert page.value("textbox", "Message") == text
        ada.click("button", "Send")
        bob.see("log", "Messages", "Am I still here?")
        assert bob.count("log", "Messages", "Am I still here?") == 1


def session(app: Started) -> tuple[str, dict[str, str]]:
    """Return the id of a new user, and the headers with the user's token."""
    answer = requests.post(f"{app.url}/login", json={"name": "Ada"}, timeout=PATIENCE)
    assert answer.status_code == 200
    return answer.json()["user"]["id"], {"Authorization": f"Bearer {answer.json()['token']}"}


def test_it_signs_as_laravel_does(app: Started) -> None:
    user, headers = session(app)
    url = f"{app.url}/broadcasting/auth"
    private = {"socket_id": "1.2", "channel_name": f"private-user.{user}"}
    assert requests.post(url, private, headers=headers, timeout=PATIENCE).json().keys() == {"auth"}
    presence = {"socket_id": "1.2", "channel_name": "presence-room"}
    answer = requests.post(url, presence, headers=headers, timeout=PATIENCE).json()
    assert json.loads(answer["channel_data"]) == {"user_id": user, "user_info": {"id": user, "name": "Ada"}}


@pytest.mark.parametrize(
    ("channel", "socket", "status"),
    [
        ("private-user.somebody-else", "1.2", 403),
        ("private-room", "1.2", 403),
        ("presence-room2", "1.2", 403),
        ("", "1.2", 403),
        ("presence-room", "", 400),
        ("presence-room", "1.2:private-x", 400),
    ],
)
def test_it_signs_for_its_users_and_channels_alone(app: Started, channel: str, socket: str, status: int) -> None:
    form = {"channel_name": channel, "socket_id": socket}
    url = f"{app.url}/broadcasting/auth"
    _, headers = session(app)
    assert requests.post(url, form, headers=headers, timeout=PATIENCE).status_code == status
    forged = {"Authorization": headers["Authorization"][:-1]}
    for nobody in ({}, forged):
        assert requests.post(url, form, headers=nobody, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize("body", ["", "7", "null", "[]", '{"name": " ", "text": " "}', '{"name": 7, "text": 7}'])
def test_what_is_wrong_goes_nowhere(app: Started, body: str) -> None:
    _, headers = session(app)
    assert requests.post(f"{app.url}/login", body, timeout=PATIENCE).status_code == 400
    assert requests.post(f"{app.url}/messages", body, headers=headers, timeout=PATIENCE).status_code == 400
    for path in ("messages", "news", "orders"):
        assert requests.post(f"{app.url}/{path}", body, timeout=PATIENCE).status_code == 401
    odd = {**headers, "X-Socket-ID": "no socket"}
    good = {"text": "Hello"}
    assert requests.post(f"{app.url}/messages", json=good, headers=odd, timeout=PATIENCE).status_code == 400


def test_a_setting_that_is_uncommented_is_right() -> None:
    for line in (ECHO.folder / ".env").read_text().splitlines():
        name, equals, value = line.removeprefix("# ").partition("=")
        if equals and name.isupper():
            assert " " not in value


@pytest.mark.parametrize("path", ["/.env", "/../.env", "/%2e%2e/.env", "/server/index.js", "/constructor"])
def test_no_other_file_is_served(app: Started, path: str) -> None:
    request = requests.Request("GET", app.url).prepare()
    request.url = app.url + path  # unchanged, with its dots
    with requests.Session() as http:
        assert http.send(request, timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(enter: Enter, dark: bool) -> None:
    page = enter("Ada", PHONE, dark=dark)
    empty = {"news": "No news yet.", "orders": "No order is on its way yet.", "messages": "No messages yet."}
    assert {list_: page.text_before(list_) for list_ in empty} == empty
    say(page, "x" * 200)
    page.see("log", "Messages", "x" * 200)
    assert page.text_before("messages") == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_it_looks_like_its_picture(enter: Enter, tmp_path: Path) -> None:
    ada, bob = enter("Ada Lovelace"), enter("Robert Metcalfe")
    ada.see("list", "Who is here", "Robert Metcalfe")
    bob.click("button", "Publish news")
    ada.click("button", "Ship my order")
    ada.see("log", "Your orders", "is on its way")
    say(bob, "Is the release out?")
    ada.see("log", "Messages", "Is the release out?")
    say(ada, "It is: Echo hears it here, and on your phone.")
    bob.see("log", "Messages", "It is: Echo hears it here, and on your phone.")
    bob.type("textbox", "Message", "…")
    ada.see("status", "Typing", "Robert Metcalfe is typing")
    picture = (ECHO.folder if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    ada.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (ECHO.folder / "screenshot.png").exists(), "run `make screenshots`"


# Malformed requests


def test_a_file_of_any_kind_is_served(app: Started, server: DefaultServer) -> None:
    (ECHO.folder / "dist" / "font.woff2").write_bytes(b"font")
    with Started(ECHO, ECHO.env(server.port)) as another:
        for _ in range(2):
            answer = requests.get(f"{another.url}/font.woff2", timeout=PATIENCE)
            assert (answer.status_code, answer.content) == (200, b"font")
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_is_served_to_head_and_with_a_query(app: Started) -> None:
    for path in ("/", "/?utm=1", "/index.html?a=b"):
        assert requests.head(app.url + path, timeout=PATIENCE).status_code == 200
        assert "<title>" in requests.get(app.url + path, timeout=PATIENCE).text


def test_half_a_surrogate_pair_is_refused(app: Started) -> None:
    assert requests.post(f"{app.url}/login", json={"name": "\ud800"}, timeout=PATIENCE).status_code == 400
    _, headers = session(app)
    text = {"text": "a\udc00"}
    assert requests.post(f"{app.url}/messages", json=text, headers=headers, timeout=PATIENCE).status_code == 400


@pytest.mark.parametrize("expires", [0, None, "never"])
def test_a_token_expires(app: Started, expires: object) -> None:
    user, headers = session(app)

    def signed(claims: dict[str, object]) -> dict[str, str]:
        payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        signature = hmac.digest(b"only-for-your-own-machine", payload, "sha256")
        return {"Authorization": f"Bearer {payload.decode()}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"}

    valid = headers["Authorization"].split()[1].partition(".")[0]
    claims: dict[str, object] = json.loads(urlsafe_b64decode(valid + "=" * (-len(valid) % 4)))
    assert claims.keys() == {"id", "name", "expires"}
    endless: dict[str, object] = {"id": user, "name": "Ada"}
    for given, status in ((claims, 200), (claims | {"expires": expires}, 401), (endless, 401)):
        assert requests.post(f"{app.url}/news", headers=signed(given), timeout=PATIENCE).status_code == status


def test_it_warns_of_the_key_that_everybody_knows(app: Started, server: DefaultServer) -> None:
    with Started(replace(ECHO, ready="APP_KEY is the example's"), ECHO.env(server.port)):
        pass


def test_a_failed_broadcast_is_one_line_without_the_signed_url(app: Started) -> None:
    with Started(ECHO, ECHO.env(free_port())) as alone:
        _, headers = session(alone)
        assert requests.post(f"{alone.url}/news", headers=headers, timeout=PATIENCE).status_code == 502
        (line,) = alone.end_and_read().splitlines()
    assert "ECONNREFUSED" in line
    assert "auth_" not in line


def test_a_body_that_is_too_long_or_without_a_length_is_not_read(app: Started) -> None:
    assert post_slowly(f"{app.url}/login", Content_Length="16385") == 413
    chunks = (b"x" for _ in range(1))
    assert requests.post(f"{app.url}/login", chunks, timeout=PATIENCE).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for_long(app: Started) -> None:
    assert post_slowly(f"{app.url}/login") == 408
