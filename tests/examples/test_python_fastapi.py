"""``examples/python-fastapi``: notices between two tabs, and webhooks that both tabs show if the signature is valid."""

import hmac
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pusher
import pytest
import requests

from tests.clients.programs import PATIENCE, free_port
from tests.examples.apps import EXAMPLES, DefaultServer, StartedModule
from tests.examples.bodies import post_slowly
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page
from tests.patience import attempts

FOLDER = EXAMPLES / "python-fastapi"
SOCKET = "1.2"
SECRETS = {"app-key": "app-secret", "next-key": "next-secret"}

Enter = Callable[..., Page]

pytestmark = [pytest.mark.timeout(600), pytest.mark.examples]


@pytest.fixture(scope="module")
def server() -> Iterator[DefaultServer]:
    with DefaultServer({"SOKETPY_APP_ID": "1"}) as server:
        yield server


def launch(server: DefaultServer, **env: str) -> StartedModule:
    """Start the application as its README does."""
    words = ("uvicorn", "app.main:app", "--port", "PORT")
    return StartedModule(FOLDER, *words, ready="running on", realtime_port=server.port, env=env)


@pytest.fixture(scope="module")
def app(server: DefaultServer) -> Iterator[StartedModule]:
    with launch(server, PUSHER_MORE_KEYS="next-key:next-secret") as started:
        yield started


def join(page: Page, name: str) -> None:
    page.fill("textbox", "Your name", name)
    page.press("Enter")
    page.see("status", "Connection", "Connected")
    page.see("list", "Who is here", f"{name} (you)")


