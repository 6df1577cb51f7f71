"""``examples/auth-server``: what it signs, for whom, and the page that it shows."""

from typing import Any

import pytest
import requests

from tests.clients.javascript import Runtime
from tests.clients.publishers import PyPI
from tests.patience import PATIENCE

FORM = {"socket_id": "1.2", "channel_name": "private-room"}


def post(url: str, form: dict[str, str], **options: Any) -> requests.Response:
    return requests.post(url, form, timeout=PATIENCE, **options)


def test_the_page_shows_who_comes_and_goes_and_what_is_said(browser: Runtime, auth_server: str, pypi: PyPI) -> None:
    ada = browser.visit(f"{auth_server}/?user=ada")
    ada.wait_for_text("In the room: Ada Lovelace")
    bob = browser.visit(f"{auth_server}/?user=bob")
    ada.wait_for_text("In the room: Ada Lovelace, Robert Metcalfe")
    pypi.trigger("presence-room", "said", "Hello")
    bob.wait_for_text("Hello")
    bob.close()
    ada.wait_for_text("In the room: Ada Lovelace")
    ada.close()


@pytest.mark.parametrize(
    ("form", "user", "status"),
    [
        (FORM, "ada", 200),
        (FORM | {"channel_name": "private-for-ada"}, "ada", 200),
        (FORM | {"channel_name": "private-for-ada"}, "bob", 403),
        (FORM, "mallory", 403),
        (FORM | {"socket_id": "1.2:private-for-bob"}, "ada", 400),
        (FORM | {"channel_name": "private-room:{}"}, "ada", 400),
        ({}, "ada", 400),
        *(
            (FORM | {"channel_name": f"{kind}for-ada"}, user, status)
            for kind in ("private-encrypted-", "private-cache-", "private-encrypted-cache-", "presence-")
            for user, status in (("ada", 200), ("bob", 403))
        ),
    ],
)
def test_it_signs_for_those_who_may(auth_server: str, form: dict[str, str], user: str, status: int) -> None:
    assert post(f"{auth_server}/pusher/auth?user={user}", form).status_code == status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no part"),
        ("application/x-www-form-urlencoded; charset=nope", b"a=b"),
        ("application/x-www-form-urlencoded", b"\xff=\xff"),
    ],
)
def test_what_is_no_form_is_refused(auth_server: str, content_type: str, body: bytes) -> None:
    answer = requests.post(
        f"{auth_server}/pusher/auth?user=ada", body, headers={"Content-Type": content_type}, timeout=PATIENCE
    )
    assert answer.status_code in (400, 403)


def test_its_cookie_logs_in(auth_server: str) -> None:
    with requests.Session() as session:
        assert session.get(f"{auth_server}/?user=cleo", timeout=PATIENCE).status_code == 200
        signed = session.post(f"{auth_server}/pusher/user-auth", {"socket_id": "1.2"}, timeout=PATIENCE).json()
    assert '"id": "cleo"' in signed["user_data"]


def test_its_page_is_for_those_who_are_logged_in(auth_server: str) -> None:
    assert requests.get(auth_server, timeout=PATIENCE).status_code == 403
