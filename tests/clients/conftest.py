"""A real server, the example's auth server, and the runtimes and publishers that talk to them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest

from tests.clients.javascript import FOLDER, Client, Runtime, chromium
from tests.clients.programs import APP, Launched, SoketpyServer, free_port
from tests.clients.publishers import MASTER_KEY, Npm, Publisher, PyPI

AUTH_SERVER = FOLDER.parent.parent / "examples" / "auth-server" / "app.py"

OpenClient = Callable[..., Client]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoketpyServer]:
    """The server of all tests that leave it running."""
    with SoketpyServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def auth_server(server: SoketpyServer) -> Iterator[str]:
    """The URL of ``examples/auth-server``, run as its README says."""
    port = free_port()
    env = {
        "SOKETPY_HOST": "127.0.0.1",
        "SOKETPY_PORT": str(server.port),
        "SOKETPY_APP_ID": str(APP["id"]),
        "ENCRYPTION_MASTER_KEY": MASTER_KEY,
        "PUSHER_JS": str(FOLDER / "node_modules/pusher-js/dist/web/pusher-with-encryption.js"),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    with Launched(sys.executable, str(AUTH_SERVER), ready="Running on", env=env):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Chromium, with an empty profile."""
    runtime = Runtime("chromium.mjs", chromium(), str(tmp_path_factory.mktemp("profile")))
    yield runtime
    runtime.end()


@pytest.fixture(scope="session")
def node() -> Iterator[Runtime]:
    """Node."""
    runtime = Runtime("node.mjs")
    yield runtime
    runtime.end()


@pytest.fixture(params=["browser", "node"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each place where pusher-js runs."""
    runtime: Runtime = request.getfixturevalue(request.param)
    return runtime


@pytest.fixture
def open_client(runtime: Runtime, server: SoketpyServer, auth_server: str) -> Iterator[OpenClient]:
    """Opens clients of a user, connected unless told otherwise, that end with the test."""
    with ExitStack() as stack:

        def open(
            user: str = "ada",
            *,
            port: int = server.port,
            key: str = str(APP["key"]),
            build: str = "pusher",
            connected: bool = True,
        ) -> Client:
            client = runtime.open(key=key, options=options_of(user, port, auth_server), origin=auth_server, build=build)
            stack.callback(client.close)
            if connected:
                client.connected()
            return client

        yield open


def options_of(user: str, port: int, auth_server: str) -> dict[str, Any]:
    """The options of pusher-js that every page needs: where the server is, and where to ask for a signature."""
    return {
        "cluster": "",
        "wsHost": "127.0.0.1",
        "wsPort": port,
        "forceTLS": False,
        "enabledTransports": ["ws"],
        "channelAuthorization": {"endpoint": f"{auth_server}/pusher/auth?user={user}"},
        "userAuthentication": {"endpoint": f"{auth_server}/pusher/user-auth?user={user}"},
    }


@pytest.fixture
def room() -> str:
    """A name for the channels of one test: clients of others may still be leaving theirs."""
    return uuid4().hex


@pytest.fixture
def pypi(server: SoketpyServer) -> Iterator[PyPI]:
    """PyPI's library."""
    publisher = PyPI(server.port)
    yield publisher
    publisher.end()


@pytest.fixture(scope="session")
def npm(server: SoketpyServer) -> Iterator[Npm]:
    """npm's library."""
    publisher = Npm(server.port)
    yield publisher
    publisher.end()


@pytest.fixture(params=["pypi", "npm"])
def publisher(request: pytest.FixtureRequest) -> Publisher:
    """Each library with which applications publish."""
    publisher: Publisher = request.getfixturevalue(request.param)
    return publisher
