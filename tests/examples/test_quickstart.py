"""The page of ``docs/quickstart.md``, with its ``app.py``, in two tabs of Chromium."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.javascript import FOLDER as CLIENTS
from tests.clients.programs import Launched, free_port
from tests.examples.apps import DefaultServer
from tests.examples.pages import DESKTOP, PHONE, Browser
from tests.test_docs import snippet

pytestmark = pytest.mark.timeout(120)

MAIN = """\
from socketserver import BaseServer

def serve(server, serve_forever=BaseServer.serve_forever):
    print("Serving", flush=True)
    serve_forever(server)

BaseServer.serve_forever = serve
import app
"""


@pytest.fixture(scope="module")
def server() -> Iterator[DefaultServer]:
    with DefaultServer() as server:
        yield server


@pytest.fixture
def url(server: DefaultServer, tmp_path: Path) -> Iterator[str]:
    """Return the URL of the quickstart's site."""
    port = str(free_port())
    for name, language in (("app.py", "python"), ("index.html", "html")):
        text = snippet("docs/quickstart.md", language).text
        (tmp_path / name).write_text(text.replace("6001", str(server.port)).replace("8000", port))
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")
    (tmp_path / "main.py").write_text(MAIN)
    with Launched(sys.executable, "main.py", ready="Serving", env={}, cwd=tmp_path):
        yield f"http://127.0.0.1:{port}"


def test_two_tabs_see_each_other_wave(browser: Browser, url: str) -> None:
    with browser.open(url) as one, browser.open(url) as other:
        for page in (one, other):
            page.until("document.getElementById('members').textContent === '2'")
        one.click("button", "Wave")
        other.see("list", "", "waves")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_and_is_legible(browser: Browser, url: str, size: tuple[int, int], dark: bool) -> None:
    with browser.open(url, size, dark=dark) as page:
        page.see("list", "", "connected")
        contrasts = page.contrasts()
        assert {"Wave", "connected"} <= set(contrasts)
        assert {text: contrast for text, contrast in contrasts.items() if contrast < 4.5} == {}
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
