"""Injected faults: every operation, with an exception at each call to its surroundings.

Each test runs one operation once to see which calls it makes. Then it runs the operation again for each of these calls,
in a house of its own, with an exception in that call. Afterwards the same node must serve everybody else, and its
connections, counts and roster must be correct.
"""

import contextlib
import inspect
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl

import pytest

from soketpy.core.apps import StaticApps
from soketpy.core.containment import contain, failures
from soketpy.drivers.window import Window
from soketpy.protocol import signatures
from soketpy.web.cors import CorsHeaders
from soketpy.web.rest import Rest
from tests.conftest import Contained
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes", "contained")

COUNTED = replace(APP, subscription_count_events=True, max_read_requests_per_second=100, max_connections=100)

# Calls that must either do their work or raise and change nothing: the exception comes before the work.
_CHANGES = {
    "roster": ("connect", "join", "join_as", "sign_in", "send_count"),
    "bus": ("publish", "publish_cached", "terminate"),
    "hub": ("join",),
    "users": ("add",),
    "session": ("write", "subscribe"),
    "wire": ("publish",),
    "window": ("reserve",),
}
# Calls that must do their work, and may raise afterwards: an end cannot be refused.
_ENDS = {
    "roster": ("leave", "leave_as", "sign_out", "disconnect"),
    "hub": ("leave",),
    "users": ("remove",),
    "window": ("release",),
    "messages": ("receive",),  # of the roster: a lost message is lost, as if it had not been published
}
# Calls in which the exception comes before the work, and after it in a second round.
_BOTH = {
    "roster": ("counts", "member_counts", "members", "channels"),
    "cache": ("get", "ttl"),
    "bus": ("check",),
    "hub": ("publish",),
    "node": (
        *("member_added", "member_removed", "count_changed", "wants_counts", "notify_watchers", "report"),
        *("deliver", "end_user"),
    ),
    "session": ("unsubscribe",),
    "replies": ("_done",),
    "events": ("receive",),
    "clearing": ("report",),
    "transport": ("write", "close"),
}


class Bug(Exception):
    """An exception that no code of the server expects."""


@dataclass(frozen=True)
class Call:
    """A call that an operation makes: of which object and method, the number of the call, and when it raises."""

    kind: str
    method: str
    number: int
    after: bool


@dataclass
class Injector:
    """Counts the calls to what is around a node, and raises in one of them, if there is one to raise in."""

    target: Call | None = None
    calls: list[Call] = field(default_factory=list)
    raised: bool = False
    on: bool = False

    def meet(self, kind: str, method: str, after: bool, wanted: bool) -> None:
        """Note a call, if it is wanted; raise if it is the one."""
        if not self.on or not wanted:
            return
        number = sum((each.kind, each.method, each.after) == (kind, method, after) for each in self.calls)
        call = Call(kind, method, number, after)
        self.calls.append(call)
        if call == self.target:
            self.raised = True
            raise Bug(f"{kind}.{method}, call {number}")

    def wrap(self, kind: str, owner: object, method: str) -> AbstractContextManager[object]:
        """Let the method of an object meet this injector before and after its work, as the tables above say."""
        original = getattr(owner, method)
        before, after = method not in _ENDS.get(kind, ()), method not in _CHANGES.get(kind, ())

        async def run_async(*args: Any) -> Any:
            self.meet(kind, method, False, before)
            value = await original(*args)
            self.meet(kind, method, True, after)
            return value

        def run(*args: Any) -> Any:
            self.meet(kind, method, False, before)
            value = original(*args)
            self.meet(kind, method, True, after)
            return value

        return patch.object(owner, method, run_async if inspect.iscoroutinefunction(original) else run)


@contextlib.contextmanager
def surrounded(house: House, transport: object, injector: Injector) -> Iterator[None]:
    """Let an injector see the calls to everything around the nodes of a house, and to one client's transport."""
    with contextlib.ExitStack() as stack:

        def wrap_all(around: dict[str, object]) -> None:
            for kind, methods in (*_CHANGES.items(), *_BOTH.items(), *_ENDS.items()):
                for method in methods if kind in around else ():
                    stack.enter_context(injector.wrap(kind, around[kind], method))

        for session in house.sessions:
            topics: Any = getattr(session._receive, "__self__", None)
            wrap_all({"session": session, "wire": session.wire, "replies": session._writes})
            wrap_all({"messages": topics.roster, "clearing": topics.roster, "events": topics.bus})
        for node in house.nodes:
            around = {"roster": node.roster, "cache": node.cache, "bus": node._bus, "hub": node._hub, "node": node}
            wrap_all({**around, "users": node._users})
            window = getattr(node._bus.room, "__self__", None)
            wrap_all({"window": window} if isinstance(window, Window) else {})
            stack.enter_context(patch.object(node._counts, "_send_count", node.roster.send_count))
        for method in _BOTH["transport"]:
            stack.enter_context(injector.wrap("transport", transport, method))
        injector.on = True
        yield
        injector.on = False


