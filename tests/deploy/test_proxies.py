"""The configurations of proxies, each run by its proxy in front of two nodes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from soketpy.config import Settings
from tests.clients.javascript import Client, Runtime
from tests.deploy.proxies import FILES, KEY, PREFIX, PROXIES, Proxy, Site, haproxy
from tests.patience import UNHURRIED
from tests.redis import Redis

each_proxy = pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: proxy.__name__)


@pytest.fixture
def site(proxy: Proxy, tmp_path: Path, redis: str) -> Iterator[Site]:
    with Site(proxy, {}, tmp_path, redis) as site:
        site.wait()
        yield site


@pytest.fixture(scope="module", params=PROXIES, ids=lambda proxy: proxy.__name__)
def lasting_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis: str
) -> Iterator[Site]:
    """A site for tests that leave it as it is."""
    with Site(request.param, {}, tmp_path_factory.mktemp("site"), redis) as site:
        site.wait()
        yield site


@pytest.fixture
def client(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A pusher-js client of the site, connected."""
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(site.authority))
    runtime = Runtime("node.mjs")
    try:
        options = {"cluster": "", "wsHost": "localhost", "wssPort": site.port, "forceTLS": True}
        options |= {"enabledTransports": ["ws", "wss"]}
        client = runtime.open(key=KEY, options=options, origin="", build="pusher")
        client.connected()
        yield client
    finally:
        runtime.end()


def trigger(site: Site, data: str) -> int:
    return site.call("/events", {"name": "my-event", "channel": "my-channel", "data": data})


@each_proxy
def test_a_client_hears_events_and_moves_to_the_other_node_when_its_node_stops(site: Site, client: Client) -> None:
    client.subscribe("my-channel")
    assert trigger(site, "first") == 200
    assert client.hear("my-event", "my-channel") == "first"
    node = site.node_of_the_client()
    node.drain()
    site.notice()
    assert trigger(site, "while it drains") == 200
    assert client.hear("my-event", "my-channel") == "while it drains"
    node.stop()
    client.connected()
    client.hear("pusher:subscription_succeeded", "my-channel")
    for number in range(10):  # no call of a publisher fails, although one of two nodes has stopped
        assert trigger(site, f"call {number}") == 200
        assert client.hear("my-event", "my-channel") == f"call {number}"


def test_the_largest_batch_passes_and_plain_http_is_redirected(lasting_site: Site) -> None:
    site = lasting_site
    event = {"name": "my-event", "channel": "my-channel", "data": '"' * 100 * 1024}
    assert site.call("/batch_events", {"batch": [event] * 10}) == 200
    status, location = site.redirect("/pusher?a=b")
    assert status in {301, 308}
    assert location is not None
    assert re.fullmatch(r"https://localhost(:\d+)?/pusher\?a=b", location)


@each_proxy
async def test_while_no_node_has_redis_clients_connect_and_calls_get_the_answer_of_a_node(
    proxy: Proxy, tmp_path: Path
) -> None:
    with Redis(tmp_path) as redis, Site(proxy, {}, tmp_path, redis.socket) as site:
        site.wait()
        redis.kill()
        for node in site.nodes:
            node.log("is unavailable")
        site.notice(nodes=2)
        for _ in range(2 * len(site.nodes)):  # after each, a proxy may count a failure of the node
            status, body = site.request("GET", "/ready")
            assert status == 503
            assert "cannot reach the other nodes" in body
            assert trigger(site, "data") == 503
        for _ in site.nodes:
            url = f"wss://localhost:{site.port}/app/{KEY}?protocol=7"
            async with websockets.connect(url, ssl=site.ssl(), **UNHURRIED) as peer:
                assert "pusher:connection_established" in str(await peer.recv())


def variants(title: str) -> dict[str, dict[str, str]]:
    """Return the changes of each file that a table of the README has. ``title`` begins the head of the table."""
    table = (FILES / "README.md").read_text().partition(f"| {title} | line | replace with |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([\w.-]+)` \| `+(.+?)`+ \| `+(.+?)`+ \|$", table, flags=re.M)
    changes: dict[str, dict[str, str]] = {}
    for file, old, new in rows:
        changes.setdefault(file, {})[old] = new
    return changes


@each_proxy
async def test_with_a_path_prefix_only_the_paths_under_it_are_passed_on(
    proxy: Proxy, tmp_path: Path, redis: str
) -> None:
    with Site(proxy, variants("file")[PROXIES[proxy]], tmp_path, redis) as site:
        site.wait(f"{PREFIX}/ready")
        for path in (f"{PREFIX}/app", f"{PREFIX}/c/some-tab/app"):
            url = f"wss://localhost:{site.port}{path}/{KEY}?protocol=7"
            async with websockets.connect(url, ssl=site.ssl(), **UNHURRIED) as peer:
                assert "pusher:connection_established" in str(await peer.recv())
        assert site.call("/events", {"name": "e", "channel": "c", "data": "d"}, PREFIX) == 200
        assert not site.serves("/ready")


CLIENT = "127.0.0.2"
"""The address of a client that is not the proxy's."""


async def connect_as_a_liar(site: Site) -> None:
    """Connect with a header that names another address, and check that the log has the real one."""
    url = f"wss://localhost:{site.port}/app/{KEY}?protocol=7"
    lie = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
    async with websockets.connect(
        url, ssl=site.ssl(), additional_headers=lie, local_addr=(CLIENT, 0), **UNHURRIED
    ) as peer:
        assert "pusher:connection_established" in str(await peer.recv())
        line = site.node_of_the_client().log(CLIENT)
    assert "192.0.2.1" not in line


async def test_the_log_has_the_address_of_the_client_and_not_what_the_client_says(lasting_site: Site) -> None:
    await connect_as_a_liar(lasting_site)


async def test_a_node_reads_the_proxy_headers_of_haproxy(tmp_path: Path, redis: str) -> None:
    variant = variants("file with PROXY headers")["haproxy.cfg"]
    settings = {"SOKETPY_PROXY_PROTOCOL": "true", "SOKETPY_APP_TLS_ONLY": "false"}
    with Site(haproxy, variant, tmp_path, redis, settings) as site:
        site.wait()
        await connect_as_a_liar(site)
        assert trigger(site, "data") == 200


@pytest.mark.parametrize(
    ("file", "setting"),
    [("nginx.conf", "proxy_read_timeout"), ("nginx.conf", "proxy_send_timeout"), ("haproxy.cfg", "timeout tunnel")],
)
def test_a_websocket_may_be_idle_for_longer_than_between_two_pings(file: str, setting: str) -> None:
    found = re.search(rf"{setting} (\d+)s", (FILES / file).read_text())
    timeouts = Settings().timeouts
    assert found is not None
    assert int(found[1]) >= timeouts.activity + timeouts.pong


def test_the_readme_has_a_row_for_each_proxy() -> None:
    assert set(variants("file")) == set(PROXIES.values())
