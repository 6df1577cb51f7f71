"""``examples/live-cursors``: cursors and a text that tabs of Chromium share with client events only."""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from tests.clients.programs import PATIENCE
from tests.examples.apps import DefaultServer, Example, Started, node
from tests.examples.bodies import post_slowly
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page

CURSORS = Example("live-cursors", start=("server.mjs",), ready="Ready at", prefix="PUBLIC_")

Enter = Callable[..., Page]

pytestmark = [pytest.mark.examples, pytest.mark.timeout(300)]

TEXT = ("textbox", "Shared text")


@pytest.fixture(scope="module")
def app(server: DefaultServer) -> Iterator[Started]:
    """Build the example with ``npm run build`` and start it with ``npm start``."""
    env = CURSORS.env(server.port)
    CURSORS.build(env)
    with Started(CURSORS, env) as started:
        yield started


@pytest.fixture
def board(request: pytest.FixtureRequest) -> str:
    """Return the name of a board that only this test uses."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-40:]


@pytest.fixture
def enter(browser: Browser, app: Started, board: str) -> Iterator[Enter]:
    """Return a function that opens a tab for a user who has joined the board."""
    with ExitStack() as stack:

        def enter(name: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
            page = stack.enter_context(browser.open(f"{app.url}/?board={board}", size, dark=dark))
            join(page, name)
            return page

        yield enter


def join(page: Page, name: str) -> None:
    page.fill("textbox", "Your name", name)
    page.press("Enter")
    page.see("status", "Connection", "Connected")
    page.see("list", "Who is here", f"{name} (you)")


def same(*pages: Page) -> str:
    """Return the text of the pages, after a check that all have the same."""
    values = {page.value(*TEXT) for page in pages}
    assert len(values) == 1
    return values.pop()


def test_a_cursor_is_seen_moves_and_goes_with_its_owner(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob", PHONE)
    bob.see("list", "Who is here", "Ada")
    left, top, width, height = ada.evaluate(
        "(({ left, top, width, height }) => [left, top, width, height])"
        "(document.getElementById('surface').getBoundingClientRect())"
    )
    for x, y in ((0.25, 0.5), (0.75, 0.125)):
        ada.move(left + x * width, top + y * height)
        bob.see("group", "Cursors", "Ada")
        # The tip of the arrow, relative to the corner of its name.
        bob.until(
            "(() => { const name = document.querySelector('.cursor').getBoundingClientRect();"
            "const style = getComputedStyle(document.querySelector('.cursor'));"
            "const all = document.getElementById('surface').getBoundingClientRect();"
            f"return Math.abs(name.left - parseFloat(style.marginLeft) - all.left - {x} * all.width) < 2"
            f" && Math.abs(name.top - parseFloat(style.marginTop) - all.top - {y} * all.height) < 2 }})()"
        )
    cleo = enter("Cleo")
    cleo.see("group", "Cursors", "Ada")
    ada.move(left + width / 2, 5)
    for page in (bob, cleo):
        page.miss("group", "Cursors", "Ada")
    ada.move(left + width / 2, top + height / 2)
    bob.see("group", "Cursors", "Ada")
    ada.close()
    bob.miss("group", "Cursors", "Ada")
    bob.miss("list", "Who is here", "Ada")


def test_a_name_is_proposed(browser: Browser, app: Started) -> None:
    with browser.open(app.url) as page:
        assert page.value("textbox", "Your name")
        page.click("button", "Join")
        page.see("list", "Who is here", "(you)")


def test_what_two_type_at_once_merges_and_a_newcomer_sees_it(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.see("list", "Who is here", "Bob")
    ada.fill(*TEXT, "the middle")
    bob.hold(*TEXT, "the middle")
    ada.press("Control+Home")
    bob.press("Control+End")
    for letter in "abcdefgh":
        ada.press(letter)
        bob.press(letter.upper())
    for page in (ada, bob):
        page.hold(*TEXT, "abcdefghthe middleABCDEFGH")
    cleo = enter("Cleo")
    cleo.hold(*TEXT, "abcdefghthe middleABCDEFGH")
    cleo.press("Control+End")
    cleo.type(*TEXT, "!")
    for page in (ada, bob):
        page.hold(*TEXT, "ABCDEFGH!")
    assert same(ada, bob, cleo) == "abcdefghthe middleABCDEFGH!"


def test_the_selection_stays_and_undo_takes_back_ones_own_typing_alone(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    bob.see("list", "Who is here", "Ada")
    bob.type(*TEXT, "one two three")
    ada.hold(*TEXT, "one two three")
    ada.evaluate("document.getElementById('text').setSelectionRange(4, 7)")
    bob.press("Control+Home")
    bob.type(*TEXT, "zero ")
    ada.hold(*TEXT, "zero one")
    selected = "(({ value, selectionStart, selectionEnd }) => value.slice(selectionStart, selectionEnd))"
    assert ada.evaluate(f"{selected}(document.getElementById('text'))") == "two"
    ada.press("2")
    bob.hold(*TEXT, "zero one 2 three")
    ada.press("Control+z")
    bob.hold(*TEXT, "zero one two three")
    ada.press("Control+z")
    ada.press("Control+Shift+z")
    bob.hold(*TEXT, "zero one 2 three")
    assert same(ada, bob) == "zero one 2 three"


def test_surrogate_pairs_stay_whole(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.see("list", "Who is here", "Bob")
    for text in ("\U0001f600", "\U0001f601", "\U0001f600\U0001f601", "\U0001f5ff\U0001f601", "\U0001f601"):
        ada.fill(*TEXT, text)
        bob.until(f"document.getElementById('text').value === {json.dumps(text)}")


def test_edits_made_while_the_server_is_down_merge_when_it_is_back(enter: Enter, server: DefaultServer) -> None:
    ada, bob, cleo = enter("Ada"), enter("Bob"), enter("Cleo")
    ada.type(*TEXT, "before")
    bob.hold(*TEXT, "before")
    cleo.hold(*TEXT, "before")
    server.kill()
    for page, key in ((ada, "Control+Home"), (bob, "Control+End")):
        page.miss("status", "Connection", "Connected")
        page.press(key)
    ada.press("Delete")
    ada.type(*TEXT, "Ada, B")
    bob.evaluate("document.getElementById('text').setSelectionRange(99, 99)")
    bob.type(*TEXT, " and Bob")
    server.start_again()
    for page in (ada, bob, cleo):
        page.see("status", "Connection", "Connected")
        page.hold(*TEXT, "Ada, Before")
        page.hold(*TEXT, "efore and Bob")
        page.see("list", "Who is here", "Cleo")
    assert same(ada, bob, cleo) == "Ada, Before and Bob"


def test_a_board_that_could_not_be_signed_for_is_joined_once_the_application_is_back(
    browser: Browser, app: Started, server: DefaultServer, board: str
) -> None:
    with (
        Restartable(lambda: Started(CURSORS, CURSORS.env(server.port))) as restartable,
        browser.open(f"{restartable.url}/?board={board}") as ada,
        browser.open(f"{restartable.url}/?board={board}") as bob,
    ):
        join(ada, "Ada")
        join(bob, "Bob")
        restartable.kill()
        server.kill()
        for page in (ada, bob):
            page.miss("status", "Connection", "Connected")
        ada.type(*TEXT, "Ada, ")
        bob.type(*TEXT, "Bob, ")
        server.start_again()
        for page in (ada, bob):
            page.see("status", "Connection", "No answer, trying again: keep typing")
        restartable.start_again()
        for page in (ada, bob):
            page.see("status", "Connection", "Connected")
            page.hold(*TEXT, "Ada, ")
            page.hold(*TEXT, "Bob, ")
        assert len(same(ada, bob)) == 10


def test_a_board_that_is_none_is_refused(browser: Browser, app: Started) -> None:
    with browser.open(f"{app.url}/?board=no%20board") as page:
        page.click("button", "Join")
        page.see("alert", "", "The server does not let you join this board.")


def test_a_name_at_the_edge_is_seen_whole(enter: Enter) -> None:
    ada, bob = enter("Ada, Countess of Lovelace"), enter("Bob", PHONE)
    bob.see("list", "Who is here", "Ada, Countess of Lovelace")
    right, top = ada.evaluate(
        "(({ right, top }) => [right, top])(document.getElementById('surface').getBoundingClientRect())"
    )
    ada.move(right - 5, top + 50)
    bob.see("group", "Cursors", "Ada, Countess of Lovelace")
    bob.until(
        "(() => { const name = document.querySelector('.cursor'), { right } = name.getBoundingClientRect();"
        "const all = document.getElementById('surface').getBoundingClientRect();"
        "const arrow = name.getBoundingClientRect().left + parseFloat(getComputedStyle(name, '::before').left);"
        "return right <= all.right && arrow > all.right - 10 && arrow <= all.right })()"
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_name_can_be_read_on_every_colour(enter: Enter, dark: bool) -> None:
    ada = enter("Ada", dark=dark)
    contrasts = """(() => {
      const item = document.querySelector("#members li");
      const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      const luminance = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255)
          .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      return Array.from({ length: 360 }, (_, hue) => {
        item.style.setProperty("--hue", hue);
        const { color, backgroundColor } = getComputedStyle(item);
        const [dark, light] = [luminance(color), luminance(backgroundColor)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
      });
    })()"""
    assert min(ada.evaluate(contrasts)) >= 4.5  # the minimum of WCAG 2, level AA


def test_a_large_text_arrives_in_parts_also_where_their_beginning_is_missed(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.see("list", "Who is here", "Bob")
    large = "".join(f"{line:04} Grüße an alle! " * 50 + "\n" for line in range(60))
    ada.fill(*TEXT, large)
    cleo = enter("Cleo")
    for page in (bob, cleo):
        page.hold(*TEXT, "0059 Grüße an alle! \n")
    bob.press("Control+End")
    bob.type(*TEXT, "?")
    for page in (ada, cleo):
        page.hold(*TEXT, "?")
    assert same(ada, bob, cleo) == f"{large}?"


def test_what_a_server_with_a_limit_refuses_arrives_later(browser: Browser) -> None:
    with DefaultServer({"SOKETPY_APP_MAX_CLIENT_EVENTS_PER_SECOND": "5"}) as server, ExitStack() as stack:
        app = stack.enter_context(Started(CURSORS, CURSORS.env(server.port)))
        ada, bob = (stack.enter_context(browser.open(app.url)) for _ in range(2))
        for page, name in ((ada, "Ada"), (bob, "Bob")):
            join(page, name)
        ada.see("list", "Who is here", "Bob")
        ada.fill(*TEXT, "x" * 50_000 + "!")
        ada.see("alert", "", "5 client events a second")
        bob.hold(*TEXT, "xx!")
        assert len(same(ada, bob)) == 50_001


def allow(app: Started, **fields: str) -> requests.Response:
    return requests.post(f"{app.url}/api/pusher/auth", fields, timeout=PATIENCE)


@contextmanager
def joined(server: DefaultServer, app: Started, channel: str) -> Iterator[tuple[ClientConnection, list[str]]]:
    """Join a board without a browser. Return the client and the ids of all members."""
    with connect(f"ws://127.0.0.1:{server.port}/app/app-key?protocol=7") as socket:
        socket_id = json.loads(json.loads(socket.recv(PATIENCE))["data"])["socket_id"]
        signed = allow(app, name="Mallory", channel_name=channel, socket_id=socket_id).json()
        socket.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel, **signed}}))
        yield socket, json.loads(json.loads(socket.recv(PATIENCE))["data"])["presence"]["ids"]


def test_what_other_browsers_make_up_is_ignored(enter: Enter, server: DefaultServer, app: Started, board: str) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    ada.type(*TEXT, "good")
    bob.hold(*TEXT, "good")
    for page in (ada, bob):
        page.evaluate("window.faults = []; window.addEventListener('error', (event) => faults.push(event.message))")
    whole = {"update": 1, "part": 0, "parts": 1}
    noise = [base64.b64encode(bytes([seed * step % 256 for step in range(40)])).decode() for seed in range(1, 40)]
    # An update by the client 7, in the first version of Yjs's encoding: it embeds an object in the root type "text".
    embed = base64.b64encode(b"\x01\x01\x07\x00\x05\x01\x04text\x02{}\x00").decode()
    updates: list[object] = [
        None,
        "text",
        [],
        {},
        whole,
        *({**whole, "data": data} for data in (None, 7, "%", "A", "x" * 9999, embed, *noise)),
        {"update": 1, "part": 1, "parts": 2, "data": "AAAA"},
        {"update": 1, "part": -1, "parts": 2, "data": "AAAA"},
        {"update": 1, "part": 0, "parts": 1e9, "data": "AAAA"},
        {"update": "1", "part": 0.5, "parts": 1, "data": "AAAA"},
    ]
    channel = f"presence-board-{board}"
    with joined(server, app, channel) as (mallory, members):
        ada.see("list", "Who is here", "Mallory")

        def say(event: str, data: object) -> None:
            mallory.send(json.dumps({"event": event, "channel": channel, "data": data}))

        for update in updates:
            say("client-update", update)
        for sync in (None, {}, {"to": 7}, *({"to": to, "vector": data} for to in members for data in ("%", *noise))):
            say("client-sync", sync)
        say("client-cursor", {"x": 0.5, "y": 0.5})
        bob.see("group", "Cursors", "Mallory")
        for place in (None, "connected", {"x": "0", "y": 0}, {"x": -1, "y": 0}, {"x": 1.5, "y": 0}):
            say("client-cursor", {"x": 0.5, "y": 0.5})
            say("client-cursor", place)
        ada.miss("group", "Cursors", "Mallory")
        ada.type(*TEXT, " and sound")
        bob.hold(*TEXT, "good and sound")
    assert same(ada, bob) == "good and sound"
    for page in (ada, bob):
        assert page.evaluate("faults") == []


BOARD = "presence-board-main"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "Ada", "channel_name": BOARD, "socket_id": "1.2"}, 200),
        ({"name": "x" * 41, "channel_name": BOARD, "socket_id": "1.2"}, 400),
        ({"name": " ", "channel_name": BOARD, "socket_id": "1.2"}, 400),
        ({"channel_name": BOARD, "socket_id": "1.2"}, 400),
        ({"name": "Ada", "channel_name": BOARD, "socket_id": "1.2:presence-x"}, 400),
        ({"name": "Ada", "channel_name": BOARD}, 400),
        ({"name": "Ada", "channel_name": "presence-room-lobby", "socket_id": "1.2"}, 403),
        ({"name": "Ada", "channel_name": "private-board-main", "socket_id": "1.2"}, 403),
        ({"name": "Ada", "channel_name": BOARD, "socket_id": "1.2", "more": "x" * 5000}, 413),
        ({}, 400),
    ],
)
def test_it_signs_for_boards_alone(app: Started, fields: dict[str, str], status: int) -> None:
    assert allow(app, **fields).status_code == status


@pytest.mark.parametrize("path", ["/server.mjs", "/../server.mjs", "/package.json", "/%2e%2e/server.mjs", "/%"])
def test_it_serves_its_page_alone(app: Started, path: str) -> None:
    assert requests.get(f"{app.url}{path}", timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system_in_light_and_dark(enter: Enter, dark: bool) -> None:
    page = enter("Ada", PHONE, dark=dark)
    page.fill(*TEXT, "x" * 500)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    red, green, blue = (
        int(part) for part in page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(",")
    )
    assert (red + green + blue < 200) == dark


def test_it_looks_like_its_picture(enter: Enter, tmp_path: Path) -> None:
    ada, bob, cleo = enter("Ada Lovelace"), enter("Robert Metcalfe"), enter("Cleo Wade")
    ada.see("list", "Who is here", "Cleo Wade")
    ada.type(*TEXT, "Agenda for Thursday\n\n")
    cleo.hold(*TEXT, "Thursday")
    ada.type(*TEXT, "1. What the outage taught us\n2. Who is on call in May\n")
    bob.hold(*TEXT, "in May")
    bob.press("Control+End")
    bob.type(*TEXT, "3. The demo: I bring the second laptop\n")
    cleo.hold(*TEXT, "second laptop")
    cleo.press("Control+End")
    cleo.type(*TEXT, "4. Lunch")
    for page, name, place in ((bob, "Robert Metcalfe", (430, 300)), (cleo, "Cleo Wade", (170, 340))):
        page.move(*place)
        ada.see("group", "Cursors", name)
    ada.hold(*TEXT, "4. Lunch")
    ada.until("document.getAnimations().every(({ playState }) => playState === 'finished')")
    picture = (CURSORS.folder if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    ada.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (CURSORS.folder / "screenshot.png").exists(), "run `make screenshots`"


# Attacks of one member on the others


Provided = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def provided() -> Provided:
    """Run a case of provider.mjs and return its result."""
    CURSORS.install()

    def run(case: str) -> dict[str, Any]:
        script = str(Path(__file__).with_name("provider.mjs"))
        done = subprocess.run([node(), script, case], capture_output=True, check=True, timeout=PATIENCE)
        outcome: dict[str, Any] = json.loads(done.stdout)
        return outcome

    return run


def test_nobody_fills_the_document_with_what_is_not_seen(provided: Provided) -> None:
    outcome = provided("unseen")
    assert outcome["text"] in ("and good", "goodand ")  # the member with the lower id is the first
    assert outcome["size"] < 100


def test_nobody_fills_the_document_with_what_builds_on_something_unknown(provided: Provided) -> None:
    outcome = provided("gaps")
    assert outcome["size"] < 100
    assert outcome["pending"] is None


def test_a_newcomer_gets_what_came_before_it_knew_what_that_builds_on(provided: Provided) -> None:
    assert provided("early") == {"text": "The plan of today"}


def test_one_answer_waits_however_often_a_member_is_asked(provided: Provided) -> None:
    outcome = provided("flood")
    assert outcome["grown"] < 20_000_000  # bytes; 3,000 answers are 300 MB
    assert outcome["atOnce"] <= 1
    assert outcome["asked"] <= 2


def test_both_pages_are_told_of_a_document_that_is_too_large(provided: Provided) -> None:
    assert provided("large") == {}


def test_a_member_who_sends_what_cannot_be_joined_keeps_a_newcomer_from_nobody_else(provided: Provided) -> None:
    assert provided("distraction") == {}


def test_a_newcomer_sees_the_text_after_somebody_has_sent_two_megabytes_unseen(
    enter: Enter, server: DefaultServer, app: Started, board: str
) -> None:
    ada = enter("Ada")
    ada.fill(*TEXT, "The plan of today")
    channel = f"presence-board-{board}"
    with joined(server, app, channel) as (mallory, _):
        for client in (7, 8):
            # An update by one client: 1.1 MB of text in the root type "hidden".
            size = 1_100_000
            length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
            update = b"\x01\x01" + bytes([client]) + b"\x00\x04\x01\x06hidden" + length + b"x" * size + b"\x00"
            pieces = [update[start : start + 7000] for start in range(0, len(update), 7000)]
            for part, piece in enumerate(pieces):
                data = {"update": client, "part": part, "parts": len(pieces), "data": base64.b64encode(piece).decode()}
                mallory.send(json.dumps({"event": "client-update", "channel": channel, "data": data}))
        mallory.send(json.dumps({"event": "client-cursor", "channel": channel, "data": {"x": 0.5, "y": 0.5}}))
        ada.see("group", "Cursors", "Mallory")  # all earlier events have arrived
    enter("Bob").hold(*TEXT, "The plan of today")


def test_a_form_that_is_too_long_or_without_a_length_is_not_read(app: Started) -> None:
    url = f"{app.url}/api/pusher/auth"
    assert post_slowly(url, Content_Length="4097") == 413
    chunks = (b"x" for _ in range(1))
    assert requests.post(url, chunks, timeout=PATIENCE).status_code == 413
    assert allow(app, name="x" * 5000).status_code == 413


def test_a_form_that_does_not_come_is_not_waited_for_long(app: Started) -> None:
    assert post_slowly(f"{app.url}/api/pusher/auth") == 408