# The operations


def enter(house: House) -> Client | None:
    """Connect one more client. Contain a fault of that, as a WebSocket does."""
    try:
        return Client(house, COUNTED)
    except Bug as fault:
        contain(logging.getLogger("soketpy.websocket"), fault, "A connection could not be opened")
        return None


def connect(house: House, client: Client) -> None:
    if (another := enter(house)) is not None:
        another.leave()


def subscribe(channel: str) -> Callable[[House, Client], None]:
    def act(house: House, client: Client) -> None:
        client.subscribe(channel, "victim")

    return act


def unsubscribe(channel: str) -> Callable[[House, Client], None]:
    def act(house: House, client: Client) -> None:
        client.subscribe(channel, "victim")
        client.unsubscribe(channel)

    return act


def subscribe_twice(house: House, client: Client) -> None:
    client.subscribe("presence-cache-a", "victim")
    client.subscribe("presence-cache-a", "victim")


def send_client_event(house: House, client: Client) -> None:
    client.subscribe("private-a")
    client.say("client-typing", {}, channel="private-a")


def sign_in(house: House, client: Client) -> None:
    client.sign_in("victim", watchlist=["bystander", "nobody"])


def sign_in_twice(house: House, client: Client) -> None:
    client.sign_in("victim", watchlist=["bystander", "nobody"])
    client.sign_in("victim", watchlist=["bystander", "nobody"])


def watch_a_user_who_comes_and_goes(house: House, client: Client) -> None:
    client.sign_in("victim", watchlist=["bystander", "friend", "nobody"])
    if (friend := enter(house)) is not None:
        friend.sign_in("friend", watchlist=["victim", "nobody"])
        friend.leave()


def fill_a_channel(house: House, client: Client) -> None:
    """Meet the limit of a presence channel, as a client of the same app with other settings."""
    client.connection.app = replace(COUNTED, max_presence_members_per_channel=1)
    client.subscribe("presence-a", "victim")


def sign_in_and_leave(house: House, client: Client) -> None:
    client.sign_in("victim", watchlist=["bystander", "nobody"])
    client.subscribe("presence-a", "victim")
    client.subscribe("news")
    client.leave()


def trigger(*names: str) -> Callable[[House, Client], None]:
    def act(house: House, client: Client) -> None:
        body = {"name": "e", "channels": list(names), "data": "{}"}
        status, _ = rest(house, "POST", "/apps/app-id/events", body)
        assert status in (200, 500)

    return act


def trigger_with_info(house: House, client: Client) -> None:
    body = {"name": "e", "channels": ["presence-a", "news"], "data": "{}", "info": "user_count,subscription_count"}
    assert rest(house, "POST", "/apps/app-id/events", body)[0] in (200, 500)


def read(path: str) -> Callable[[House, Client], None]:
    def act(house: House, client: Client) -> None:
        assert rest(house, "GET", f"/apps/app-id/{path}")[0] in (200, 500)

    return act


def terminate(house: House, client: Client) -> None:
    client.sign_in("victim")
    assert rest(house, "POST", "/apps/app-id/users/victim/terminate_connections", {})[0] in (200, 500)


def disable_the_app(house: House, client: Client) -> None:
    client.subscribe("presence-a", "victim")
    for node in house.nodes:
        node.update({APP.id: COUNTED}.get)


OPERATIONS: dict[str, Callable[[House, Client], None]] = {
    "connect": connect,
    **{
        f"subscribe {name}": subscribe(name)
        for name in ("news", "private-a", "presence-a", "cache-a", "presence-cache-a")
    },
    **{f"unsubscribe {name}": unsubscribe(name) for name in ("news", "presence-a")},
    "subscribe twice": subscribe_twice,
    "client event": send_client_event,
    "sign in": sign_in,
    "sign in and leave": sign_in_and_leave,
    "sign in twice": sign_in_twice,
    "watch": watch_a_user_who_comes_and_goes,
    "meet a full channel": fill_a_channel,
    "trigger": trigger("news", "presence-a", "cache-a"),
    "trigger to a cache channel": trigger("cache-a"),
    "trigger with info": trigger_with_info,
    "list channels": read("channels"),
    "list presence channels": read("channels?filter_by_prefix=presence-&info=user_count"),
    "read a channel": read("channels/presence-cache-a?info=user_count,subscription_count,cache"),
    "list users": read("channels/presence-a/users"),
    "terminate": terminate,
    "reload": disable_the_app,
}


