"""The remedy in docs/scaling.md puts everything right, whatever has happened to the keys of a cluster."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Contained
from tests.drivers.redis.test_alone import Parted
from tests.drivers.redis.test_failed_writes import agree
from tests.fakes import APP, Client

ROOM = "presence-room"
DOCUMENT = Path(__file__).parents[3] / "docs/scaling.md"

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True),
]


class Scene:
    """Clients on both nodes, on channels of all kinds."""

    def __init__(self) -> None:
        self.house = house = Parted()
        self.clients = [house.connect() for _ in range(4)]
        for number, client in enumerate(self.clients):
            self.come(client, number)
        self.forget()

    def come(self, client: Client, number: int) -> None:
        client.subscribe("news")
        client.subscribe(ROOM, f"user-{number}")
        client.sign_in(f"user-{number}", watchlist=["user-0"])

    def forget(self) -> None:
        self.house.loop.settle()
        for client in self.clients:
            client.take()

    def damage(self, key: str, *, replaced: bool) -> None:
        """Delete the keys that match, or put keys of another type in their places."""
        for session in self.house.sessions:
            keys = self.house._run(session.ask("KEYS", f"{session.prefix}{key}"))
            for each in keys:
                self.house._run(session.ask("DEL", each))
                if replaced:
                    self.house._run(session.ask("SET", each, "no hash"))

    def remedy(self) -> None:
        """Do what the document says, for each partition, and let each node notice."""
        section = DOCUMENT.read_text().split("\n## A damaged key\n")[1].split("\n## ")[0]
        [command] = re.findall(r"^redis-cli (.*)$", section, flags=re.M)
        sessions = self.house.sessions
        for base, session in {each.prefix: each for each in sessions}.items():
            words = [base if word == "{soketpy:0}:" else word for word in shlex.split(command)]
            assert base in words
            self.house._run(session.ask(*words))
        for session in sessions:
            session.write(["online", APP.id, []])  # as a renewal of the lease would
        session_ids = [each.id for each in sessions]
        self.house.until(lambda: all(each.connected and each.id not in session_ids for each in sessions))

    def check(self) -> None:
        """Assert that all totals are right, now and when everybody has left, and that no client got a message."""
        house, clients = self.house, self.clients
        house.loop.settle()
        assert agree(house)
        assert house.channels() == {"news": len(clients), ROOM: len(clients)}
        assert sorted(house.members(ROOM)) == [f"user-{number}" for number in range(len(clients))]
        assert [client.heard() for client in clients] == [[]] * len(clients)
        assert all(client.closed is None for client in clients)
        newcomer = house.connect()
        newcomer.subscribe(ROOM, "eve")
        newcomer.leave()
        house.loop.settle()
        assert [client.heard() for client in clients] == [["member_added", "member_removed"]] * len(clients)
        for client in clients:
            client.leave()
        house.loop.settle()
        assert agree(house)
        assert house.channels() == {}
        assert house.online("user-0", "user-1") == set()


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("key", ["node:*", "channels:*", "members:*", "connections:*", "users:*", "*"])
def test_the_remedy_of_the_document_puts_damaged_keys_right(key: str, replaced: bool, contained: Contained) -> None:
    scene = Scene()
    others = [scene.house.connect() for _ in range(2)]
    scene.damage(key, replaced=replaced)
    for other in others:  # one that comes, on each node
        other.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"news"}}')
    scene.house.until(lambda: not any(each.busy for each in scene.house.sessions))
    scene.house.until(lambda: all(each.connected for each in scene.house.sessions))
    for other in others:
        other.connection.end()
    scene.forget()  # what the damage itself has caused
    scene.remedy()
    scene.check()
