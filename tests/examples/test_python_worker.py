"""``examples/python-worker``: jobs in separate processes; two tabs show the same progress."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients.programs import PATIENCE, free_port
from tests.examples.apps import EXAMPLES, DefaultServer, StartedModule
from tests.examples.bodies import post_slowly
from tests.examples.outages import Restartable
from tests.examples.pages import DESKTOP, PHONE, Browser, Page
from tests.patience import wait_until

FOLDER = EXAMPLES / "python-worker"
JOB: dict[str, Any] = {"name": "orders.csv", "rows": 100, "seconds": 1, "bad_row": 0}

Enter = Callable[..., Page]

pytestmark = [pytest.mark.timeout(600), pytest.mark.examples]


@pytest.fixture(scope="module")
def server() -> Iterator[DefaultServer]:
    with DefaultServer() as server:
        yield server


def launch(server: DefaultServer) -> StartedModule:
    return StartedModule(FOLDER, "jobs", ready="Running on", realtime_port=server.port, env={})


@pytest.fixture
def app(server: DefaultServer) -> Iterator[StartedModule]:
    with launch(server) as started:
        yield started


@pytest.fixture
def enter(browser: Browser, app: StartedModule) -> Iterator[Enter]:
    """Return a function that opens a tab."""
    with ExitStack() as stack:

        def enter(size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
            page = stack.enter_context(browser.open(app.url, size, dark=dark))
            page.see("status", "Connection", "Connected")
            return page

        yield enter


def start(page: Page, name: str, *, rows: int = 100, seconds: int = 1, bad_row: int = 0) -> None:
    page.fill("textbox", "File", name)
    for field, value in (("Rows", rows), ("Seconds", seconds), ("Bad row", bad_row)):
        page.fill("spinbutton", field, str(value))
    page.press("Enter")


def jobs_of(app: StartedModule) -> dict[str, dict[str, Any]]:
    """Return the jobs of the server by name."""
    jobs = requests.get(f"{app.url}/api/jobs", timeout=PATIENCE).json()
    return {job["name"]: job for job in jobs}


def states_of(app: StartedModule) -> dict[str, str]:
    """Return the states of the jobs of the server by name."""
    return {name: job["state"] for name, job in jobs_of(app).items()}


def processes_of(job: dict[str, Any]) -> list[int]:
    """Return the ids of the processes that have the job's id in their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # the process has just ended
        if job["id"].encode() in words:
            found.append(int(folder.name))
    return found


# In the browser


def test_two_tabs_see_a_job_from_its_start_to_its_end(enter: Enter) -> None:
    ada, bob = enter(), enter()
    start(ada, "<i>orders</i>.csv", rows=200, seconds=3)
    for page in (ada, bob):
        page.see("listitem", "<i>orders</i>.csv", "% · row")
    for page in (ada, bob):
        page.see("listitem", "<i>orders</i>.csv", "Done · 200 rows")
        page.see("status", "News", "<i>orders</i>.csv: done")
        assert page.count("list", "Jobs", "orders") == 1
    assert ada.evaluate("(([bar]) => bar.value / bar.max)(document.querySelectorAll('progress'))") == 1


def test_who_comes_late_sees_at_once_how_far_it_is(enter: Enter, app: StartedModule) -> None:
    ada = enter()
    start(ada, "slow.csv", rows=2, seconds=3600)
    ada.see("listitem", "slow.csv", "0% · row 0 of 2")
    (process,) = processes_of(jobs_of(app)["slow.csv"])
    os.kill(process, signal.SIGSTOP)  # the job sends no events any more: the page shows the cached one
    try:
        enter().see("listitem", "slow.csv", "0% · row 0 of 2")
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_failure_says_why(enter: Enter) -> None:
    ada, bob = enter(), enter()
    start(ada, "bad.csv", bad_row=7)
    for page in (ada, bob, enter()):
        page.see("listitem", "bad.csv", "Failed · Row 7 cannot be read.")


def test_a_job_is_cancelled_in_any_tab_and_its_worker_ends(enter: Enter, app: StartedModule) -> None:
    ada, bob = enter(), enter()
    start(ada, "slow.csv", rows=2, seconds=3600)
    ada.see("listitem", "slow.csv", "row 0 of 2")
    job = jobs_of(app)["slow.csv"]
    assert len(processes_of(job)) == 1
    bob.click("button", "Cancel slow.csv")
    for page in (ada, bob, enter()):
        page.see("listitem", "slow.csv", "Cancelled")
    wait_until(lambda: not processes_of(job))


