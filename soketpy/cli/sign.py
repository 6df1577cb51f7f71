"""``soketpy sign``: print the signed text and the signature, to make a request by hand or to debug a refused one."""

import argparse
from typing import Any

from soketpy.cli.credentials import Credentials, add_credentials, pick
from soketpy.cli.faults import Failure, Mistake
from soketpy.cli.notes import note, of_body, of_channel, of_method, of_query, of_user
from soketpy.cli.options import add_config, check_socket_id, read_settings

_MEMBER = '{"user_id":"1"}'
EPILOG = """\
examples:
  soketpy sign rest POST /apps/1/events --body '{"name":"e","channels":["c"],"data":"{}"}'
  soketpy sign rest GET '/apps/1/channels?info=user_count&filter_by_prefix=presence-'
  soketpy sign rest GET 'http://host/apps/1/channels?auth_key=…&auth_signature=…'     verifies that URL
  soketpy sign channel 123.456 private-news
  soketpy sign channel 123.456 presence-room --channel-data '{"user_id":"1"}' --verify app-key:58df8b0c…
  soketpy sign user 123.456 '{"id":"1"}'
"""


def add(commands: Any) -> None:
    """Add the command with its three forms."""
    text = "Print the text that is signed and its signature."
    parser = commands.add_parser("sign", help="sign a request or an authorization", description=text, epilog=EPILOG)
    forms = parser.add_subparsers(required=True, metavar="COMMAND", dest="form")

    rest = forms.add_parser("rest", help="a request to the REST API", epilog=EPILOG)
    rest.add_argument("method", metavar="METHOD")
    rest.add_argument(
        "path", metavar="PATH", help="path or URL, with its query; if it has a signature, the signature is verified"
    )
    rest.add_argument("--body", default="", help="the body of the request, byte for byte")
    rest.add_argument("--timestamp", type=int, metavar="SECONDS", help="Unix time of the request (default: now)")

    channel = forms.add_parser("channel", help="an authorization to join a channel", epilog=EPILOG)
    channel.add_argument(
        "socket_id", metavar="SOCKET_ID", help="socket id of the connection: two numbers, such as 123.456"
    )
    channel.add_argument("channel", metavar="CHANNEL", nargs="?", help="a private or presence channel")
    channel.add_argument("--channel-data", metavar="JSON", help="member of a presence channel")

    user = forms.add_parser("user", help="a user's sign-in", epilog=EPILOG)
    user.add_argument(
        "socket_id", metavar="SOCKET_ID", help="socket id of the connection: two numbers, such as 123.456"
    )
    user.add_argument("user_data", metavar="USER_DATA", nargs="?", help='JSON, such as {"id":"1"}')

    for form, run in ((rest, run_rest), (channel, run_channel), (user, run_user)):
        if form is not rest:
            form.add_argument("--verify", metavar="AUTH", help="verify this KEY:SIGNATURE")
        add_credentials(form)
        add_config(form)
        form.set_defaults(run=run)


def run_rest(args: argparse.Namespace) -> int:
    """Print a signed path, or verify the signature of a signed path. Raise Failure if the signature is wrong."""
    import time
    from urllib.parse import urlsplit

    from soketpy.protocol.requests import parse_query
    from soketpy.protocol.signatures import SIGNATURE_PARAMETER, body_md5, rest_text, signed_query

    try:
        url = urlsplit(args.path)
        query = parse_query(url.query)
        unencoded = parse_query(url.query, plus_is_space=False)
    except ValueError as error:
        raise Mistake(f"{args.path!r} is not a path or URL: {error}") from None
    if not url.path.startswith("/"):
        raise Mistake(f"the path must begin with /, not {args.path!r}")
    method, body, given = args.method.upper(), args.body.encode("utf-8", "surrogateescape"), dict(query)
    args.app_id = _app_of(url.path, args.app_id)
    note("sign", of_method(method))
    if SIGNATURE_PARAMETER in given:
        note("sign", of_query(given, time.time()))
        if not _is_signed(args, method, url.path, query) and _is_signed(args, method, url.path, unencoded):
            query, given = unencoded, dict(unencoded)
        credentials = _credentials(args, given.get("auth_key"))
        if body and given.get("body_md5") != body_md5(body):
            raise Failure(f"body_md5 is not that of the body, which is {body_md5(body)}")
        note("sign", of_body(body))
        return _show(credentials, rest_text(method, url.path, query), given[SIGNATURE_PARAMETER])
    credentials = _credentials(args, None)
    note("sign", of_body(body))
    timestamp = int(time.time()) if args.timestamp is None else args.timestamp
    signed = signed_query(credentials.key, credentials.secret, method, url.path, body, timestamp, given)
    _show(credentials, rest_text(method, url.path, parse_query(signed)), None)
    origin = f"{url.scheme}://{url.netloc}" if url.netloc else ""
    print(f"\n{origin}{url.path}?{signed}")
    return 0


