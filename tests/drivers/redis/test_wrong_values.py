"""Values in Redis that soketpy has not written are skipped when they are read, each logged once."""

from uuid import uuid4

import pytest

from soketpy.drivers.redis.reads import MOST_DIGITS
from tests.conftest import Contained
from tests.drivers.redis.test_failed_writes import agree
from tests.drivers.redis.test_wrong_keys import Scene, on_first_node
from tests.fakes import APP, Client

LAST = "last:6:app-id:cache-news"
RATE = "rate:6:app-id:reads"

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]


@pytest.mark.parametrize("text", ["many", "", "-1", "1.5", "9" * (MOST_DIGITS + 1), "9" * 5000])
def test_a_channel_whose_count_is_none_is_not_listed(text: str, contained: Contained) -> None:
    scene = Scene()
    scene.victim.subscribe("news")
    scene.ask("HSET", "channels:app-id", f"odd-{len(text)}", text, b"odd-\xff", text)
    for _ in range(2):
        assert scene.house.channels() == {"news": 1}
        assert scene.house.count(f"odd-{len(text)}") == 0
    assert contained.count == 2, "once for each of the two"
    scene.check_others()


@pytest.mark.parametrize(
    ("user_id", "value"),
    [
        ("eve", "no JSON"),
        ("eve", "{"),
        ("eve", b'"\xff"'),
        ("eve", "{} {}"),
        ("eve", "#no JSON"),
        ("eve", "#{}"),
        ("1 2", "#{}"),
        ("true", "#{}"),
        ("", "#"),
    ],
)
def test_a_member_whose_value_is_no_json_is_skipped(user_id: str, value: str | bytes, contained: Contained) -> None:
    scene, room = Scene(), f"presence-{uuid4()}"
    scene.ask("HSET", f"members:6:app-id:{room}", user_id, value, "zoe", r'"\ud83d"', "7", "#")
    there = ["zoe", 7]
    for number, client in enumerate((scene.victim, scene.house.connect(), scene.house.connect())):
        client.subscribe(room, f"user-{number}")
        there.append(f"user-{number}")
        [greeting] = [each for each in client.take() if each["event"].endswith("subscription_succeeded")]
        assert sorted(map(str, greeting["data"]["presence"]["ids"])) == sorted(map(str, there))
    assert sorted(scene.house.members(room)) == sorted(map(str, there))
    assert contained.count == 1
    assert agree(scene.house)
    scene.check_others()


@pytest.mark.parametrize(
    "fields",
    [
        ("name", "said"),
        ("data", '"x"'),
        ("name", b"\xff", "data", '"x"'),
        ("name", "said", "data", "no JSON"),
        ("name", "said", "data", b'"\xff"'),
        ("other", "x"),
    ],
)
def test_a_last_event_that_is_damaged_is_a_cache_miss(fields: tuple[str | bytes, ...], contained: Contained) -> None:
    scene = Scene()
    scene.ask("HSET", LAST, *fields)
    for client in (scene.victim, scene.house.connect()):
        client.subscribe("cache-news")
        assert client.heard() == ["subscription_succeeded", "cache_miss"]
    assert contained.count <= 1
    scene.house.trigger("cache-news", "said")
    newcomer: Client = on_first_node(scene.house)
    newcomer.subscribe("cache-news")
    assert newcomer.heard() == ["subscription_succeeded", "said"]
    scene.check_others()


@pytest.mark.parametrize(
    ("tokens", "updated"),
    [("-inf", "0"), ("nan", "0"), ("inf", "0"), ("-5", "0"), ("many", "0"), ("1", "many"), ("1", "nan"), ("0", "-inf")],
)
def test_a_token_bucket_that_is_damaged_is_a_new_one(tokens: str, updated: str) -> None:
    scene = Scene()
    scene.ask("HSET", RATE, "tokens", tokens, "updated", updated)
    limiter = scene.house._clusters[0].limiter
    allowed = scene.house.ask(limiter.take(APP.id, "reads", 1, 3))
    assert (allowed.allowed, allowed.remaining) == (True, 2)
    assert scene.ask("HGET", RATE, "tokens") == b"2"
    scene.check_others()
