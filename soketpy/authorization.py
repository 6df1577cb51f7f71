"""Whether a client may join a guarded channel or sign in, and as whom."""

from soketpy.apps import App
from soketpy.protocol import channels, events, signatures
from soketpy.protocol.errors import Code, ConnectionRefused, SubscriptionRefused

AUTH_ERROR = "AuthError"
AUTH_STATUS = 401


def auth_holds(app: App, auth: str, text: str) -> bool:
    """Whether ``auth`` (``KEY:SIGNATURE``) is the signature of ``text`` by one of the app's keys."""
    key, signature = signatures.split_auth(auth)
    secret = app.secret_of(key)
    return secret is not None and signatures.holds(secret, text, signature)


def check_channel(app: App, socket_id: str, request: events.Subscribe) -> None:
    """Hold a subscription of a guarded channel to its signature. Raises SubscriptionRefused."""
    auth, channel_data = request.auth, request.channel_data
    if auth is None:
        raise _auth_error("The channel needs an auth, which the app's own server signs.")
    if not isinstance(auth, str) or not isinstance(channel_data, str | None):
        raise _auth_error("The auth and the channel_data must be strings.")
    text = signatures.channel_text(socket_id, request.channel, channel_data)
    if not auth_holds(app, auth, text):
        raise _auth_error(f"The auth is not KEY:SIGNATURE with the signature of {_quoted(text)}.")


def check_user_channel(user: events.User | None, channel: str) -> None:
    """Hold a subscription of a user's own channel to who is signed in. Raises SubscriptionRefused."""
    if user is None or channels.user_of(channel) != user.id:
        raise _auth_error("Only a connection that is signed in as the user may subscribe.")


def member_of(app: App, user: events.User | None, request: events.Subscribe) -> events.Member:
    """Who joins a presence channel: the one of ``channel_data`` or, without it, the signed-in user.

    Raises SubscriptionRefused for a member that is not well-formed or over the app's limits.
    """
    if isinstance(request.channel_data, str):
        try:
            member = events.parse_member(request.channel_data)
        except ValueError as fault:
            raise _auth_error(str(fault)) from None
    elif user is None:
        raise _auth_error("A presence channel needs channel_data, or a connection that is signed in.")
    else:
        member = events.Member(user.id, user.user_info)
    if len(member.user_id) > app.max_user_id_length:
        raise limit_reached(f"A user_id may have {app.max_user_id_length} characters at most.")
    size, most = len(member.user_info), app.max_presence_member_size
    if size > most:
        raise limit_reached(f"The user_info has {size} bytes; the app allows {most}.")
    return member


def user_of(app: App, socket_id: str, request: events.SignIn) -> events.User:
    """Who signs in, with as much of the watchlist as the app lets be. Raises ConnectionRefused (4009)."""
    if not auth_holds(app, request.auth, signatures.user_text(socket_id, request.user_data)):
        raise ConnectionRefused(Code.UNAUTHORIZED, "The signature of the sign-in does not hold.")
    try:
        user = events.parse_user(request.user_data)
    except ValueError as fault:
        raise ConnectionRefused(Code.UNAUTHORIZED, str(fault)) from None
    if len(user.id) > app.max_user_id_length:
        reason = f"A user id may have {app.max_user_id_length} characters at most."
        raise ConnectionRefused(Code.UNAUTHORIZED, reason)
    return user


def limit_reached(reason: str, status: int = Code.UNAUTHORIZED) -> SubscriptionRefused:
    """A subscription that one of the app's limits forbids."""
    return SubscriptionRefused("LimitReached", status, reason)


def _auth_error(reason: str) -> SubscriptionRefused:
    return SubscriptionRefused(AUTH_ERROR, AUTH_STATUS, reason)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 300 else text[:300] + "…")
