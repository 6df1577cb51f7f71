"""The verbs of the server, with nothing real around them."""

from tests.fakes import House


def test_a_joiner_never_gets_its_own_member_added() -> None:
    house = House()
    first, second = house.connect(), house.connect()
    first.subscribe("presence-room", "1", {"name": "Ada"})
    second.subscribe("presence-room", "2")
    roster = {"presence": {"ids": ["1", "2"], "hash": {"1": {"name": "Ada"}, "2": None}, "count": 2}}
    assert [message["data"] for message in second.take()] == [roster]
    assert [message["event"] for message in first.take()] == [
        "pusher_internal:subscription_succeeded",
        "pusher_internal:member_added",
    ]
