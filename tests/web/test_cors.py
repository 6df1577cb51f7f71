"""The CORS headers of all answers, also of errors and health checks."""

from dataclasses import replace

import pytest

from soketpy import App, Key
from soketpy.config.settings import Cors
from soketpy.web.cors import CorsHeaders
from tests.conftest import Peers, Reply, StartServer
from tests.fakes import APP
from tests.web.wire import request, signed, wire

PAGE = "https://shop.example.com"
ALLOW = "Access-Control-Allow-Origin"

ANSWERS = [
    ("GET", "/apps/app-id/channels?signed", 200),
    ("GET", "/apps/app-id/channels/%20?signed", 400),
    ("GET", "/apps/app-id/channels", 401),
    ("GET", "/apps/disabled/channels", 403),
    ("GET", "/apps/nobody/channels", 404),
    ("GET", "/nothing", 404),
    ("PUT", "/apps/app-id/events", 405),
    ("GET", "/", 200),
    ("GET", "/ready", 200),
    ("GET", "/accept-traffic", 200),
]
DISABLED = App(id="disabled", keys=(Key("disabled-key", "secret"),), enabled=False)


async def ask(peers: Peers, method: str, target: str, origin: str) -> Reply:
    """Return a request by a page; one that ends in ``?signed`` is signed."""
    path, _, sign = target.partition("?")
    return await peers.request(method, signed(method, path) if sign else path, headers={"Origin": origin})


@pytest.mark.parametrize(("method", "target", "status"), ANSWERS)
async def test_every_answer_may_be_read_by_any_page_by_default(
    start_server: StartServer, method: str, target: str, status: int
) -> None:
    peers = await start_server(apps=(APP, DISABLED))
    reply = await ask(peers, method, target, PAGE)
    assert reply.status == status
    assert reply.headers.getall(ALLOW) == ["*"]
    assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_what_is_not_http_may_be_read_too(peers: Peers) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(b"GET / HTTP/9.9\r\n\r\n")
        assert (await stranger.answer()).headers["access-control-allow-origin"] == "*"


async def test_a_head_that_is_too_long_may_be_read_too(peers: Peers) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(b"GET / HTTP/1.1\r\nCookie: " + b"c" * 20_000)
        answer = await stranger.answer()
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (431, "*")


@pytest.mark.parametrize(("method", "target", "status"), ANSWERS)
async def test_of_several_origins_the_matching_one_is_echoed(
    start_server: StartServer, method: str, target: str, status: int
) -> None:
    cors = Cors(origins=("https://first.example.com", PAGE))
    peers = await start_server(apps=(APP, DISABLED), cors=cors)
    reply = await ask(peers, method, target, PAGE)
    assert reply.status == status
    assert reply.headers.getall(ALLOW) == [PAGE]
    assert reply.headers["Vary"] == "Origin"
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", (200, b"OK")),  # a health check has one status, whatever the method
        *((path, (204, b"")) for path in ("/apps/app-id/events", "/apps/nobody/events", "/nothing", "*")),
    ],
)
async def test_a_preflight_is_answered_at_every_path(peers: Peers, path: str, expected: tuple[int, bytes]) -> None:
    async with wire(peers.port) as page:
        page.send(request("OPTIONS", path, b"", f"Origin: {PAGE}", "Access-Control-Request-Method: POST"))
        answer = await page.answer()
        assert (answer.status, answer.body) == expected
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
        assert "Content-Type" in answer.headers["access-control-allow-headers"].split(", ")
        assert int(answer.headers["access-control-max-age"]) > 0
        page.send(request("GET", "/"))
        assert (await page.answer()).status == 200


async def test_a_preflight_names_the_methods_and_headers_of_the_settings(start_server: StartServer) -> None:
    peers = await start_server(cors=Cors(methods=("GET", "POST"), headers=("X-One", "X-Two")))
    reply = await peers.request("OPTIONS", "/apps/app-id/events", headers={"Origin": PAGE})
    assert reply.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert reply.headers["Access-Control-Allow-Headers"] == "X-One, X-Two"


async def test_an_app_may_name_origins_of_its_own(start_server: StartServer) -> None:
    own = replace(APP, allowed_origins=("*.example.com",))
    other = App(id="other", keys=(Key("other-key", "s"),))
    peers = await start_server(apps=(own, other), cors=Cors(origins=("https://elsewhere.org",)))

    async def origin_for(page: str, path: str) -> str | None:
        reply = await peers.request("GET", path, headers={"Origin": page})
        allowed: str | None = reply.headers.get(ALLOW)
        return allowed

    assert await origin_for(PAGE, "/apps/app-id/channels") == PAGE
    assert await origin_for("https://elsewhere.org", "/apps/app-id/channels") is None
    assert await origin_for(PAGE, "/apps/other/channels") == "https://elsewhere.org"
    assert await origin_for("https://elsewhere.org", "/apps/other/channels") == "https://elsewhere.org"


@pytest.mark.parametrize(
    ("origins", "origin", "named"),
    [
        (("*",), None, "*"),
        (("*",), PAGE, "*"),
        ((PAGE, "*"), PAGE, "*"),
        ((PAGE,), PAGE, PAGE),
        ((PAGE,), PAGE.upper(), PAGE.upper()),
        ((f"{PAGE}:443/",), PAGE, PAGE),
        ((f"{PAGE.upper()}:443/",), None, PAGE),
        (("http://[0:0::1]:80",), None, "http://[::1]"),
        (("https://bücher.example",), None, "https://xn--bcher-kva.example"),
        (("http://localhost:*",), "http://localhost:5173", "http://localhost:5173"),
        (("null",), "null", "null"),
        (("null",), PAGE, None),
        (("https://a.org", PAGE), PAGE, PAGE),
        (("https://a.org", PAGE), None, "https://a.org"),
        (("https://a.org", PAGE), "https://b.org", "https://a.org"),
        (("*.example.com",), PAGE, PAGE),
        (("https://*.example.com",), PAGE, PAGE),
        (("shop.example.com",), PAGE, PAGE),
        (("*.example.com",), "https://example.com.evil.org", None),
        (("*.example.com",), "https://evilexample.com", None),
        (("https://*.example.com",), "http://shop.example.com", None),
        (("*.example.com",), "null", None),
        (("*.example.com",), "https://[::1", None),
        (("*.example.com",), "https://\udcff.example.com", None),
        ((), PAGE, None),
        ((), "null", None),
    ],
)
def test_an_answer_names_one_origin_at_most(origins: tuple[str, ...], origin: str | None, named: str | None) -> None:
    headers = CorsHeaders(origins).answer(origin)
    assert headers.get(ALLOW) == named
    assert ("Vary" in headers) == ("*" not in origins)


@pytest.mark.parametrize("origin", ["https://other.org", None])
def test_credentials_are_only_for_pages_that_are_named(origin: str | None) -> None:
    assert "Access-Control-Allow-Credentials" not in CorsHeaders((PAGE,), credentials=True).answer(origin)
    assert "Access-Control-Allow-Credentials" not in CorsHeaders(("*",), credentials=True).answer(PAGE)
    assert "Access-Control-Allow-Credentials" not in CorsHeaders((PAGE,), credentials=False).answer(PAGE)


async def test_an_origin_that_is_no_text_does_not_harm_the_answer(start_server: StartServer) -> None:
    peers = await start_server(cors=Cors(origins=("*.example.com",)))
    async with wire(peers.port) as page:
        page.send(b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://\xff.example.com\r\n\r\n")
        assert (await page.answer()).status == 200