@pytest.fixture
def enter(browser: Browser, app: StartedModule) -> Iterator[Enter]:
    """Return a function that opens a tab for a user who has joined."""
    with ExitStack() as stack:

        def enter(name: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
            page = stack.enter_context(browser.open(app.url, size, dark=dark))
            join(page, name)
            return page

        yield enter


def say(page: Page, text: str) -> None:
    page.fill("textbox", "Notice", text)
    page.press("Enter")


def webhook(*events: dict[str, Any], time_ms: int | None = None) -> bytes:
    made = int(time.time() * 1000) if time_ms is None else time_ms
    return json.dumps({"time_ms": made, "events": events}).encode()


def signature_of(body: bytes, key: str = "app-key") -> str:
    return hmac.new(SECRETS[key].encode(), body, sha256).hexdigest()


def post_webhook(app: StartedModule, body: bytes, key: str | None = "app-key", signature: str | None = None) -> int:
    given = {"X-Pusher-Key": key, "X-Pusher-Signature": signature_of(body) if signature is None else signature}
    headers = {"Content-Type": "application/json"} | {name: value for name, value in given.items() if value}
    return requests.post(f"{app.url}/webhooks/pusher", body, headers=headers, timeout=PATIENCE).status_code


def token_of(app: StartedModule, name: str = "Ada") -> dict[str, str]:
    answer = requests.post(f"{app.url}/api/session", json={"name": name}, timeout=PATIENCE)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def feed_of(app: StartedModule) -> list[dict[str, Any]]:
    feed: list[dict[str, Any]] = requests.get(f"{app.url}/api/feed", headers=token_of(app), timeout=PATIENCE).json()
    return feed


# In the browser


@pytest.fixture
def restartable(server: DefaultServer) -> Iterator[Restartable]:
    """Start an application that the test may stop."""
    with Restartable(lambda: launch(server)) as app:
        yield app


def test_a_session_that_does_not_hold_any_more_leads_to_the_sign_in(enter: Enter) -> None:
    ada = enter("Ada")
    ada.evaluate("sessionStorage.setItem('notices-session', JSON.stringify({ user: { id: 'x' }, token: 'a.b' }))")
    ada.evaluate("location.reload()")
    ada.see("button", "Join", "Join")
    ada.see("alert", "", "Your session has ended.")


def test_a_page_that_could_not_be_signed_for_hears_everything_once_the_application_is_back(
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
            page.see("list", "Who is here", "Ada")
            page.see("list", "Who is here", "Bob")
        say(ada, "For all")
        bob.see("log", "Notices", "For all")
        ada.until("[...document.querySelectorAll('option')].some(({ text }) => text === 'Bob')")
        ada.evaluate("document.querySelector('select').value = [...document.querySelectorAll('option')][1].value")
        for _ in attempts():  # the sign-in may be the last step
            if bob.count("log", "Notices", "For Bob"):
                break
            say(ada, "For Bob")


def test_a_session_that_ends_leads_to_the_sign_in_and_keeps_the_text(
    browser: Browser, server: DefaultServer, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada, browser.open(restartable.url) as bob:
        join(ada, "Ada")
        join(bob, "Bob")
        bob.fill("textbox", "Notice", "Half a th")
        restartable.kill()
        say(ada, "Am I still here?")
        ada.see("alert", "", "The application cannot be reached.")
        restartable.start_again(lambda: launch(server, SESSION_SECRET="another"))
        ada.press("Enter")  # one tab notices by a send, the other by a join
        server.kill()
        bob.miss("status", "Connection", "Connected")
        server.start_again()
        for page, name, text in ((ada, "Ada", "Am I still here?"), (bob, "Bob", "Half a th")):
            page.see("alert", "", "Your session has ended.")
            join(page, name)
            assert page.value("textbox", "Notice") == text
        ada.click("button", "Send")
        bob.see("log", "Notices", "Am I still here?")


def test_a_notice_goes_to_everyone_or_to_one_alone(enter: Enter) -> None:
    ada, bob, cleo = enter("Ada"), enter("Bob"), enter("Cleo")
    for name in ("Bob", "Cleo"):
        ada.see("list", "Who is here", name)
    say(ada, "<b>For all</b>")
    for page in (ada, bob, cleo):
        page.see("log", "Notices", "<b>For all</b>")
    ada.evaluate("document.querySelector('select').value = [...document.querySelectorAll('option')][1].value")
    say(ada, "For Bob")
    bob.see("log", "Notices", "Ada to you alone")
    bob.see("log", "Notices", "For Bob")
    ada.see("log", "Notices", "Ada to one alone")
    ada.evaluate("document.querySelector('select').value = ''")
    say(ada, "For all again")
    for page in (ada, cleo):
        page.see("log", "Notices", "For all again")
    assert cleo.count("log", "Notices", "For Bob") == 0
    assert ada.count("log", "Notices", "For all again") == 1
    cleo.close()
    ada.miss("list", "Who is here", "Cleo")


def test_a_page_without_webhooks_says_that_none_arrive(browser: Browser, restartable: Restartable) -> None:
    with browser.open(restartable.url) as ada:
        join(ada, "Ada")
        ada.see("log", "Webhooks", "No webhook has arrived. This version of soketpy sends none")
        ada.see("log", "Notices", "No notices yet.")
        ada.see("list", "Who is here", "Nobody else is here.")
        ada.evaluate("document.querySelector('#notices').append(document.createElement('li'))")
        ada.miss("log", "Notices", "No notices yet.")


def test_webhooks_come_to_every_tab_and_to_those_that_are_opened_later(enter: Enter, app: StartedModule) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    assert post_webhook(app, webhook({"name": "channel_occupied", "channel": "room-1"})) == 204
    for page in (ada, bob):
        page.see("log", "Webhooks", "room-1")
    many = [{"name": "member_added", "channel": "presence-many", "user_id": f"user-{n}."} for n in range(25)]
    assert post_webhook(app, webhook(*many)) == 204
    ada.see("log", "Webhooks", "presence-many · user-24.")
    assert ada.count("log", "Webhooks", "presence-many") == 25
    cleo = enter("Cleo")
    cleo.see("log", "Webhooks", "presence-many · user-24.")
    cleo.see("log", "Webhooks", "room-1")


def test_what_happens_while_the_realtime_server_is_away_is_shown_when_it_is_back(
    enter: Enter, app: StartedModule, server: DefaultServer
) -> None:
    ada = enter("Ada")
    server.kill()
    ada.miss("status", "Connection", "Connected")
    say(ada, "Not lost")
    ada.see("alert", "", "The realtime server cannot be reached.")
    assert post_webhook(app, webhook({"name": "channel_vacated", "channel": "room-away"})) == 204
    server.start_again()
    ada.see("status", "Connection", "Connected")
    ada.see("list", "Who is here", "Ada (you)")
    ada.see("log", "Webhooks", "room-away")
    ada.miss("alert", "", "The realtime server cannot be reached.")
    ada.click("button", "Send")
    ada.see("log", "Notices", "Not lost")
    assert ada.count("log", "Webhooks", "room-away") == 1


def test_the_sample_is_a_webhook(enter: Enter, app: StartedModule) -> None:
    ada = enter("Ada")
    command = [sys.executable, "-m", "app.sample", "member_removed", "presence-sample", "ada"]
    subprocess.run(command, cwd=FOLDER, env={**os.environ, "WEBHOOK_URL": f"{app.url}/webhooks/pusher"}, check=True)
    ada.see("log", "Webhooks", "presence-sample · ada")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system_in_light_and_dark(enter: Enter, dark: bool) -> None:
    page = enter("Ada", PHONE, dark=dark)
    say(page, "x" * 200)
    page.see("log", "Notices", "x" * 200)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1]
    assert (sum(int(part) for part in colour.split(",")) < 200) == dark


def test_everything_is_reached_by_the_keyboard(enter: Enter) -> None:
    page, reached = enter("Ada"), set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(8):
        page.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    assert {"Leave", "To", "Notice", "Send", "Notices", "Webhooks"} <= reached


def test_it_looks_like_its_picture(enter: Enter, app: StartedModule, tmp_path: Path) -> None:
    ada, bob = enter("Ada Lovelace"), enter("Robert Metcalfe")
    ada.see("list", "Who is here", "Robert Metcalfe")
    happened = [
        {"name": "channel_occupied", "channel": "presence-lobby"},
        {"name": "member_added", "channel": "presence-lobby", "user_id": "ada"},
        {"name": "member_added", "channel": "presence-lobby", "user_id": "robert"},
        {"name": "client_event", "channel": "presence-lobby", "user_id": "robert", "event": "client-typing"},
        {"name": "member_removed", "channel": "presence-lobby", "user_id": "robert"},
    ]
    for event in happened:
        assert post_webhook(app, webhook(event)) == 204
    ada.see("log", "Webhooks", "presence-lobby · robert · client-typing")
    say(bob, "The build is out. Every open page has this at the same moment.")
    ada.see("log", "Notices", "The build is out.")
    bob.evaluate("document.querySelector('select').value = [...document.querySelectorAll('option')][1].value")
    say(bob, "And this one went to you alone, whichever page you look at.")
    ada.see("log", "Notices", "whichever page")
    say(ada, "Got both. What does the server say?")
    ada.see("log", "Notices", "Got both.")
    picture = (FOLDER if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    ada.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (FOLDER / "screenshot.png").exists(), "run `make screenshots`"


# Webhooks


def test_these_webhooks_are_signed_as_pushers_own_library_wants_it() -> None:
    body = webhook({"name": "channel_occupied", "channel": "room"})
    library = pusher.Pusher("1", "app-key", "app-secret")
    assert library.validate_webhook("app-key", signature_of(body), body) == json.loads(body)


def test_a_webhook_counts_under_each_key_and_under_no_other(app: StartedModule) -> None:
    for key in SECRETS:
        body = webhook({"name": "channel_occupied", "channel": f"by-{key}"})
        assert post_webhook(app, body, key, signature_of(body, key)) == 204
        assert [each["channel"] for each in feed_of(app)].count(f"by-{key}") == 1


@pytest.mark.parametrize(
    ("key", "signed_by"),
    [
        ("unknown", "app-key"),
        ("", "app-key"),
        ("next-key", "app-key"),
        ("app-key", "next-key"),
    ],
)
def test_a_webhook_with_the_wrong_key_is_refused(app: StartedModule, key: str, signed_by: str) -> None:
    body = webhook({"name": "channel_occupied", "channel": "wrong-key"})
    assert post_webhook(app, body, key, signature_of(body, signed_by)) == 401
    assert "wrong-key" not in [each["channel"] for each in feed_of(app)]


@pytest.mark.parametrize("change", [str.upper, lambda text: text[:-1], lambda text: "é" * 64, lambda text: ""])
def test_a_webhook_with_another_signature_is_refused(app: StartedModule, change: Callable[[str], str]) -> None:
    body = webhook({"name": "channel_occupied", "channel": "wrong-signature"})
    headers = {"X-Pusher-Key": b"app-key", "X-Pusher-Signature": change(signature_of(body)).encode("latin-1")}
    answer = requests.post(f"{app.url}/webhooks/pusher", body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 401


def test_a_signature_is_good_for_its_own_body_alone(app: StartedModule) -> None:
    body = webhook({"name": "channel_occupied", "channel": "room-first"})
    signature = signature_of(body)
    assert post_webhook(app, body, signature=signature) == 204
    for changed in (body.replace(b"first", b"other"), body + b" ", b"", b"{"):
        assert post_webhook(app, changed, signature=signature) == 401


def test_a_webhook_that_comes_again_counts_once_and_an_old_one_not_at_all(app: StartedModule) -> None:
    body = webhook({"name": "channel_occupied", "channel": "room-again"})
    assert [post_webhook(app, body) for _ in range(3)] == [204] * 3
    assert [each["channel"] for each in feed_of(app)].count("room-again") == 1
    old = webhook({"name": "channel_occupied", "channel": "room-old"}, time_ms=int(time.time() * 1000) - 301_000)
    assert post_webhook(app, old) == 400
    assert "room-old" not in [each["channel"] for each in feed_of(app)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"time_ms":1}',
        b'{"time_ms":"x","events":[]}',
        b'{"time_ms":-1,"events":[]}',
        b'{"time_ms":1e400,"events":[]}',
        b"[" * 50_000,
    ],
)
def test_a_signed_body_that_is_no_webhook_is_refused(app: StartedModule, body: bytes) -> None:
    assert post_webhook(app, body) == 400


@pytest.mark.parametrize("event", [{"channel": "no-name"}, {"name": "x" * 201}])
def test_a_webhook_of_now_with_an_event_that_is_none_is_refused(app: StartedModule, event: dict[str, str]) -> None:
    assert post_webhook(app, webhook(event)) == 400


@pytest.mark.parametrize("path", ["/webhooks/pusher", "/api/session", "/api/pusher/auth", "/api/notices"])
def test_a_body_without_end_is_not_read(app: StartedModule, path: str) -> None:
    kind = "application/x-www-form-urlencoded" if path.endswith("auth") else "application/json"
    headers = {"Content-Type": kind, **token_of(app)}
    chunks = (b"x" * 65_536 for _ in range(5))
    assert requests.post(app.url + path, chunks, headers=headers, timeout=PATIENCE).status_code == 413


# The other routes


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("auth", {"socket_id": SOCKET, "channel_name": "presence-lobby"}, 200),
        ("auth", {"socket_id": SOCKET, "channel_name": "private-feed"}, 200),
        ("auth", {"socket_id": SOCKET, "channel_name": "presence-attic"}, 403),
        ("auth", {"socket_id": SOCKET, "channel_name": "private-feed:{}"}, 403),
        ("auth", {"socket_id": f"{SOCKET}:private-x", "channel_name": "presence-lobby"}, 400),
        ("auth", {"socket_id": f"{SOCKET}\n", "channel_name": "presence-lobby"}, 400),
        ("auth", {"socket_id": "١.٢", "channel_name": "presence-lobby"}, 400),
        ("auth", {}, 400),
        ("user-auth", {"socket_id": SOCKET}, 200),
        ("user-auth", {"socket_id": f"{SOCKET}::user::x"}, 400),
        ("user-auth", {}, 400),
    ],
)
def test_it_signs_for_its_users_and_channels_alone(
    app: StartedModule, path: str, form: dict[str, str], status: int
) -> None:
    url, headers = f"{app.url}/api/pusher/{path}", token_of(app)
    assert requests.post(url, form, headers=headers, timeout=PATIENCE).status_code == status
    for token in ("", "Bearer", "Bearer a.b", "Bearer .", "Basic a.b", headers["Authorization"][:-1]):
        assert requests.post(url, form, headers={"Authorization": token}, timeout=PATIENCE).status_code == 401