def test_two_run_at_once_and_the_third_waits_for_its_turn(enter: Enter) -> None:
    ada, bob = enter(), enter()
    for name in ("one.csv", "two.csv", "three.csv", "four.csv"):
        start(ada, name, rows=2, seconds=3600)
        bob.see("listitem", name, name)
    for name in ("one.csv", "two.csv"):
        bob.see("listitem", name, "row 0 of 2")
    for name in ("three.csv", "four.csv"):
        bob.see("listitem", name, "Waiting for its turn")
    bob.click("button", "Cancel three.csv")
    ada.see("listitem", "three.csv", "Cancelled")
    bob.click("button", "Cancel one.csv")
    ada.see("listitem", "four.csv", "row 0 of 2")


def test_a_worker_that_is_killed_has_failed(enter: Enter, app: StartedModule) -> None:
    ada = enter()
    start(ada, "slow.csv", rows=2, seconds=3600)
    ada.see("listitem", "slow.csv", "row 0 of 2")
    (process,) = processes_of(jobs_of(app)["slow.csv"])
    os.kill(process, signal.SIGKILL)
    ada.see("listitem", "slow.csv", "Failed · The worker ended with -9.")


def test_jobs_go_on_while_the_realtime_server_is_away(enter: Enter, app: StartedModule, server: DefaultServer) -> None:
    ada = enter()
    start(ada, "long.csv", rows=2, seconds=3600)
    start(ada, "short.csv", rows=200, seconds=4)
    ada.see("listitem", "long.csv", "row 0 of 2")
    ada.see("listitem", "short.csv", "% · row")
    server.kill()
    ada.miss("status", "Connection", "Connected")
    start(ada, "meanwhile.csv")
    wait_until(lambda: states_of(app).items() >= {"short.csv": "done", "meanwhile.csv": "done"}.items())
    server.start_again()
    ada.see("status", "Connection", "Connected")
    cleo = enter()
    for page in (ada, cleo):
        page.see("listitem", "short.csv", "Done · 200 rows")
        page.see("listitem", "meanwhile.csv", "Done · 100 rows")
        page.see("listitem", "long.csv", "row 0 of 2")
    cleo.click("button", "Cancel long.csv")
    ada.see("listitem", "long.csv", "Cancelled")


def test_progress_that_is_made_while_the_realtime_server_is_away_is_right_afterwards(
    enter: Enter, server: DefaultServer
) -> None:
    ada = enter()
    start(ada, "orders.csv", rows=400, seconds=20)
    ada.see("listitem", "orders.csv", "% · row")
    server.kill()
    ada.miss("status", "Connection", "Connected")
    before = row_of(ada)
    server.start_again()
    wait_until(lambda: row_of(ada) > before)
    late = enter()
    wait_until(lambda: row_of(late) >= row_of(ada) > before)
    ada.see("listitem", "orders.csv", "Done · 400 rows")
    late.see("listitem", "orders.csv", "Done · 400 rows")


@pytest.fixture
def restartable(server: DefaultServer) -> Iterator[Restartable]:
    """Start an application that the test may stop."""
    with Restartable(lambda: launch(server)) as app:
        yield app