def run_channel(args: argparse.Namespace) -> int:
    """Print the auth value for a channel. Raise Mistake for a channel that needs none."""
    from soketpy.protocol.channels import kind_of
    from soketpy.protocol.signatures import channel_text

    check_socket_id(args.socket_id)
    if args.channel is None:
        raise Mistake("give the channel behind the socket id, such as: soketpy sign channel 123.456 private-news")
    kind = kind_of(args.channel)
    if not kind.guarded:
        what = "the channel of a user, for which `soketpy sign user` signs" if kind.user else "public"
        raise Mistake(
            f"{args.channel} is {what}; only channels that begin with private- or presence- have an auth of their own"
        )
    if kind.presence and args.channel_data is None:
        raise Mistake(f"{args.channel} is a presence channel: give its member, such as --channel-data '{_MEMBER}'")
    code = _authorize(args, channel_text(args.socket_id, args.channel, args.channel_data))
    note("sign", of_channel(args.channel, args.channel_data))
    return code


def run_user(args: argparse.Namespace) -> int:
    """Print the auth value for a user."""
    from soketpy.protocol.signatures import user_text

    check_socket_id(args.socket_id)
    if args.user_data is None:
        raise Mistake('give the user behind the socket id, such as: soketpy sign user 123.456 \'{"id":"1"}\'')
    code = _authorize(args, user_text(args.socket_id, args.user_data))
    note("sign", of_user(args.user_data))
    return code


def _app_of(path: str, given: str | None) -> str | None:
    """Return the id of the app in the path of a request, or else the ``given`` one. Raise Mistake if both differ."""
    from urllib.parse import unquote

    from soketpy.config.errors import quote

    _, mark, rest = path.partition("/apps/")
    found = unquote(rest.partition("/")[0])
    if not mark or not found:
        return given
    if given not in (None, found):
        raise Mistake(f"the path is one of the app {quote(found)}, and --app-id is {quote(str(given))}")
    return found


def _authorize(args: argparse.Namespace, text: str) -> int:
    from soketpy.protocol.signatures import sign, split_auth

    key, signature = split_auth(args.verify) if args.verify is not None else (None, None)
    credentials = _credentials(args, key)
    _show(credentials, text, signature)
    if signature is None:
        print(f"\nauth: {credentials.key}:{sign(credentials.secret, text)}")
    return 0


def _credentials(args: argparse.Namespace, key: str | None) -> Credentials:
    if key is not None and args.key not in (None, key):
        raise Failure(f"signed with the key {key}, not {args.key}")
    return pick(read_settings(args, {}), args.app_id, args.key if key is None else key, args.secret)


def _is_signed(args: argparse.Namespace, method: str, path: str, query: list[tuple[str, str]]) -> bool:
    """Return whether the signature holds for this reading of the query."""
    from soketpy.protocol.signatures import SIGNATURE_PARAMETER, holds, rest_text

    try:
        credentials = _credentials(args, dict(query).get("auth_key"))
    except (Mistake, Failure):
        return False
    return holds(credentials.secret, rest_text(method, path, query), dict(query)[SIGNATURE_PARAMETER])


def _show(credentials: Credentials, text: str, claimed: str | None) -> int:
    from soketpy.protocol.signatures import holds, sign

    print(f"signed with the secret of {credentials.key}:\n{text}\n\nsignature: {sign(credentials.secret, text)}")
    if claimed is not None:
        if not holds(credentials.secret, text, claimed):
            raise Failure(f"the signature does not hold: {claimed}")
        print("The signature holds.")
    return 0
