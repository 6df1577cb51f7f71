"""Every message, decoded as the sources of the official clients decode it.

Sources: pusher-websocket-java 2.4.4 (``PusherEvent``, ``PrivateEncryptedChannelImpl``, ``PresenceChannelImpl``,
``WebSocketConnection``, ``InternalUser``), pusher-websocket-dotnet 2.3.1 (``Connection``, ``GenericPresenceChannel``,
``UserFacade``, ``WatchlistFacade``), pusher-websocket-swift 10 (``ChannelEventFactory``, ``PusherError``,
``PusherPresenceChannel``), Pysher 1.0.8 (``connection.py``), pusher_channels_flutter 2.5 (its part for the web, over
pusher-js). The plugins for Android, iOS and React Native wrap the Java and Swift clients. The last column of a row says
what a client does not read of the message.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from soketpy.protocol import events, messages
from soketpy.protocol.ids import NumericId
from soketpy.protocol.messages import Message

ENCRYPTED = "private-encrypted-cache-a"
REFUSED = ("AuthError", 401, "no")
MEMBER = (rb"\"1\"", rb"{\"name\":\"Ada\"}")
SWIFT_HAS_NO_DATA = "swift: data"

# name of the message, the message, and which reader loses something of it
MESSAGES: list[tuple[str, Message, str]] = [
    ("connection_established", messages.connection_established("1.2", 120), ""),
    ("error", messages.error(4001, "no"), ""),
    ("error of a channel", messages.error(4301, "no", "private-a"), ""),
    ("error of an encrypted channel", messages.error(4301, "no", ENCRYPTED), ""),
    ("ping", messages.PING, ""),
    ("pong", messages.PONG, SWIFT_HAS_NO_DATA),
    ("subscription_succeeded", messages.subscription_succeeded("news"), ""),
    ("subscription_succeeded, encrypted", messages.subscription_succeeded(ENCRYPTED), ""),
    ("subscription_succeeded, presence", messages.subscription_succeeded("presence-a", messages.roster([MEMBER])), ""),
    ("subscription_error", messages.subscription_error("private-a", *REFUSED), SWIFT_HAS_NO_DATA),
    ("subscription_error, encrypted", messages.subscription_error(ENCRYPTED, *REFUSED), SWIFT_HAS_NO_DATA),
    ("internal_subscription_error", messages.internal_subscription_error("private-a", *REFUSED), SWIFT_HAS_NO_DATA),
    ("the same, encrypted", messages.internal_subscription_error(ENCRYPTED, *REFUSED), SWIFT_HAS_NO_DATA),
    ("member_added", messages.member_added("presence-a", *MEMBER), ""),
    ("member_added without user_info", messages.member_added("presence-a", MEMBER[0], b""), ""),
    ("member_removed", messages.member_removed("presence-a", MEMBER[0]), ""),
    ("subscription_count", messages.subscription_count("news", 7), ""),
    ("subscription_count, encrypted", messages.subscription_count(ENCRYPTED, 7), ""),
    ("cache_miss", messages.cache_miss("cache-a"), ""),
    ("cache_miss, encrypted", messages.cache_miss(ENCRYPTED), ""),
    ("signin_success", messages.signin_success('{"id":"1"}'), SWIFT_HAS_NO_DATA),
    ("watchlist_events", messages.watchlist_events(["1"], ["2"]), ""),
    ("event", messages.event("news", "said", rb'"{\"a\":1}"'), ""),
    ("client event", messages.event("presence-a", "client-said", rb'"{\"a\":1}"', "1"), ""),
]


def java(message: dict[str, Any]) -> None:
    """Decode a message as the Java client does, with the same exceptions."""
    data = _text(message["data"])  # getData of a message without data is a NullPointerException
    event = message["event"]
    channel: str = message.get("channel", "")
    if event == "pusher:connection_established":
        assert isinstance(json.loads(data)["socket_id"], str)
    if event == "pusher:error":
        assert isinstance(json.loads(data)["message"], str)
        assert isinstance(json.loads(data)["code"], int)
    if event == "pusher:signin_success":
        assert isinstance(json.loads(json.loads(data)["user_data"])["id"], str)
    if channel.startswith("private-encrypted-") and data != "{}":
        # Every message on the channel is deciphered. Without these it is a NullPointerException, and a nonce of
        # another length is an IllegalArgumentException.
        sealed = json.loads(data)
        assert len(base64.b64decode(sealed["nonce"], validate=True)) == 24
        base64.b64decode(sealed["ciphertext"], validate=True)
    if event == "pusher_internal:subscription_succeeded" and channel.startswith("presence-"):
        presence = json.loads(data)["presence"]
        assert all(user_id in presence["hash"] for user_id in presence["ids"])


def dotnet(message: dict[str, Any]) -> None:
    """Decode a message as the .NET client does: ``data`` is a string or an object."""
    assert isinstance(message["event"], str)
    assert isinstance(message.get("channel", ""), str)
    assert isinstance(message.get("user_id", ""), str)  # it drops one that is a number
    data = json.loads(_text(message["data"]))
    match message["event"]:
        case "pusher:connection_established":
            assert isinstance(data["socket_id"], str)
        case "pusher:signin_success":
            assert isinstance(json.loads(data["user_data"])["id"], str)
        case "pusher_internal:watchlist_events":
            assert all(isinstance(user_id, str) for event in data["events"] for user_id in event["user_ids"])
        case "pusher_internal:member_added" | "pusher_internal:member_removed":
            assert isinstance(data["user_id"], str)


def swift(message: dict[str, Any]) -> None:
    """Decode a message as the Swift client does: an error is an object, any other ``data`` is a string."""
    if message["event"] == "pusher:error":
        assert isinstance(message["data"]["message"], str)
        return
    assert isinstance(message["data"], str), "data"
    assert isinstance(message.get("user_id", ""), str)


def pysher(message: dict[str, Any]) -> None:
    """Decode a message as Pysher does: the socket id is in a string, the code of an error in an object."""
    if message["event"] == "pusher:connection_established":
        assert json.loads(message["data"])["socket_id"]
    if message["event"] == "pusher:error":
        assert isinstance(message["data"]["code"], int)


def flutter_web(message: dict[str, Any]) -> None:
    """Decode a message as Flutter does on the web, behind pusher-js: ``data`` is an object, and its id is a string."""
    data = json.loads(_text(message["data"]))
    assert isinstance(data, dict)
    assert isinstance(data.get("user_id", ""), str)
    assert isinstance(data.get("user_info", {}), dict)


def _text(data: object) -> str:
    return data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))


READERS: list[Callable[[dict[str, Any]], None]] = [java, dotnet, swift, pysher, flutter_web]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize(("name", "message", "lost"), MESSAGES, ids=[name for name, _, _ in MESSAGES])
def test_every_client_reads_every_message(
    reader: Callable[[dict[str, Any]], None], name: str, message: Message, lost: str
) -> None:
    decoded = json.loads(message.text)
    if lost.startswith(f"{reader.__name__}:"):
        with pytest.raises(AssertionError, match=lost.partition(": ")[2]):
            reader(decoded)
    else:
        reader(decoded)


def test_a_refusal_has_one_name_for_dotnet_and_flutter_and_one_for_the_others() -> None:
    first, second = (
        json.loads(make("private-a", *REFUSED).text)
        for make in (messages.subscription_error, messages.internal_subscription_error)
    )
    assert (first.pop("event"), second.pop("event")) == (
        "pusher:subscription_error",
        "pusher_internal:subscription_error",
    )
    assert first == second


def test_a_number_as_the_id_of_a_sign_in_is_answered_as_a_string_which_all_clients_read() -> None:
    user_data = events.with_text_id('{"user_info":{"id":5},"id" : 5.0,"more":"\\ud83d"}', "5")
    assert user_data == '{"user_info":{"id":5},"id":"5","more":"\\ud83d"}'
    for reader in (java, dotnet):
        reader(json.loads(messages.signin_success(user_data).text))


def test_a_sign_in_with_a_string_as_its_id_is_answered_as_it_came() -> None:
    user_data = '{ "id": "ada", "user_info": {"id": 5} }'
    assert events.with_text_id(user_data, "ada") == user_data


def test_the_typed_clients_lose_a_sender_whose_id_is_a_number() -> None:
    message = json.loads(messages.event("presence-a", "client-said", b'"{}"', NumericId("1")).text)
    for reader in (dotnet, swift):
        with pytest.raises(AssertionError):
            reader(message)
