"""``soketpy bench``: measure a running server with a bounded load."""

import argparse
from typing import TYPE_CHECKING, Any

from soketpy.cli.credentials import add_credentials, pick
from soketpy.cli.faults import Mistake
from soketpy.cli.numbers import Between
from soketpy.cli.options import add_config, read_settings
from soketpy.cli.targets import add_origin, add_target, target_of

if TYPE_CHECKING:
    from soketpy.cli.call import Target

RESERVE = 64
"""File descriptors of the command that are no connections of the load."""

EPILOG = """\
examples:
  soketpy bench                                     100 connections, 50 events a second, 10 seconds
  soketpy bench --connections 1000 --rate 200 --publishers 4 --json
  soketpy bench --host ws.example.com --tls --app-id 1 --key k --secret s

All connections subscribe to one public channel of the test. The latency is the time from the request of a publisher
until a subscriber has the event. The exit code is 1 if an event was lost or arrived twice, a connection was closed,
or a request got no answer.
A load test of a server that is not yours needs the permission of its operator.
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Measure a running server with a bounded load: connections, events per second, latency, and lost events."
    parser = commands.add_parser("bench", help="measure a running server", description=text, epilog=EPILOG)
    for name, default, most, help in (
        ("connections", 100, 5000, "subscribers of the channel"),
        ("publishers", 1, 100, "publishers, which wait for each answer"),
        ("rate", 50, 5000, "events a second of all publishers"),
        ("seconds", 10, 600, "duration of the load"),
        ("size", 64, 8192, "bytes of filling in the data of each event"),
    ):
        shown = f"{help}, at most {most} (default: {default})"
        parser.add_argument(f"--{name}", type=Between(1, most), metavar="N", default=default, help=shown)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_target(parser)
    add_origin(parser)
    add_credentials(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the result. Raise Failure if an event was lost, and Mistake for a load that this machine cannot make."""
    import sys

    from soketpy.cli.load import Load, measure

    settings = read_settings(args)
    credentials = pick(settings, args.app_id, args.key, args.secret)
    target = target_of(args, settings)
    _make_room(args.connections + args.publishers + RESERVE)
    if not _is_local(target):
        note = f"this loads {target}: a load test of a server that is not yours needs the permission of its operator"
        print(f"soketpy bench: note: {note}", file=sys.stderr, flush=True)
    load = Load(args.connections, args.publishers, args.rate, args.seconds, args.size, args.origin)
    return measure(load, target, settings.prefix, credentials, as_json=args.json)


def _is_local(target: "Target") -> bool:
    from ipaddress import ip_address

    try:
        return target.unix_socket is not None or target.host == "localhost" or ip_address(target.host).is_loopback
    except ValueError:
        return False


def _make_room(files: int) -> None:
    """Allow this process to open so many files. Raise Mistake if the system does not allow it."""
    try:
        import resource
    except ImportError:
        return  # this system has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or files <= soft:
        return
    if hard != resource.RLIM_INFINITY and files > hard:
        raise Mistake(f"this process may open only {hard} files: raise the limit (ulimit -n), or lower --connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
