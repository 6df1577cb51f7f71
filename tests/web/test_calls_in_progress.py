"""The calls in progress of each app: one app cannot keep all HTTP connections busy, and each call is counted once."""

from contextlib import AsyncExitStack

import pytest

from soketpy import App, Key
from soketpy.config.settings import Bounds
from soketpy.web.http_connections import CallsInProgress, HttpConnections
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.patience import until
from tests.web.waiting import Waiting
from tests.web.wire import Wire, request, signed, wire

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'
OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))


def post(app: App = APP, *, chunked: bool = False) -> bytes:
    target = signed("POST", f"/apps/{app.id}/events", BODY, app=app)
    if not chunked:
        return request("POST", target, BODY)
    return request("POST", target, b"", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def test_an_app_has_as_many_calls_as_it_may_have() -> None:
    ended: list[str] = []
    calls = CallsInProgress[str](2)
    for call, app_id in (("a", "one"), ("b", "one"), ("c", "two")):
        assert app_id not in calls.full
        calls.enter(call, app_id, ended.append)
    assert [app_id in calls.full for app_id in ("one", "two", "three")] == [True, False, False]
    assert calls.leave("a")
    assert not calls.leave("a")
    assert "one" not in calls.full
    assert list(calls) == ["b", "c"]


def test_a_call_that_waits_twice_is_counted_once() -> None:
    ended: list[str] = []
    calls = CallsInProgress[str](1)
    calls.enter("a", "one", ended.append)
    calls.enter("a", "one", lambda _: ended.append("later"))
    assert len(calls) == 1
    (_, tell) = calls["a"]
    tell("a")
    assert calls.leave("a")
    assert "one" not in calls.full
    assert ended == ["later"]


def test_without_a_bound_no_app_is_full() -> None:
    calls = CallsInProgress[int]()
    for call in range(1000):
        calls.enter(call, "one", lambda _: None)
    assert "one" not in calls.full


@pytest.mark.parametrize(("most", "share"), [(None, None), (1, 1), (2, 1), (3, 1), (4, 2), (1001, 500)])
def test_the_share_of_an_app_is_half_of_the_connections(most: int | None, share: int | None) -> None:
    assert HttpConnections(most).share == share


async def refused(client: Wire, call: bytes) -> bool:
    client.send(call)
    answer = await client.answer()
    if answer.status == 503:
        assert answer.headers["retry-after"] == "1"
        assert "half of the HTTP connections (bounds.max_http_connections)" in answer.json["error"]
    return answer.status == 503


@pytest.fixture
async def four(start_server: StartServer) -> Peers:
    """Return a server with four HTTP connections, of which one app may keep two busy."""
    return await start_server(apps=(APP, OTHER), bounds=Bounds(max_http_connections=4))


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
async def test_a_flood_of_one_app_leaves_http_connections_to_the_others(four: Peers, chunked: bool) -> None:
    waiting = Waiting(four.server.node, "room")
    async with AsyncExitStack() as stack:
        first, second, third, fourth = [await stack.enter_async_context(wire(four.port)) for _ in range(4)]
        for number, client in enumerate((first, second), 1):
            client.send(post(chunked=chunked))
            await until(lambda number=number: len(waiting) == number)  # type: ignore[misc]
        for _ in range(3):
            assert await refused(third, post(chunked=chunked))
        waiting.end()
        for client in (first, second):
            assert (await client.answer()).status == 200
        assert not await refused(third, post(chunked=chunked))
        assert not await refused(fourth, post(OTHER))


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
async def test_another_app_calls_during_the_flood(four: Peers, chunked: bool) -> None:
    async with AsyncExitStack() as stack:
        first, second, third = [await stack.enter_async_context(wire(four.port)) for _ in range(3)]
        for number, client in enumerate((first, second), 1):
            client.send(post(chunked=chunked)[:-8])  # calls that wait for their body count as well
            await until(lambda number=number: four.server._rest.under_way == number)  # type: ignore[misc]
        assert await refused(third, post())
        assert not await refused(third, post(OTHER))
        assert not await refused(third, post(OTHER, chunked=True))
        first.writer.transport.abort()
        await until(lambda: four.server._rest.under_way == 1)
        assert not await refused(third, post())
        second.send(post(chunked=chunked)[-8:])
        assert (await second.answer()).status == 200
    assert four.server._rest.under_way == 0


async def test_a_call_counts_until_it_is_served_though_its_client_has_gone(four: Peers) -> None:
    waiting = Waiting(four.server.node, "room")
    async with wire(four.port) as first, wire(four.port) as second, wire(four.port) as third:
        first.send(post())
        second.send(post())
        await until(lambda: len(waiting) == 2)
        for client in (first, second):
            client.writer.transport.abort()
        assert await refused(third, post())
        waiting.end()
        assert not await refused(third, post())
    assert four.server._rest.under_way == 0
