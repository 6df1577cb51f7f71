"""What can go wrong in a conversation, with the codes that Pusher's protocol page gives it."""

from enum import IntEnum


class Code(IntEnum):
    """Codes of ``pusher:error`` and of the close frame.

    A client gives up after 4000-4099, backs off for at least a second after 4100-4199, and reconnects at once
    after 4200-4299 (Pusher Channels Protocol, "Connection closure"). 4300-4399 leave the connection open.
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
    """A message that is answered with a ``pusher:error``. Raise one of the classes below."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ClientEventRejected(ProtocolError):
    """A client event that is not passed on (4301), and its channel; the connection stays."""

    def __init__(self, channel: str, message: str) -> None:
        super().__init__(Code.CLIENT_EVENT_REJECTED, message)
        self.channel = channel


class BadMessage(ProtocolError):
    """A message that is not of the protocol's form; each counts against the connection's budget."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.BAD_MESSAGE, message)


class ConnectionRefused(ProtocolError):
    """Answered with a ``pusher:error`` and a close frame of the same code."""


class SubscriptionRefused(Exception):
    """Answered with a ``pusher:subscription_error``; the connection stays.

    ``logged`` is the message without what may be personal or secret, for the log; by default the message itself.
    """

    def __init__(self, type: str, status: int, message: str, logged: str | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.status = status
        self.message = message
        self.logged = logged or message
