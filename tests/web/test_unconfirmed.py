"""Calls whose events are published: no answer suggests that nothing happened, so no publisher repeats the events."""

from collections.abc import Sequence

import pytest

from soketpy.core.ports import TooSlow, Unavailable
from tests.conftest import Contained, Peers
from tests.patience import until
from tests.web.waiting import Waiting
from tests.web.wire import Wire, request, signed, wire

EVENTS, BATCH = "/apps/app-id/events", "/apps/app-id/batch_events"
EVENT = b'{"name":"e","channels":["a","presence-b"],"data":"x"}'
WITH_INFO = EVENT[:-1] + b',"info":"user_count,subscription_count"}'
BATCH_WITH_INFO = b'{"batch":[{"name":"e","channel":"presence-b","data":"x","info":"user_count"}]}'
TERMINATE = "/apps/app-id/users/ada/terminate_connections"


def send(client: Wire, path: str, body: bytes) -> None:
    client.send(request("POST", signed("POST", path, body), body))


@pytest.mark.parametrize(("path", "body"), [(EVENTS, EVENT), (EVENTS, WITH_INFO), (TERMINATE, b"")])
async def test_what_is_not_confirmed_is_504_and_says_that_it_may_have_been_published(
    peers: Peers, path: str, body: bytes
) -> None:
    waiting = Waiting(peers.server.node, "sent")
    async with wire(peers.port) as client:
        send(client, path, body)
        await until(lambda: waiting)
        waiting.fail(Unavailable())
        answer = await client.answer()
    assert answer.status == answer.json["code"] == 504
    assert "may have been published" in answer.json["error"]
    assert "again" not in answer.json["error"]


async def test_what_cannot_be_published_at_all_is_503_and_says_to_try_again(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(app_id: str, channels: Sequence[str]) -> None:
        raise Unavailable

    monkeypatch.setattr(peers.server.node._bus, "unavailable", {"everything"}, raising=False)
    monkeypatch.setattr(peers.server.node._bus, "check", check)
    async with wire(peers.port) as client:
        send(client, EVENTS, EVENT)
        answer = await client.answer()
    assert answer.status == 503
    assert "try again" in answer.json["error"]


@pytest.mark.parametrize("fault", [Unavailable(), TooSlow("Ask for less."), ValueError("a bug")], ids=repr)
@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (EVENTS, WITH_INFO, {"channels": {"a": {}, "presence-b": {}}}),
        (BATCH, BATCH_WITH_INFO, {"batch": [{}]}),
    ],
)
async def test_attributes_that_cannot_be_read_do_not_make_a_published_call_fail(
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
    contained: Contained,
    path: str,
    body: bytes,
    expected: object,
    fault: Exception,
) -> None:
    async def counts(*_: object) -> list[int]:
        raise fault

    for method in ("counts", "member_counts"):
        monkeypatch.setattr(peers.server.node.roster, method, counts)
    async with wire(peers.port) as client:
        send(client, path, body)
        answer = await client.answer()
    assert (answer.status, answer.json) == (200, expected)
    assert contained.count == isinstance(fault, ValueError)
