"""``examples/python-fastapi``: notices between two tabs, and webhooks of the server that both tabs show."""

import hmac
import itertools
import json
import os
import socket
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, ClassVar
from uuid import uuid4

import pusher
import pytest
import requests
import yaml
from websockets.sync.client import connect

from tests.clients.programs import PATIENCE, Balancer, free_port
from tests.examples.apps import EXAMPLES, DefaultServer, StartedModule, stored
from tests.examples.bodies import post_slowly
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page
from tests.patience import attempts, wait_until

FOLDER = EXAMPLES / "python-fastapi"
SOCKET = "1.2"
SECRETS = {"app-key": "app-secret", "next-key": "next-secret"}

Enter = Callable[..., Page]

pytestmark = [pytest.mark.timeout(600), pytest.mark.examples]


class Way(Balancer):
    """The way from the realtime server to the application, which a test may cut."""

    refused = 0

    def verify_request(self, request: object, client_address: object) -> bool:
        self.refused += self.is_cut
        return True


@dataclass(frozen=True)
class Request:
    """A request that a realtime server has signed."""

    body: bytes
    headers: dict[str, str]


class Tap(BaseHTTPRequestHandler):
    """Stores the requests of webhooks."""

    requests: ClassVar[Queue[Request]] = Queue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.put(Request(body, dict(self.headers)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with ExitStack() as stack:
        way = Way(0)
        stack.callback(way.__exit__)
        yield way


@pytest.fixture(scope="module")
def tap() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Tap) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(way: Way, tap: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefaultServer]:
    """Start the realtime server of the README, with one more webhook for the tap."""
    folder = tmp_path_factory.mktemp("server")
    config = yaml.safe_load((FOLDER / "soketpy.yaml").read_text())
    webhooks = config["apps"][0]["webhooks"]
    for each in webhooks:
        assert each["url"] == "http://127.0.0.1:8000/webhooks/pusher"
        each["url"] = f"http://127.0.0.1:{way.port}/webhooks/pusher"
    webhooks.append({"url": f"http://127.0.0.1:{tap}", "event_types": ["channel_occupied"]})
    (folder / "soketpy.yaml").write_text(json.dumps(config))
    paths = {"SOKETPY_WEBHOOKS_PATH": str(folder / "webhooks.db"), "SOKETPY_HISTORY_PATH": str(folder / "history.db")}
    env = {"SOKETPY_CONFIG": str(folder / "soketpy.yaml"), **paths}
    with DefaultServer(env) as server:
        yield server


def launch(server: DefaultServer, **env: str) -> StartedModule:
    """Start the application as its README does."""
    words = ("uvicorn", "app.main:app", "--port", "PORT")
    return StartedModule(FOLDER, *words, ready="running on", realtime_port=server.port, env=env)


@pytest.fixture(scope="module")
def app(server: DefaultServer, way: Way) -> Iterator[StartedModule]:
    with launch(server, PUSHER_MORE_KEYS="next-key:next-secret") as started:
        way.behind = int(started.url.rpartition(":")[2])
        yield started


@pytest.fixture(scope="module")
def real(server: DefaultServer) -> Request:
    """Return a request of the realtime server, which it sends because a client subscribes to room-real."""
    with connect(f"ws://127.0.0.1:{server.port}/app/app-key?protocol=7") as client:
        client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "room-real"}}))
        while b"room-real" not in (request := Tap.requests.get(timeout=PATIENCE)).body:
            pass
    return request


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


def post(app: StartedModule, body: bytes, headers: Mapping[str, str | bytes]) -> int:
    return requests.post(f"{app.url}/webhooks/pusher", body, headers=headers, timeout=PATIENCE).status_code


