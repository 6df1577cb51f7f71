"""What a client says: the text of one message, decoded and held to the protocol's form."""

import msgspec

from soketpy.protocol import channels
from soketpy.protocol.errors import BadMessage, Code, ConnectionRefused

CLIENT_PREFIX = "client-"

NOTHING = msgspec.Raw(b"")


class _Envelope(msgspec.Struct):
    """Every message: an event, and what belongs to it."""

    event: str
    data: msgspec.Raw = NOTHING
    channel: str | None = None


class Subscribe(msgspec.Struct, frozen=True):
    """``pusher:subscribe``. ``auth`` and ``channel_data`` may be of any type until the channel asks for them."""

    channel: str
    auth: object = None
    channel_data: object = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """``pusher:unsubscribe``."""

    channel: str


class SignIn(msgspec.Struct, frozen=True):
    """``pusher:signin``."""

    auth: str
    user_data: str


class Ping(msgspec.Struct, frozen=True):
    """``pusher:ping``."""


class Pong(msgspec.Struct, frozen=True):
    """``pusher:pong``."""


class ClientEvent(msgspec.Struct, frozen=True):
    """An event whose name starts with ``client-``; ``data`` is its JSON text, untouched."""

    name: str
    channel: str
    data: bytes


ClientMessage = Subscribe | Unsubscribe | SignIn | Ping | Pong | ClientEvent

PING, PONG = Ping(), Pong()


class Member(msgspec.Struct, frozen=True):
    """``channel_data`` of a presence channel: who joins. ``user_info`` is JSON text, empty where there was none."""

    user_id: str
    user_info: bytes


class User(msgspec.Struct, frozen=True):
    """``user_data`` of a sign-in. ``user_info`` is JSON text, empty where there was none."""

    id: str
    user_info: bytes
    watchlist: tuple[str, ...]


class _ChannelData(msgspec.Struct):
    user_id: str | int
    user_info: msgspec.Raw = NOTHING


class _UserData(msgspec.Struct):
    id: str
    user_info: msgspec.Raw = NOTHING
    watchlist: list[str] | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_subscribe = msgspec.json.Decoder(Subscribe)
_unsubscribe = msgspec.json.Decoder(Unsubscribe)
_sign_in = msgspec.json.Decoder(SignIn)
_channel_data = msgspec.json.Decoder(_ChannelData)
_user_data = msgspec.json.Decoder(_UserData)

# What decoding foreign JSON can raise: wrong syntax or type, bytes that are not UTF-8, nesting too deep.
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse(text: bytes) -> ClientMessage:
    """Read one message of a client. ``text`` is UTF-8 already.

    Raises BadMessage, saying what was wrong, for anything that is not of the protocol's form, and ConnectionRefused
    (4009) for a malformed ``pusher:signin``.
    """
    try:
        message = _envelope.decode(text)
    except _FAULTS as fault:
        raise BadMessage(f"The message is not a valid event: {_reason(fault)}.") from None
    name = message.event
    if name.startswith(CLIENT_PREFIX):
        if message.channel is None:
            raise BadMessage("A client event needs a channel.")
        return ClientEvent(name, message.channel, bytes(message.data) or b"null")
    try:
        match name:
            case "pusher:ping":
                return PING
            case "pusher:pong":
                return PONG
            case "pusher:subscribe":
                return _subscribe.decode(message.data)
            case "pusher:unsubscribe":
                return _unsubscribe.decode(message.data)
            case "pusher:signin":
                return _sign_in.decode(message.data)
    except _FAULTS as fault:
        problem = f"The data of {name} is not valid: {_reason(fault)}."
        if name == "pusher:signin":
            raise ConnectionRefused(Code.UNAUTHORIZED, problem) from None
        raise BadMessage(problem) from None
    raise BadMessage(f"The server has no event named {_shortened(name)}; client events start with {CLIENT_PREFIX}.")


def parse_member(channel_data: str) -> Member:
    """Read the ``channel_data`` of a presence channel; a ``user_id`` that is a number becomes its text.

    Raises ValueError, saying what was wrong.
    """
    try:
        found = _channel_data.decode(channel_data)
    except (*_FAULTS, UnicodeEncodeError) as fault:
        raise ValueError(f"The channel_data is not valid: {_reason(fault)}.") from None
    if found.user_id == "":
        raise ValueError("The user_id of the channel_data is empty.")
    return Member(str(found.user_id), bytes(found.user_info))


def parse_user(user_data: str) -> User:
    """Read the ``user_data`` of a sign-in. Raises ValueError, saying what was wrong."""
    try:
        found = _user_data.decode(user_data)
    except (*_FAULTS, UnicodeEncodeError) as fault:
        raise ValueError(f"The user_data is not valid: {_reason(fault)}.") from None
    if not found.id:
        raise ValueError("The id of the user_data is empty.")
    if not channels.reaches_user(found.id):
        raise ValueError("The id of the user_data has control characters.")
    return User(found.id, bytes(found.user_info), tuple(dict.fromkeys(found.watchlist or ())))


def _reason(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    if isinstance(fault, UnicodeError):
        return "it is not UTF-8"
    return str(fault).removeprefix("JSON is malformed: ")


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 50 else text[:50] + "…")