def rest(house: House, method: str, target: str, body: object = None) -> tuple[int, bytes]:
    """Answer a REST call on the first node."""
    api = Rest(house.node, StaticApps([COUNTED]), house._clusters[0].limiter, CorsHeaders())
    path, _, query = target.partition("?")
    payload = b"" if body is None else json.dumps(body).encode()
    signed = signatures.signed_query(
        "app-key", "app-secret", method, path, payload, int(time.time()), dict(parse_qsl(query))
    )
    exchange = api.open(method, f"{path}?{signed}", {})
    if exchange.answer is None:
        house.ask(api.serve(exchange, payload))
    assert api.under_way == 0
    reply = api.reply(exchange)
    return int(reply.status), reply.body or b""


# Checks


@dataclass
class Scene:
    """A house with a bystander, and a victim that meets the fault."""

    house: House
    bystander: Client
    victim: Client


def scene(make: Callable[[], House] = House) -> Scene:
    house = make()
    bystander = house.connect(COUNTED)
    for channel in ("news", "private-a", "presence-a", "cache-a"):
        bystander.subscribe(channel, "bystander")
    bystander.sign_in("bystander", watchlist=["victim"])
    return Scene(house, bystander, house.connect(COUNTED))


def check_correct(scene: Scene, after: str) -> None:
    """Check that other clients and a new one are served, and that no state of the victim remains."""
    house, bystander = scene.house, scene.bystander
    house.loop.advance(10)
    scene.victim.leave()
    house.loop.advance(10)
    assert bystander.closed is None, after
    assert house.channels(COUNTED) == dict.fromkeys(("news", "private-a", "presence-a", "cache-a"), 1), after
    assert house.members("presence-a", COUNTED) == ["bystander"], after
    assert house.online("victim", "bystander", app=COUNTED) == {"bystander"}, after
    assert house.total == 1, after
    assert sum(len(hub) for hub in house.hubs) == 6, after
    bystander.take()
    newcomer = house.connect(COUNTED)
    newcomer.sign_in("victim")
    newcomer.subscribe("presence-a", "victim")
    newcomer.subscribe("news")
    newcomer.subscribe("private-a")
    newcomer.say("client-hello", {}, channel="private-a")
    house.loop.advance(10)
    assert rest(house, "POST", "/apps/app-id/events", {"name": "e", "channel": "news", "data": "{}"})[0] == 200, after
    heard = bystander.heard()
    expected = ("watchlist_events", "member_added", "subscription_count", "client-hello", "e")
    assert set(expected) <= set(heard), (after, heard)
    assert heard.count("member_added") == 1, after
    newcomer.leave()
    house.loop.advance(10)
    assert {"member_removed", "watchlist_events"} <= set(bystander.heard()), after
    assert house.members("presence-a", COUNTED) == ["bystander"], after
    for each in house.sessions:
        assert each.connected, after


def check_with_a_fault_at_each_call(
    name: str, operation: Callable[[House, Client], None], contained: Contained, make: Callable[[], House] = House
) -> None:
    """Run an operation once for each call that it makes, with a fault in that call, and check what must hold.

    Over Redis, how often an operation makes the same call may differ: messages of other nodes are joined or not. So a
    call may not come again. Of each method, one call must.
    """
    calls, raised = _calls_of(operation, make), set[tuple[str, str, bool]]()
    assert calls
    assert contained.count == 0
    for call in calls:
        one, injector = scene(make), Injector(call)
        failures.count = 0
        with surrounded(one.house, one.victim.transport, injector):
            operation(one.house, one.victim)
            one.house.loop.advance(10)
        if injector.raised:
            raised.add((call.kind, call.method, call.after))
        assert bool(contained.count) == injector.raised, call
        check_correct(one, f"{name} with a fault at {call}")
        House.opened.remove(one.house)
        one.house.close()
    assert raised == {(call.kind, call.method, call.after) for call in calls}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_that_meets_a_fault_leaves_everybody_else_served(name: str, contained: Contained) -> None:
    check_with_a_fault_at_each_call(name, OPERATIONS[name], contained)


def _calls_of(operation: Callable[[House, Client], None], make: Callable[[], House]) -> list[Call]:
    """The calls that an operation makes when nothing fails."""
    one, injector = scene(make), Injector()
    with surrounded(one.house, one.victim.transport, injector):
        operation(one.house, one.victim)
        one.house.loop.advance(10)
    check_correct(one, "no fault")
    return list(dict.fromkeys(injector.calls))