def signed(body: bytes, key: str = "app-key") -> dict[str, str]:
    """Return the headers of a body that the realtime server does not send."""
    signature = hmac.new(SECRETS[key].encode(), body, sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Pusher-Key": key, "X-Pusher-Signature": signature}


def token_of(app: StartedModule, name: str = "Ada") -> dict[str, str]:
    answer = requests.post(f"{app.url}/api/session", json={"name": name}, timeout=PATIENCE)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def feed_of(server: DefaultServer) -> list[dict[str, Any]]:
    return stored(server, "private-feed")


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


def notify(server: DefaultServer, *texts: str) -> None:
    """Send notices to everyone, past the network that a test may have cut."""
    library = pusher.Pusher("1", "app-key", "app-secret", host="127.0.0.1", port=server.own_port, ssl=False)
    for text in texts:
        author = {"id": "cleo-1", "name": "Cleo"}
        notice = {"id": uuid4().hex, "author": author, "text": text, "to": None, "time_ms": int(time.time() * 1000)}
        library.trigger("presence-lobby", "notice", notice)


def notices_of(page: Page) -> list[str]:
    """Return the notices that a page shows, from the first to the last."""
    texts: list[str] = page.evaluate("[...document.querySelectorAll('#notices .text')].map((each) => each.innerText)")
    return texts


def test_a_page_that_opens_late_shows_the_last_fifty_notices(enter: Enter, server: DefaultServer) -> None:
    texts = [f"Early notice {number}" for number in range(60)]
    notify(server, *texts)
    ada = enter("Ada")
    ada.see("log", "Notices", texts[-1])
    assert notices_of(ada) == texts[-50:]


def test_notices_that_a_tab_has_missed_appear_once_and_in_order(enter: Enter, server: DefaultServer) -> None:
    ada = enter("Ada")
    before = [f"Before the tunnel {number}" for number in range(3)]
    missed = [f"In the tunnel {number}" for number in range(60)]  # more than a new page gets
    notify(server, *before)
    ada.see("log", "Notices", before[-1])
    server.network.silence()
    notify(server, *missed)
    server.network.speak()
    notify(server, "After the tunnel")
    ada.see("log", "Notices", "After the tunnel")
    assert notices_of(ada)[-64:] == [*before, *missed, "After the tunnel"]
    assert notices_of(ada).count(before[0]) == 1


def test_a_tab_that_may_have_missed_notices_says_so_until_it_is_reloaded(enter: Enter, server: DefaultServer) -> None:
    server.kill()
    server.start_again(SOKETPY_HISTORY_REPLAY_EVENTS="5")
    ada = enter("Ada")
    server.network.silence()
    notify(server, *(f"More than comes again {number}" for number in range(6)))
    server.network.speak()
    ada.see("status", "Connection", "You may have missed events: reload the page")
    ada.evaluate("location.reload()")
    ada.see("status", "Connection", "Connected")
    ada.see("log", "Notices", "More than comes again 5")
    server.kill()
    server.start_again()


def test_a_webhook_whose_events_cannot_be_stored_is_refused_and_counts_later(
    app: StartedModule, server: DefaultServer
) -> None:
    body = b'{"time_ms":1,"events":[{"name":"channel_occupied","channel":"room-of-an-outage"}]}'
    server.kill()
    assert post(app, body, signed(body)) == 503
    server.start_again()
    assert post(app, body, signed(body)) == 204
    assert [each["channel"] for each in feed_of(server)].count("room-of-an-outage") == 1


def test_a_page_without_webhooks_says_how_to_get_them(browser: Browser) -> None:
    with (
        DefaultServer() as server,
        launch(server) as app,
        browser.open(app.url) as ada,
    ):
        join(ada, "Ada")
        ada.see("log", "Webhooks", "No webhook has arrived. Start the realtime server with the webhooks")
        ada.see("log", "Notices", "No notices yet.")
        ada.see("list", "Who is here", "Nobody else is here.")
        ada.evaluate("document.querySelector('#notices').append(document.createElement('li'))")
        ada.miss("log", "Notices", "No notices yet.")


def id_of(page: Page) -> str:
    """Return the id of the user of a tab."""
    found: str = page.evaluate("JSON.parse(sessionStorage.getItem('notices-session')).user.id")
    return found


def events_of(server: DefaultServer, user_id: str) -> list[str]:
    """Return the events of a user that the application has triggered."""
    return [each["name"] for each in feed_of(server) if each["user_id"] == user_id]


def test_every_tab_shows_who_comes_and_who_leaves_also_one_that_is_opened_later(
    enter: Enter, app: StartedModule, server: DefaultServer
) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    users = [id_of(ada), id_of(bob)]
    for page in (ada, bob):
        page.see("log", "Webhooks", "channel_occupied")
        for user in users:
            page.see("log", "Webhooks", f"presence-lobby · {user}")
    bob.close()
    wait_until(lambda: set(events_of(server, users[1])) >= {"member_removed", "user_offline"})
    ada.see("log", "Webhooks", "member_removed")
    cleo = enter("Cleo")
    for user in users:
        cleo.see("log", "Webhooks", f"presence-lobby · {user}")
    assert sorted(events_of(server, users[1])) == ["member_added", "member_removed", "user_offline", "user_online"]


def test_a_page_that_is_reloaded_has_not_left(enter: Enter, app: StartedModule, server: DefaultServer) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    user, other = id_of(ada), id_of(bob)
    wait_until(lambda: len(events_of(server, user)) == 2)
    ada.evaluate("location.reload()")
    ada.see("list", "Who is here", "Ada (you)")
    bob.close()
    wait_until(lambda: "member_removed" in events_of(server, other))
    assert sorted(events_of(server, user)) == ["member_added", "user_online"]


def test_events_arrive_after_an_outage_of_the_application_in_their_order(
    enter: Enter, app: StartedModule, way: Way, server: DefaultServer
) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    gone = id_of(bob)
    wait_until(lambda: "member_added" in events_of(server, gone))
    way.cut()
    refused = way.refused
    cleo = enter("Cleo")
    come = id_of(cleo)
    bob.close()
    wait_until(lambda: way.refused > refused + 1)
    assert "member_added" not in events_of(server, come)
    way.mend()
    wait_until(lambda: "member_removed" in events_of(server, gone))
    names = [(each["name"], each["user_id"]) for each in feed_of(server) if each["name"].startswith("member")]
    assert names.index(("member_added", come)) < names.index(("member_removed", gone))
    ada.see("log", "Webhooks", f"presence-lobby · {come}")


def test_events_survive_a_crash_of_the_realtime_server(
    enter: Enter, app: StartedModule, server: DefaultServer, way: Way
) -> None:
    ada = enter("Ada")
    wait_until(lambda: "member_added" in events_of(server, id_of(ada)))
    way.cut()
    refused = way.refused
    bob = enter("Bob")
    user = id_of(bob)
    wait_until(lambda: way.refused > refused)
    server.kill()
    ada.miss("status", "Connection", "Connected")
    say(ada, "Not lost")
    ada.see("alert", "", "The realtime server cannot be reached.")
    way.mend()
    server.start_again()
    wait_until(lambda: "member_added" in events_of(server, user))
    ada.see("status", "Connection", "Connected")
    ada.see("log", "Webhooks", f"presence-lobby · {user}")
    ada.miss("alert", "", "The realtime server cannot be reached.")
    ada.click("button", "Send")
    ada.see("log", "Notices", "Not lost")
    assert events_of(server, user).count("member_added") == 1


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
    for page in (ada, bob):
        ada.see("log", "Webhooks", f"presence-lobby · {id_of(page)}")
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


def test_a_webhook_is_signed_as_pushers_own_library_wants_it(real: Request) -> None:
    library = pusher.Pusher("1", "app-key", "app-secret")
    signature = real.headers["X-Pusher-Signature"]
    assert library.validate_webhook("app-key", signature, real.body) == json.loads(real.body)


def test_a_webhook_that_comes_again_counts_once(app: StartedModule, real: Request, server: DefaultServer) -> None:
    assert [post(app, real.body, real.headers) for _ in range(3)] == [204] * 3
    assert [each["channel"] for each in feed_of(server)].count("room-real") == 1


def test_a_webhook_of_pusher_has_no_id_and_counts_once_too(app: StartedModule, server: DefaultServer) -> None:
    body = b'{"time_ms":1,"events":[{"name":"channel_occupied","channel":"room-of-pusher"}]}'
    assert [post(app, body, signed(body)) for _ in range(2)] == [204] * 2
    assert [each["channel"] for each in feed_of(server)].count("room-of-pusher") == 1


def test_a_webhook_counts_under_each_key(app: StartedModule, server: DefaultServer) -> None:
    for key in SECRETS:
        body = json.dumps({"time_ms": 1, "events": [{"name": "channel_occupied", "channel": f"by-{key}"}]}).encode()
        assert post(app, body, signed(body, key)) == 204
        assert [each["channel"] for each in feed_of(server)].count(f"by-{key}") == 1


@pytest.mark.parametrize("key", ["unknown", "", "next-key"])
def test_a_webhook_with_another_key_is_refused(app: StartedModule, real: Request, key: str) -> None:
    assert post(app, real.body, {**real.headers, "X-Pusher-Key": key, "X-Soketpy-Delivery": f"by-{key}"}) == 401


@pytest.mark.parametrize("change", [str.upper, lambda text: text[:-1], lambda text: "é" * 64, lambda text: ""])
def test_a_webhook_with_another_signature_is_refused(
    app: StartedModule, real: Request, change: Callable[[str], str]
) -> None:
    signature = change(real.headers["X-Pusher-Signature"]).encode("latin-1")
    assert post(app, real.body, {**real.headers, "X-Pusher-Signature": signature}) == 401


def test_a_signature_is_good_for_its_own_body_alone(app: StartedModule, real: Request, server: DefaultServer) -> None:
    headers = {name: value for name, value in real.headers.items() if name != "Content-Length"}
    for changed in (real.body.replace(b"real", b"other"), real.body + b" ", b"", b"{"):
        assert post(app, changed, headers) == 401
    assert "room-other" not in [each["channel"] for each in feed_of(server)]


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
        b'{"time_ms":1,"events":[{"channel":"no-name"}]}',
        json.dumps({"time_ms": 1, "events": [{"name": "x" * 201}]}).encode(),
        b"[" * 50_000,
    ],
)
def test_a_signed_body_that_is_no_webhook_is_refused(app: StartedModule, body: bytes) -> None:
    assert post(app, body, signed(body)) == 400


