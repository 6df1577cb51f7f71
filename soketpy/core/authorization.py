"""The checks that decide who may subscribe to a guarded channel or sign in."""

import re

from soketpy.core.apps import App
from soketpy.protocol import channels, events, grammar, ids, signatures
from soketpy.protocol.errors import Code, ConnectionRefused, SubscriptionRefused

AUTH_ERROR = "AuthError"
AUTH_STATUS = 401


def auth_holds(app: App, auth: str, text: str) -> bool:
    """Return whether ``auth`` (``KEY:SIGNATURE``) is the signature of ``text`` by one of the app's keys."""
    key, signature = signatures.split_auth(auth)
    secret = app.secret_of(key)
    return secret is not None and signatures.holds(secret, text, signature)


def check_channel(app: App, socket_id: str, request: events.Subscribe) -> None:
    """Check the signature of a subscription of a guarded channel. Raise SubscriptionRefused if it is wrong."""
    auth, channel_data = request.auth, request.channel_data
    if auth is None:
        raise _auth_error("The channel needs an auth, which the app's own server signs.")
    if not isinstance(auth, str) or not isinstance(channel_data, str | None):
        raise _auth_error("The auth and the channel_data must be strings.")
    text = signatures.channel_text(socket_id, request.channel, channel_data)
    if not auth_holds(app, auth, text):
        raise _wrong_auth(app, auth, request.channel, text)


def check_user_channel(user: events.User | None, channel: str) -> None:
    """Check that the channel belongs to the signed-in user. Raise SubscriptionRefused if it does not."""
    if user is None or channels.user_of(channel) != user.id:
        raise _auth_error("Only a connection that is signed in as the user may subscribe.")


def member_of(app: App, user: events.User | None, request: events.Subscribe) -> events.ChannelData:
    """Return the member that ``channel_data`` names or, without channel_data, the signed-in user.

    Raise SubscriptionRefused for a malformed member and for one over the app's limits.
    """
    if isinstance(request.channel_data, str):
        try:
            member = events.parse_member(request.channel_data)
        except ValueError as fault:
            raise _auth_error(str(fault)) from None
    elif user is None:
        raise _auth_error("A presence channel needs channel_data, or a connection that is signed in.")
    else:
        member = events.ChannelData(user.id, user.user_info)
    if len(member.user_id) > app.max_user_id_length:
        raise limit_reached(f"A user_id may have {app.max_user_id_length} characters at most.")
    most = app.max_presence_member_size
    if len(member.user_info) > most:
        if (size := grammar.size(member.user_info)) > most:
            raise limit_reached(f"The user_info has {size} bytes; the app allows {most}.", Code.CLIENT_EVENT_REJECTED)
        member = events.ChannelData(member.user_id, grammar.compact(member.user_info))
    if _is_kept(app, member.user_id):
        return member
    return events.ChannelData(str(member.user_id), member.user_info)


def user_of(app: App, socket_id: str, request: events.SignIn) -> events.User:
    """Return the user that ``user_data`` names. Raise ConnectionRefused (4009) for a wrong signature or user."""
    if not auth_holds(app, request.auth, signatures.user_text(socket_id, request.user_data)):
        raise ConnectionRefused(Code.UNAUTHORIZED, "The signature of the sign-in is invalid.")
    try:
        user = events.parse_user(request.user_data)
    except ValueError as fault:
        raise ConnectionRefused(Code.UNAUTHORIZED, str(fault)) from None
    if len(user.id) > app.max_user_id_length:
        reason = f"A user id may have {app.max_user_id_length} characters at most."
        raise ConnectionRefused(Code.UNAUTHORIZED, reason)
    if _is_kept(app, user.id):
        return user
    return events.User(str(user.id), user.user_info, user.watchlist)


def signed_in_data(app: App, user: events.User, user_data: str) -> str:
    """Return the ``user_data`` that answers a sign-in.

    It is the client's own text, with one exception: pusher-js, Java and .NET cannot read an id that is a number, so the
    id becomes a string unless the app has ``numeric_ids``.
    """
    if app.numeric_ids or not _NUMBER_AS_ID.search(user_data):
        return user_data
    return events.with_text_id(user_data, user.id)


_NUMBER_AS_ID = re.compile(r'"id"\s*:\s*[-0-9]')


def _is_kept(app: App, user_id: str) -> bool:
    """Return whether a user id stays as it is. A number stays a number only if the app has ``numeric_ids``."""
    return app.numeric_ids or not isinstance(user_id, ids.NumericId)


def limit_reached(reason: str, status: int = Code.UNAUTHORIZED) -> SubscriptionRefused:
    """Return the error for a subscription that is over a limit of the app."""
    return SubscriptionRefused("LimitReached", status, reason)


def _wrong_auth(app: App, auth: str, channel: str, text: str) -> SubscriptionRefused:
    """Return the error for a wrong auth, in Pusher's words. ``text`` is the text that must be signed."""
    key, signature = signatures.split_auth(auth)
    if not key or not signature:
        return _auth_error(f"Auth value for subscription to {channel} is invalid: should be of format 'key:signature'")
    if app.secret_of(key) is None:
        return _auth_error(f"Invalid key in subscription auth data: '{_shortened(key)}'")
    expected, got = _shortened(text), _shortened(signature)
    return SubscriptionRefused(
        AUTH_ERROR,
        AUTH_STATUS,
        f"Invalid signature: Expected HMAC SHA256 hex digest of {expected}, but got {got}",
        logged="Invalid signature; the error at the client contains the text that must be signed.",
    )


def _auth_error(reason: str) -> SubscriptionRefused:
    return SubscriptionRefused(AUTH_ERROR, AUTH_STATUS, reason)


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"