def test_the_jobs_of_a_server_that_was_started_anew_go_from_every_page(
    browser: Browser, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada, browser.open(restartable.url) as bob:
        for page in (ada, bob):
            page.see("status", "Connection", "Connected")
        start(ada, "ghost.csv", rows=2, seconds=3600)
        bob.see("listitem", "ghost.csv", "row 0 of 2")
        restartable.kill()
        restartable.start_again()
        for page in (ada, bob):
            page.miss("list", "Jobs", "ghost.csv")
        start(ada, "orders.csv")
        bob.see("listitem", "orders.csv", "Done · 100 rows")


def test_a_page_asks_until_a_server_that_was_started_anew_can_be_reached(
    browser: Browser, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada:
        ada.see("status", "Connection", "Connected")
        start(ada, "ghost.csv", rows=2, seconds=3600)
        ada.see("listitem", "ghost.csv", "row 0 of 2")
        restartable.kill()
        restartable.network.cut()
        restartable.start_again()
        ada.until("document.querySelector('#start [role=alert]').textContent !== ''")
        restartable.network.mend()
        ada.miss("list", "Jobs", "ghost.csv")


def test_a_job_that_is_not_there_any_more_goes_when_it_is_cancelled(
    browser: Browser, server: DefaultServer, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada:
        ada.see("status", "Connection", "Connected")
        start(ada, "ghost.csv", rows=2, seconds=3600)
        ada.see("listitem", "ghost.csv", "row 0 of 2")
        server.kill()
        restartable.kill()
        restartable.start_again()
        ada.click("button", "Cancel ghost.csv")
        ada.miss("list", "Jobs", "ghost.csv")
        assert ada.evaluate("document.querySelector('#start [role=alert]').textContent") == ""
        server.start_again()


def test_a_page_that_could_not_be_signed_for_sees_jobs_once_the_application_is_back(
    browser: Browser, server: DefaultServer, restartable: Restartable
) -> None:
    with browser.open(restartable.url) as ada, browser.open(restartable.url) as bob:
        for page in (ada, bob):
            page.see("status", "Connection", "Connected")
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
        start(ada, "orders.csv")
        bob.see("listitem", "orders.csv", "Done · 100 rows")


def row_of(page: Page) -> int:
    row: int = page.evaluate("document.querySelector('progress')?.value ?? 0")
    return row


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_no_worker_outlives_the_server(server: DefaultServer, kill: bool) -> None:
    with launch(server) as app:
        requests.post(f"{app.url}/api/jobs", json=JOB | {"seconds": 3600}, timeout=PATIENCE)
        job = jobs_of(app)["orders.csv"]
        wait_until(lambda: processes_of(job))
        app.end(kill)
        wait_until(lambda: not processes_of(job))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system_in_light_and_dark(enter: Enter, dark: bool) -> None:
    page = enter(PHONE, dark=dark)
    start(page, "x" * 80)
    page.see("listitem", "x" * 80, "Done")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1]
    assert (sum(int(part) for part in colour.split(",")) < 200) == dark


def test_everything_is_reached_by_the_keyboard(enter: Enter) -> None:
    page, reached = enter(), set()
    start(page, "slow.csv", rows=2, seconds=3600)
    page.see("listitem", "slow.csv", "row 0 of 2")
    page.evaluate("document.activeElement.blur()")
    for _ in range(8):
        page.press("Tab")
        reached.add(
            page.evaluate(
                "(({ name, ariaLabel, innerText }) => name || ariaLabel || innerText)(document.activeElement)"
            )
        )
    assert {"name", "rows", "seconds", "bad_row", "Import", "Cancel slow.csv"} <= reached


def test_it_looks_like_its_picture(enter: Enter, tmp_path: Path) -> None:
    page = enter()
    start(page, "customers.csv", rows=1200)
    page.see("listitem", "customers.csv", "Done")
    start(page, "prices.csv", rows=900, bad_row=612)
    page.see("listitem", "prices.csv", "Failed")
    start(page, "orders.csv", rows=5000, seconds=10)
    start(page, "invoices.csv", rows=800, seconds=20)
    start(page, "returns.csv", rows=300, seconds=20)
    start(page, "archive.csv", rows=90_000, seconds=600)
    page.see("listitem", "archive.csv", "Waiting for its turn")
    page.click("button", "Cancel returns.csv")
    page.see("listitem", "orders.csv", "4")
    wait_until(lambda: page.evaluate("[...document.querySelectorAll('progress')].some((bar) => bar.value > 2000)"))
    picture = (FOLDER if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path) / "screenshot.png"
    page.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (FOLDER / "screenshot.png").exists(), "run `make screenshots`"


# The routes


@pytest.fixture(scope="module")
def routes(server: DefaultServer) -> Iterator[str]:
    """Return the URL of an application that refuses every request."""
    with launch(server) as started:
        yield started.url


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        "\xff",
        "[" * 10_000,
        *(
            json.dumps(JOB | wrong)
            for wrong in (
                {"name": " "},
                {"name": 7},
                {"name": "x" * 81},
                {"name": "a\nb"},
                {"name": "\ud800"},
                {"rows": 0},
                {"rows": 1_000_001},
                {"rows": "7"},
                {"rows": True},
                {"rows": 1.5},
                {"seconds": 0},
                {"seconds": 3601},
                {"seconds": float("nan")},
                {"bad_row": -1},
                {"bad_row": 101},
                {"bad_row": None},
            )
        ),
    ],
)
def test_a_job_that_is_wrong_is_not_started(routes: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{routes}/api/jobs", body.encode("latin-1"), headers=headers, timeout=PATIENCE)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert requests.get(f"{routes}/api/jobs", timeout=PATIENCE).json() == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_starts_no_job(routes: str, kind: str) -> None:
    headers = {"Content-Type": kind}
    assert requests.post(f"{routes}/api/jobs", json.dumps(JOB), headers=headers, timeout=PATIENCE).status_code == 400


def test_what_is_too_long_or_not_there_is_refused(routes: str) -> None:
    assert requests.post(f"{routes}/api/jobs", json={"name": "x" * 20_000}, timeout=PATIENCE).status_code == 413
    assert requests.delete(f"{routes}/api/jobs/none", timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize(
    ("form", "kind", "status"),
    [
        ("socket_id=1.2&channel_name=private-jobs", "", 200),
        ("socket_id=1.2&channel_name=private-cache-progress-none", "", 403),
        ("socket_id=1.2&channel_name=private-cache-progress-", "", 403),
        ("socket_id=1.2&channel_name=private-other", "", 403),
        ("socket_id=1.2:x&channel_name=private-jobs", "", 400),
        ("channel_name=private-jobs", "", 400),
        ("", "", 403),
        ("socket_id=1.2&channel_name=private-jobs", "; charset=none", 400),
        ("channel_name=%ff", "", 403),
    ],
)
def test_it_signs_for_its_channels_alone(routes: str, form: str, kind: str, status: int) -> None:
    headers = {"Content-Type": f"application/x-www-form-urlencoded{kind}"}
    answer = requests.post(f"{routes}/api/pusher/auth", form, headers=headers, timeout=PATIENCE)
    assert answer.status_code == status


def test_the_queue_is_bounded(app: StartedModule) -> None:
    jobs = [JOB | {"name": f"{n}.csv", "seconds": 3600} for n in range(25)]
    statuses = [requests.post(f"{app.url}/api/jobs", json=job, timeout=PATIENCE).status_code for job in jobs]
    assert statuses == [201] * 22 + [429] * 3


def test_what_has_ended_is_forgotten_at_last(app: StartedModule) -> None:
    for n in range(60):
        job = requests.post(f"{app.url}/api/jobs", json=JOB | {"name": f"{n}.csv"}, timeout=PATIENCE).json()
        cancelled = requests.delete(f"{app.url}/api/jobs/{job['id']}", timeout=PATIENCE)
        assert cancelled.json()["state"] == "cancelled"
        assert requests.delete(f"{app.url}/api/jobs/{job['id']}", timeout=PATIENCE).status_code == 200
    assert list(jobs_of(app)) == [f"{n}.csv" for n in range(10, 60)]


def test_the_secret_does_not_leave_the_server(routes: str) -> None:
    for path in ("/", "/pusher.js", "/api/settings"):
        answer = requests.get(routes + path, timeout=PATIENCE)
        assert answer.status_code == 200
        assert "app-secret" not in answer.text


# Slow and oversized requests


def test_a_realtime_server_that_hangs_does_not_hold_up_the_page() -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=100) as hanging,
        StartedModule(FOLDER, "jobs", ready="Running on", realtime_port=hanging.getsockname()[1], env={}) as app,
    ):
        for n in range(22):
            job = JOB | {"name": f"{n}.csv", "seconds": 3600}
            assert requests.post(f"{app.url}/api/jobs", json=job, timeout=PATIENCE).status_code == 201
        assert requests.get(app.url, timeout=PATIENCE / 2).status_code == 200  # the states of 22 jobs take 44 s


def test_a_failed_trigger_is_logged_without_the_signed_url() -> None:
    with StartedModule(FOLDER, "jobs", ready="Running on", realtime_port=free_port(), env={}) as app:
        requests.post(f"{app.url}/api/jobs", json=JOB, timeout=PATIENCE)
        wait_until(lambda: states_of(app).get("orders.csv") == "done")
        output = app.end_and_read()
    assert "ConnectionError" in output
    assert "auth_" not in output


def test_a_body_in_an_encoding_that_is_none_is_refused(routes: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert requests.post(f"{routes}/api/jobs", b"no gzip", headers=headers, timeout=PATIENCE).status_code == 400
    part = b"Content-Transfer-Encoding: nope\r\nContent-Disposition: form-data; name=socket_id"
    form, headers = b"--b\r\n" + part + b"\r\n\r\nx\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}
    assert requests.post(f"{routes}/api/pusher/auth", form, headers=headers, timeout=PATIENCE).status_code == 400


def test_a_body_that_does_not_come_is_not_waited_for_long(routes: str) -> None:
    assert post_slowly(f"{routes}/api/jobs", Content_Type="application/json") == 408
