"""The codes of the protocol, as its page in Pusher's documents gives them."""

import pytest

from soketpy.protocol.errors import (
    BadMessage,
    ClientEventRejected,
    Code,
    ConnectionRefused,
    ProtocolError,
    SubscriptionRefused,
)

GIVE_UP, BACK_OFF, AT_ONCE, STAY = range(40, 44)


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (Code.TLS_ONLY, 4000),
        (Code.NO_SUCH_APP, 4001),
        (Code.APP_DISABLED, 4003),
        (Code.OVER_QUOTA, 4004),
        (Code.NO_SUCH_PATH, 4005),
        (Code.BAD_VERSION, 4006),
        (Code.UNSUPPORTED_PROTOCOL, 4007),
        (Code.NO_PROTOCOL, 4008),
        (Code.UNAUTHORIZED, 4009),
        (Code.OVER_CAPACITY, 4100),
        (Code.RECONNECT, 4200),
        (Code.NO_PONG, 4201),
        (Code.INACTIVE, 4202),
        (Code.CLIENT_EVENT_REJECTED, 4301),
        (Code.WATCHLIST_TOO_LONG, 4302),
    ],
)
def test_a_code_is_pushers(code: Code, number: int) -> None:
    assert code == number


@pytest.mark.parametrize(
    ("code", "range_of_hundred"),
    [
        (Code.UNAUTHORIZED, GIVE_UP),
        (Code.OVER_CAPACITY, BACK_OFF),
        (Code.RECONNECT, AT_ONCE),
        (Code.BAD_MESSAGE, STAY),
    ],
)
def test_the_range_of_a_code_tells_the_client_what_to_do(code: Code, range_of_hundred: int) -> None:
    assert code // 100 == range_of_hundred


def test_an_error_carries_its_code_and_its_reason() -> None:
    refused = ConnectionRefused(Code.NO_SUCH_APP, "no such app")
    assert isinstance(refused, ProtocolError)
    assert (refused.code, refused.message, str(refused)) == (4001, "no such app", "no such app")


def test_a_bad_message_leaves_the_connection_open() -> None:
    assert BadMessage("bad").code == 4300


def test_a_refused_subscription_carries_its_type_and_status() -> None:
    refused = SubscriptionRefused("AuthError", 401, "no auth")
    assert (refused.type, refused.status, refused.message, str(refused)) == ("AuthError", 401, "no auth", "no auth")


def test_a_refused_client_event_names_its_channel() -> None:
    refused = ClientEventRejected("private-a", "The app has client events switched off.")
    assert (refused.code, refused.channel) == (4301, "private-a")
    assert refused.message == str(refused) == "The app has client events switched off."
