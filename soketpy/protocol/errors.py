"""The errors of a connection, with the codes of Pusher's protocol page."""

from enum import IntEnum


class Code(IntEnum):
    """Codes of ``pusher:error`` and of the close frame.

    A client does not reconnect after 4000-4099, waits at least a second after 4100-4199, and reconnects at once
    after 4200-4299 (Pusher Channels Protocol, "Connection closure"). After 4300-4399 the connection stays open.
    """

    TLS_ONLY = 4000
    NO_SUCH_APP = 4001
    APP_DISABLED = 4003
    OVER_QUOTA = 4004
    NO_SUCH_PATH = 4005
    BAD_VERSION = 4006
    UNSUPPORTED_PROTOCOL = 4007
    NO_PROTOCOL = 4008
    UNAUTHORIZED = 4009
    OVER_CAPACITY = 4100
    RECONNECT = 4200
    NO_PONG = 4201
    INACTIVE = 4202
    BAD_MESSAGE = 4300
    CLIENT_EVENT_REJECTED = 4301
    WATCHLIST_TOO_LONG = 4302


class ProtocolError(Exception):
    """An error that the client gets as a ``pusher:error``. Raise one of the subclasses."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ClientEventRejected(ProtocolError):
    """A client event that is not forwarded (4301), and its channel. The connection stays open."""

    def __init__(self, channel: str, message: str) -> None:
        super().__init__(Code.CLIENT_EVENT_REJECTED, message)
        self.channel = channel


class BadMessage(ProtocolError):
    """A malformed message. The connection may send a limited number of them."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.BAD_MESSAGE, message)


class ConnectionRefused(ProtocolError):
    """An error that closes the connection: the client gets a ``pusher:error`` and a close frame with the same code."""


class SubscriptionRefused(Exception):
    """A refused subscription: the client gets a ``pusher:subscription_error``. The connection stays open.

    ``logged`` is the text for the log, without personal or secret parts. By default it is the message itself.
    """

    def __init__(self, type: str, status: int, message: str, logged: str | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.status = status
        self.message = message
        self.logged = logged or message
