"""Channels in several partitions, of which one can be away while the others are there."""

import json

import pytest

from soketpy.core import triggers
from soketpy.core.ports import Unavailable
from tests.drivers.redis.test_alone import Parted
from tests.fakes import APP

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes over a Redis Cluster"], indirect=True),
]


def test_of_a_call_all_channels_are_published_on_or_none() -> None:
    house = Parted()
    clients = []
    for number in range(12):
        clients.append(house.connect())
        clients[-1].subscribe(f"news-{number}")
        clients[-1].take()
    away = house.sessions[1]
    house.part(away)
    body = {"name": "said", "channels": [f"news-{number}" for number in range(12)], "data": "{}"}
    trigger = triggers.check(triggers.parse_event(json.dumps(body).encode()), APP)
    with pytest.raises(Unavailable):
        house.node.publish(APP, trigger)
    house.join()
    house.loop.settle()
    assert [client.heard() for client in clients] == [[]] * 12
