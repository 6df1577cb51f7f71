"""``soketpy listen``: print the events of channels, from any Pusher server."""

import argparse
from typing import TYPE_CHECKING, Any

from soketpy.cli.credentials import Credentials, add_credentials, pick
from soketpy.cli.faults import Mistake
from soketpy.cli.numbers import positive, seconds
from soketpy.cli.options import add_config, read_settings
from soketpy.cli.targets import add_origin, add_target, target_of

if TYPE_CHECKING:
    from soketpy.cli.call import Target
    from soketpy.config import Settings

MOST_CHANNELS = 100
"""Channels of one call."""

EPILOG = """\
examples:
  soketpy listen my-channel
  soketpy listen private-news presence-room --user ada --json
  soketpy listen my-channel --count 1 --timeout 10       wait for one event, at most 10 seconds
  soketpy listen my-channel --cluster eu --key k         a public channel of Pusher itself
  soketpy listen private-news --host ws.example.com --tls --app-id 1 --key k --secret s

A line has the channel, the event and its data. Messages about the connection are on standard error. The exit code is
1 if the server refuses the connection or a channel, or if fewer events than --count arrive within --timeout.
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Print the events of channels, a line each, until Ctrl+C. The command signs with the secret of the app."
    parser = commands.add_parser("listen", help="print the events of channels", description=text, epilog=EPILOG)
    parser.add_argument("channels", metavar="CHANNEL", nargs="+")
    parser.add_argument("--json", action="store_true", help="print each event as a line of JSON")
    parser.add_argument("--count", type=positive, metavar="N", help="end after N events")
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="end after this time")
    parser.add_argument("--user", metavar="ID", help="the user that joins presence channels")
    parser.add_argument("--user-info", metavar="JSON", help="information about the user for the other members")
    help = "file with the master key of encrypted channels in base64, - for standard input (needs PyNaCl)"
    parser.add_argument("--master-key-file", metavar="FILE", help=help)
    add_target(parser, "wss")
    add_origin(parser)
    parser.add_argument("--cluster", metavar="NAME", help="a cluster of Pusher, such as eu, instead of a host")
    add_credentials(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print events. Raise Mistake for a wrong call, and Failure if the server refuses what is asked for."""
    from soketpy.cli.listening import listen
    from soketpy.cli.subscription import Subscriber

    _check(args)
    settings = read_settings(args)
    credentials = _credentials(args, settings)
    subscriber = Subscriber(credentials.key, credentials.secret, args.user, _info(args))
    prefix = "" if args.cluster is not None else settings.prefix
    return listen(args, _target(args, settings), prefix, subscriber)


def _check(args: argparse.Namespace) -> None:
    """Raise Mistake for channels that nobody can subscribe to, and for options that contradict each other."""
    from soketpy.protocol.channels import kind_of, name_fault

    if len(args.channels) > MOST_CHANNELS:
        raise Mistake(f"one call can listen to {MOST_CHANNELS} channels, not {len(args.channels)}")
    for channel in args.channels:
        if kind_of(channel).user:
            raise Mistake(f"{channel!r} needs a sign-in, which this command does not have")
        if (fault := name_fault(channel, len(channel) or 1)) is not None:
            raise Mistake(f"{channel!r} is no channel: {fault}")
        if kind_of(channel).presence and args.user is None:
            raise Mistake(f"{channel} is a presence channel: give the member with --user")
    if args.cluster is not None:
        if any(each is not None for each in (args.host, args.port, args.unix_socket)) or args.tls:
            raise Mistake("--cluster is instead of --host, --port, --unix-socket and --tls")
        if not (args.cluster.isascii() and args.cluster.replace("-", "").isalnum()):
            raise Mistake("--cluster: must be the name of a cluster, such as eu or us2")


def _target(args: argparse.Namespace, settings: "Settings") -> "Target":
    from soketpy.cli.call import Target
    from soketpy.cli.targets import HTTPS

    if args.cluster is None:
        return target_of(args, settings)
    return Target(f"ws-{args.cluster}.pusher.com", HTTPS, tls=True, verified=not args.insecure)


def _credentials(args: argparse.Namespace, settings: "Settings") -> "Credentials":
    """Return the key, and the secret if a channel needs it. A public channel of another server needs only ``--key``."""
    from soketpy.protocol.channels import kind_of

    if args.key is not None and args.secret is None and not any(kind_of(each).guarded for each in args.channels):
        return Credentials(args.app_id or "", args.key, "")
    return pick(settings, args.app_id, args.key, args.secret)


def _info(args: argparse.Namespace) -> Any:
    """Return the value of ``--user-info``. Raise Mistake for a text that is not JSON."""
    import json

    if args.user_info is None:
        return None
    try:
        return json.loads(args.user_info)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"--user-info: must be JSON: {error}") from None