@pytest.mark.parametrize("path", ["/webhooks/pusher", "/api/session", "/api/pusher/auth", "/api/notices"])
def test_a_body_without_end_is_not_read(app: StartedModule, path: str) -> None:
    kind = "application/x-www-form-urlencoded" if path.endswith("auth") else "application/json"
    headers = {"Content-Type": kind, **token_of(app)}
    chunks = (b"x" * 65_536 for _ in range(17))
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


def test_who_has_not_signed_in_sends_no_notice(app: StartedModule) -> None:
    assert requests.post(f"{app.url}/api/notices", json={"text": "x"}, timeout=PATIENCE).status_code == 401


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
    url = f"{app.url}/api/pusher/user-auth"
    assert requests.post(url, {"socket_id": SOCKET}, headers=headers, timeout=PATIENCE).status_code == status


def test_half_a_surrogate_pair_is_no_name(app: StartedModule) -> None:
    assert requests.post(f"{app.url}/api/session", json={"name": "\ud800"}, timeout=PATIENCE).status_code == 400


def test_a_body_whose_length_is_too_great_is_not_waited_for(app: StartedModule) -> None:
    length = str(1024 * 1024 + 1)
    assert post_slowly(f"{app.url}/api/session", Content_Length=length, Connection="close") == 413


@pytest.mark.parametrize("path", ["/api/session", "/webhooks/pusher"])
def test_a_body_that_does_not_come_is_not_waited_for_long(app: StartedModule, path: str) -> None:
    assert post_slowly(app.url + path, Content_Type="application/json") == 408
