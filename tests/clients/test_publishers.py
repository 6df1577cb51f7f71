"""The libraries of publishers, PyPI's ``pusher`` and npm's, against ``soketpy start``."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pusher import errors
from websockets.sync.client import ClientConnection, connect

from tests.clients.conftest import OpenClient
from tests.clients.javascript import Fault, Runtime
from tests.clients.programs import DISABLED_APP, PATIENCE, SoketpyServer
from tests.clients.publishers import Npm, Publisher, PyPI

DISABLED = {"key": DISABLED_APP["key"]}
TOO_LARGE = "x" * 9_000
PyPIRefusal = tuple[dict[str, Any], Callable[[Any], object], type[errors.PusherError], str]
NpmRefusal = tuple[dict[str, Any], str, list[object], int]

PYPI_REFUSALS: dict[str, PyPIRefusal] = {
    "a wrong secret": (
        {"secret": "no"},
        lambda library: library.trigger("c", "e", {}),
        errors.PusherBadAuth,
        "signature",
    ),
    "a wrong key": ({"key": "no"}, lambda library: library.trigger("c", "e", {}), errors.PusherBadAuth, "auth_key"),
    "a bad question": (
        {},
        lambda library: library.channels_info(None, ["user_count"]),
        errors.PusherBadRequest,
        "presence",
    ),
    "no presence channel": ({}, lambda library: library.users_info("news"), errors.PusherBadRequest, "presence"),
    "too large an event": ({}, lambda library: library.trigger("c", "e", TOO_LARGE), errors.PusherBadStatus, "^413: "),
    "too large a batch": (
        {},
        lambda library: library.trigger_batch([{"channel": "c", "name": "e", "data": "1"}] * 11),
        errors.PusherBadRequest,
        "10 events",
    ),
    "no such app": ({"app_id": "3"}, lambda library: library.trigger("c", "e", {}), errors.PusherBadStatus, "^404: "),
    "a disabled app": (
        {"app_id": "2", **DISABLED},
        lambda library: library.trigger("c", "e", {}),
        errors.PusherForbidden,
        "disabled",
    ),
}

NPM_REFUSALS: dict[str, NpmRefusal] = {
    "a wrong secret": ({"secret": "no"}, "trigger", ["c", "e", {}], 401),
    "a wrong key": ({"key": "no"}, "trigger", ["c", "e", {}], 401),
    "a bad question": ({}, "get", [{"path": "/channels", "params": {"info": "user_count"}}], 400),
    "no presence channel": ({}, "get", [{"path": "/channels/news/users"}], 400),
    "no such call": ({}, "get", [{"path": "/nonsense"}], 404),
    "too large an event": ({}, "trigger", ["c", "e", TOO_LARGE], 413),
    "too large a batch": ({}, "triggerBatch", [[{"channel": "c", "name": "e", "data": "1"}] * 11], 400),
    "no such app": ({"appId": "3"}, "trigger", ["c", "e", {}], 404),
    "a disabled app": ({"appId": "2", **DISABLED}, "trigger", ["c", "e", {}], 403),
}


@pytest.fixture
def runtime(node: Runtime) -> Runtime:
    """One place where subscribers run is enough here."""
    return node


@pytest.fixture
def socket(server: SoketpyServer) -> Iterator[ClientConnection]:
    """A WebSocket that speaks only what a test says."""
    with connect(f"ws://127.0.0.1:{server.port}/app/app-key?protocol=7") as socket:
        yield socket


def test_a_batch_arrives(open_client: OpenClient, publisher: Publisher, room: str) -> None:
    client = open_client()
    client.subscribe(f"{room}-1")
    client.subscribe(f"{room}-2")
    batch: list[dict[str, object]] = [
        {"channel": f"{room}-1", "name": "first", "data": {"number": 1}},
        {"channel": f"{room}-2", "name": "second", "data": "text"},
    ]
    assert publisher.trigger_batch(batch) == {}
    assert client.hear("first", f"{room}-1") == {"number": 1}
    assert client.hear("second", f"{room}-2") == "text"


def test_an_event_for_several_channels_arrives_on_each(
    open_client: OpenClient, publisher: Publisher, room: str
) -> None:
    client = open_client()
    client.subscribe(f"{room}-1")
    client.subscribe(f"{room}-2")
    assert publisher.trigger([f"{room}-1", f"{room}-2"], "event", [1]) == {}
    assert client.hear("event", f"{room}-1") == [1]
    assert client.hear("event", f"{room}-2") == [1]


def test_channels_are_listed(open_client: OpenClient, publisher: Publisher, room: str) -> None:
    for user in ("ada", "bob"):
        open_client(user).subscribe(f"presence-{room}")
    listed = publisher.channels(f"presence-{room}", "user_count")["channels"]
    assert listed[f"presence-{room}"]["user_count"] == 2
    assert list(listed) == [f"presence-{room}"]


def test_a_channel_is_described(open_client: OpenClient, publisher: Publisher, room: str) -> None:
    assert publisher.channel(room, "subscription_count") == {"occupied": False, "subscription_count": 0}
    open_client().subscribe(room)
    assert publisher.channel(room, "subscription_count") == {"occupied": True, "subscription_count": 1}


def test_the_members_of_a_channel_are_listed(open_client: OpenClient, publisher: Publisher, room: str) -> None:
    for user in ("ada", "ada", "bob"):
        open_client(user).subscribe(f"presence-{room}")
    assert publisher.users(f"presence-{room}") == {"users": [{"id": "ada"}, {"id": "bob"}]}


def test_a_signature_of_the_library_opens_a_private_channel(
    socket: ClientConnection, publisher: Publisher, room: str
) -> None:
    signed = publisher.authorize(f"private-{room}", _socket_id(socket))
    answer = _say(socket, "pusher:subscribe", {"channel": f"private-{room}", **signed})
    assert (answer["event"], answer["channel"]) == ("pusher_internal:subscription_succeeded", f"private-{room}")


def test_a_signature_of_the_library_opens_a_presence_channel(
    socket: ClientConnection, publisher: Publisher, room: str
) -> None:
    member: dict[str, object] = {"user_id": "ada", "user_info": {"name": "Ada Ωμέγα"}}
    signed = publisher.authorize(f"presence-{room}", _socket_id(socket), member)
    answer = _say(socket, "pusher:subscribe", {"channel": f"presence-{room}", **signed})
    roster = {"ids": ["ada"], "hash": {"ada": {"name": "Ada Ωμέγα"}}, "count": 1}
    assert json.loads(answer["data"]) == {"presence": roster}


def test_a_signature_of_the_library_signs_in(socket: ClientConnection, publisher: Publisher) -> None:
    signed = publisher.authenticate(_socket_id(socket), {"id": "ada", "user_info": {"name": "Ada"}})
    answer = _say(socket, "pusher:signin", signed)
    assert answer["event"] == "pusher:signin_success"
    assert json.loads(answer["data"]["user_data"])["id"] == "ada"


def _socket_id(socket: ClientConnection) -> str:
    greeting = json.loads(socket.recv(PATIENCE))
    socket_id: str = json.loads(greeting["data"])["socket_id"]
    return socket_id


def _say(socket: ClientConnection, event: str, data: object) -> dict[str, Any]:
    """Send a message and return the answer."""
    socket.send(json.dumps({"event": event, "data": data}))
    answer: dict[str, Any] = json.loads(socket.recv(PATIENCE))
    return answer


@pytest.mark.parametrize(("options", "call", "error", "reason"), PYPI_REFUSALS.values(), ids=PYPI_REFUSALS.keys())
def test_pypi_raises_for_a_refused_call(
    server: SoketpyServer,
    options: dict[str, Any],
    call: Callable[[Any], object],
    error: type[errors.PusherError],
    reason: str,
) -> None:
    publisher = PyPI(server.port, **options)
    try:
        with pytest.raises(error, match=reason):
            call(publisher.library)
    finally:
        publisher.end()


@pytest.mark.parametrize(("options", "method", "args", "status"), NPM_REFUSALS.values(), ids=NPM_REFUSALS.keys())
def test_npm_raises_for_a_refused_call(
    server: SoketpyServer, options: dict[str, Any], method: str, args: list[object], status: int
) -> None:
    publisher = Npm(server.port, **options)
    try:
        with pytest.raises(Fault) as refused:
            publisher.call(method, *args)
    finally:
        publisher.end()
    assert refused.value.status == status
    assert refused.value.body is not None
    assert json.loads(refused.value.body)["code"] == status
