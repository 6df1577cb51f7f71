"""``examples/auth-server``, used in tabs of Chromium. ``tests/clients`` checks its signatures."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.clients.programs import PATIENCE
from tests.examples.apps import EXAMPLES, DefaultServer, StartedModule
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page

FOLDER = EXAMPLES / "auth-server"

Enter = Callable[..., Page]

pytestmark = [pytest.mark.timeout(300), pytest.mark.examples]


@pytest.fixture(scope="module")
def server() -> Iterator[DefaultServer]:
    with DefaultServer() as server:
        yield server


@pytest.fixture
def app(server: DefaultServer) -> Iterator[Restartable]:
    env = {"SOKETPY_HOST": "127.0.0.1", "SOKETPY_PORT": str(server.port), "ENCRYPTION_MASTER_KEY": ""}
    with Restartable(
        lambda: StartedModule(FOLDER, "app", ready="Running on", realtime_port=server.port, env=env)
    ) as started:
        yield started


@pytest.fixture
def enter(browser: Browser, app: Restartable) -> Iterator[Enter]:
    """Return a function that opens a tab for a user."""
    with ExitStack() as stack:

        def enter(user: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
            page = stack.enter_context(browser.open(f"{app.url}/?user={user}", size, dark=dark))
            page.see("status", "Connection", "Connected")
            joined(page)
            return page

        yield enter


def joined(page: Page) -> None:
    for channel in ("presence-room", "private-encrypted-room"):
        page.until(f"{state_of(channel)} === 'joined'")


def state_of(name: str) -> str:
    return f"document.querySelector('[data-name=\"{name}\"] b')?.textContent"


def say(page: Page, to: str, text: str) -> None:
    page.evaluate(f"document.querySelector('select').value = '{to}'")
    page.fill("textbox", "Text", text)
    page.press("Enter")


def test_each_channel_says_whether_one_may_join(enter: Enter) -> None:
    ada, bob = enter("ada"), enter("bob")
    ada.until(f"{state_of('private-for-ada')} === 'joined'")
    bob.until(f"{state_of('private-for-ada')} === 'refused'")


def test_it_is_said_to_the_room_encrypted_or_to_one_user_alone(enter: Enter) -> None:
    ada, bob = enter("ada"), enter("bob")
    bob.until(f"{state_of('Ada Lovelace')} === 'online'")  # both have signed in
    ada.until(f"{state_of('Robert Metcalfe')} === 'online'")
    say(ada, "presence-room", "<b>Hello</b>")
    say(ada, "private-encrypted-room", "Between us")
    say(ada, "bob", "For Bob")
    for text in ("<b>Hello</b>", "Between us · encrypted", "For Bob · to you alone"):
        bob.see("log", "Said", f"Ada Lovelace: {text}")
    ada.see("log", "Said", "Between us · encrypted")
    assert ada.count("log", "Said", "For Bob") == 0


def test_the_watchlist_says_who_is_online(enter: Enter) -> None:
    ada = enter("ada")
    ada.until(f"{state_of('Robert Metcalfe')} === 'offline'")
    bob = enter("bob")
    ada.until(f"{state_of('Robert Metcalfe')} === 'online'")
    assert ada.evaluate(state_of("Cleo Wade")) == "offline"
    bob.close()
    ada.until(f"{state_of('Robert Metcalfe')} === 'offline'")


def test_all_comes_back_with_the_servers_and_each_tab_is_its_own_user(
    enter: Enter, server: DefaultServer, app: Restartable
) -> None:
    ada, bob = enter("ada"), enter("bob")
    app.kill()
    say(ada, "bob", "Not lost")
    ada.see("alert", "", "The application cannot be reached.")
    server.kill()
    for page in (ada, bob):
        page.miss("status", "Connection", "Connected")
    server.start_again()
    for page in (ada, bob):
        page.see("status", "Connection", "No answer, trying again")
    app.start_again()
    for page, other in ((ada, "Robert Metcalfe"), (bob, "Ada Lovelace")):
        page.see("status", "Connection", "Connected")
        joined(page)
        page.until(f"{state_of(other)} === 'online'")
    bob.until(f"{state_of('private-for-ada')} === 'refused'")
    assert ada.value("textbox", "Text") == "Not lost"
    ada.click("button", "Say")
    bob.see("log", "Said", "Not lost · to you alone")


@pytest.mark.parametrize("form", [{}, {"to": "presence-room"}, {"to": "x", "text": "x"}, {"to": "bob", "text": " "}])
def test_what_is_wrong_is_said_to_nobody(app: Restartable, form: dict[str, str]) -> None:
    assert requests.post(f"{app.url}/say?user=ada", form, timeout=PATIENCE).status_code == 400
    assert requests.post(f"{app.url}/say?user=mallory", form, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system_in_light_and_dark(enter: Enter, dark: bool) -> None:
    page = enter("ada", PHONE, dark=dark)
    assert page.text_before("said") == "Nothing has been said yet."
    say(page, "presence-room", "x" * 200)
    page.see("log", "Said", "x" * 200)
    assert page.text_before("said") == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1]
    assert (sum(int(part) for part in colour.split(",")) < 200) == dark
    assert page.evaluate("document.documentElement.lang") == "en"


def test_everything_is_reached_by_the_keyboard(enter: Enter) -> None:
    page, reached = enter("ada"), set()
    for _ in range(4):
        page.press("Tab")
        reached.add(page.evaluate("(({ name, role, innerText }) => name || role || innerText)(document.activeElement)"))
    assert reached == {"log", "to", "text", "Say"}


def test_it_looks_like_its_picture(enter: Enter, tmp_path: Path) -> None:
    ada, bob = enter("ada"), enter("bob")
    bob.until(f"{state_of('Ada Lovelace')} === 'online'")
    ada.until(f"{state_of('Robert Metcalfe')} === 'online'")
    for page, to, text in (
        (ada, "presence-room", "Who signs for this room?"),
        (bob, "presence-room", "The application does. It knows who we are."),
        (ada, "private-encrypted-room", "And here not even the server can read along."),
        (ada, "bob", "This goes to you alone, wherever you are signed in."),
    ):
        say(page, to, text)
        bob.see("log", "Said", text)
    picture = (FOLDER if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    bob.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (FOLDER / "screenshot.png").exists(), "run `make screenshots`"