NOTICES = [
    "",
    "{",
    "[]",
    "{}",
    "null",
    '"x"',
    '{"text":" "}',
    '{"text":7}',
    '{"text":null}',
    '{"text":"\\ud800"}',
    json.dumps({"text": "x" * 501}),
    '{"text":"x","to":"#server"}',
    '{"text":"x","to":["a"]}',
    "[" * 100_000,
]


@pytest.mark.parametrize("body", NOTICES)
def test_a_notice_that_is_wrong_goes_nowhere(app: StartedModule, body: str) -> None:
    headers = {"Content-Type": "application/json", **token_of(app)}
    answer = requests.post(f"{app.url}/api/notices", body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"name":" "}', '{"name":7}', json.dumps({"name": "x" * 41})])
def test_no_name_is_no_session(app: StartedModule, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{app.url}/api/session", body, headers=headers, timeout=PATIENCE).status_code == 400


def test_who_has_not_signed_in_sends_no_notice_and_reads_no_feed(app: StartedModule) -> None:
    assert requests.post(f"{app.url}/api/notices", json={"text": "x"}, timeout=PATIENCE).status_code == 401
    assert requests.get(f"{app.url}/api/feed", timeout=PATIENCE).status_code == 401


def test_the_secret_does_not_leave_the_server(app: StartedModule) -> None:
    for path in ("/", "/pusher.js", "/api/settings"):
        answer = requests.get(app.url + path, timeout=PATIENCE)
        assert answer.status_code == 200
        assert "app-secret" not in answer.text


# Slow and oversized requests


@contextmanager
def alone(realtime_port: int, ready: str = "running on", **env: str) -> Iterator[StartedModule]:
    """Start the application with another realtime server, or without one."""
    words = ("uvicorn", "app.main:app", "--port", "PORT", "--no-access-log")
    with StartedModule(FOLDER, *words, ready=ready, realtime_port=realtime_port, env=env) as started:
        yield started


def test_a_realtime_server_that_hangs_holds_up_nothing_else() -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=100) as hanging,
        alone(hanging.getsockname()[1]) as app,
        ThreadPoolExecutor(60) as threads,
    ):
        headers = token_of(app)

        def send(_: int) -> int:
            notice = {"text": "x"}
            return requests.post(f"{app.url}/api/notices", json=notice, headers=headers, timeout=PATIENCE).status_code

        calls = [threads.submit(send, n) for n in range(60)]
        refused = [call.result() for call in itertools.islice(as_completed(calls), 52)]
        assert refused == [503] * 52  # at once
        token_of(app)
        assert requests.get(app.url, timeout=PATIENCE).status_code == 200
        assert Counter(call.result() for call in calls) == {503: 52, 502: 8}


