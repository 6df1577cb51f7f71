"""The chat and the realtime server behind nginx and Caddy, with TLS and the files of ``examples/nextjs-chat/proxy``."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.clients.programs import PATIENCE, Launched, free_port
from tests.examples.apps import NEXTJS, DefaultServer, Started, server_of
from tests.examples.pages import Browser, Page
from tests.examples.test_chats import say
from tests.patience import PAUSE, attempts
from tests.proxies import run_caddy, run_nginx

FILES = NEXTJS.folder / "proxy"

Proxy = Callable[[Path, int, dict[str, str]], Launched]

pytestmark = [pytest.mark.examples, pytest.mark.timeout(600)]


def filled(name: str, changes: dict[str, str]) -> str:
    """Return a file of the example with other addresses, after a check that it has each original address."""
    text = (FILES / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} does not say {old}"
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, upstreams: dict[str, str]) -> Launched:
    certificate, key = Authority("An authority").issue(folder)
    changes = upstreams | {
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "/etc/ssl/chat/fullchain.pem": certificate,
        "/etc/ssl/chat/privkey.pem": key,
    }
    return run_nginx(folder, filled("nginx.conf", changes))


def caddy(folder: Path, port: int, upstreams: dict[str, str]) -> Launched:
    text = filled("Caddyfile", upstreams | {"chat.example.com {": f"https://localhost:{port} {{\n\tbind 127.0.0.1"})
    return run_caddy(folder, text, "auto_https disable_redirects", "local_certs")


def enter(browser: Browser, url: str, name: str) -> Page:
    page = browser.open(url)
    page.fill("textbox", "Your name", name)
    page.press("Enter")
    page.see("status", "Connection", "Connected")
    return page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefaultServer]:
    """Start the realtime server of the README."""
    with server_of(NEXTJS, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_message_crosses_over_tls(browser: Browser, server: DefaultServer, tmp_path: Path, proxy: Proxy) -> None:
    port = free_port()
    NEXTJS.build({"NEXT_PUBLIC_PUSHER_PORT": str(port)})
    with Started(NEXTJS, NEXTJS.env(server.port)) as app:
        upstreams = {"127.0.0.1:3000": app.url.removeprefix("http://"), "127.0.0.1:6001": f"127.0.0.1:{server.port}"}
        with (
            proxy(tmp_path, port, upstreams),
            enter(browser, f"https://localhost:{port}", "Ada") as ada,
            enter(browser, f"https://localhost:{port}", "Bob") as bob,
        ):
            assert ada.evaluate("location.protocol") == "https:"
            say(ada, "lobby", "Over TLS")
            bob.see("log", "Messages in lobby", "Over TLS")
            server.kill()
            ada.miss("status", "Connection", "Connected")
            say(ada, "lobby", "Said meanwhile")
            server.start_again()
            bob.see("log", "Messages in lobby", "Said meanwhile")


class Taker(BaseHTTPRequestHandler):
    """A server that accepts a body of any size."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def taker() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(port: int, size: int) -> int:
    """Send a body of this size when the proxy has its certificate, and return the status."""
    for _ in attempts():
        connection = HTTPSConnection("localhost", port, timeout=PATIENCE, context=ssl._create_unverified_context())
        try:
            connection.request("POST", "/", b"x" * size)
            return connection.getresponse().status
        except ssl.SSLError:
            time.sleep(PAUSE)
        finally:
            connection.close()
    raise AssertionError


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_no_large_body_is_passed_on(taker: ThreadingHTTPServer, tmp_path: Path, proxy: Proxy) -> None:
    upstreams = {"127.0.0.1:3000": f"127.0.0.1:{taker.server_port}", "127.0.0.1:6001": f"127.0.0.1:{free_port()}"}
    port = free_port()
    with proxy(tmp_path, port, upstreams):
        assert post(port, 1000) == 200
        assert post(port, 100_000) in {413, 502}