def test_a_failed_trigger_is_one_line_without_the_signed_url() -> None:
    with alone(free_port()) as app:
        answer = requests.post(f"{app.url}/api/notices", json={"text": "x"}, headers=token_of(app), timeout=PATIENCE)
        assert answer.status_code == 502
        output = app.end_and_read()
    (line,) = [line for line in output.splitlines() if "could not be sent" in line]
    assert "ConnectionError" in line
    assert "auth_" not in output


def test_it_warns_of_the_session_secret_that_everybody_knows() -> None:
    with alone(free_port(), ready="SESSION_SECRET is the default"):
        pass


@pytest.mark.parametrize(("left", "status"), [(60, 200), (0, 401)])
def test_a_token_expires(app: StartedModule, left: float, status: int) -> None:
    payload = token_of(app)["Authorization"].split()[1].partition(".")[0]
    claims = json.loads(urlsafe_b64decode(payload))
    assert claims["expires"] == pytest.approx(time.time() + 12 * 60 * 60, abs=PATIENCE)
    changed = urlsafe_b64encode(json.dumps(claims | {"expires": time.time() + left}).encode())
    signature = hmac.new(b"only-for-your-own-machine", changed, sha256).hexdigest()
    headers = {"Authorization": f"Bearer {changed.decode()}.{signature}"}
    assert requests.get(f"{app.url}/api/feed", headers=headers, timeout=PATIENCE).status_code == status


def test_half_a_surrogate_pair_is_no_name(app: StartedModule) -> None:
    assert requests.post(f"{app.url}/api/session", json={"name": "\ud800"}, timeout=PATIENCE).status_code == 400


def test_a_body_whose_length_is_too_great_is_not_waited_for(app: StartedModule) -> None:
    length = str(256 * 1024 + 1)
    assert post_slowly(f"{app.url}/api/session", Content_Length=length, Connection="close") == 413


@pytest.mark.parametrize("path", ["/api/session", "/webhooks/pusher"])
def test_a_body_that_does_not_come_is_not_waited_for_long(app: StartedModule, path: str) -> None:
    assert post_slowly(app.url + path, Content_Type="application/json") == 408
