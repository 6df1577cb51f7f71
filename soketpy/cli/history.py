"""``soketpy history``: print the stored events of a channel of a running server."""

import argparse
from typing import Any

from soketpy.cli.credentials import add_credentials, pick
from soketpy.cli.escapes import escaped
from soketpy.cli.faults import Failure
from soketpy.cli.numbers import Between
from soketpy.cli.options import add_config, read_settings
from soketpy.cli.targets import add_target, target_of

MOST = 1_000
"""The most events of one call of the REST API."""

EPILOG = """\
examples:
  soketpy history my-channel
  soketpy history private-orders-7 --limit 5 --json
  soketpy history my-channel --after 4f1c2a90b3d5e678:41
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Print stored events of a channel with history, the oldest first: the last ones, or those after a position."
    parser = commands.add_parser("history", help="print the log of a channel", description=text, epilog=EPILOG)
    parser.add_argument("channel", metavar="CHANNEL")
    parser.add_argument("--after", metavar="ID", help="print the events that follow this one")
    parser.add_argument("--limit", metavar="N", type=Between(1, MOST), default=100, help="most events (default: 100)")
    parser.add_argument("--json", action="store_true", help="print the answer of the server as JSON")
    add_target(parser)
    add_credentials(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the events. Return 1 if events after ``--after`` are missing. Raise Failure for any other answer."""
    import json
    import sys
    import time
    from urllib.parse import quote

    from soketpy.cli.call import call
    from soketpy.cli.refusals import refusal
    from soketpy.protocol.signatures import signed_query

    settings = read_settings(args)
    credentials = pick(settings, args.app_id, args.key, args.secret)
    app, channel = quote(credentials.app_id, safe=""), quote(args.channel, safe="")
    path = f"{settings.prefix}/apps/{app}/channels/{channel}/events"
    asked = {"limit": str(args.limit)}
    asked |= {"direction": "backwards"} if args.after is None else {"after": args.after}
    now = int(time.time())
    query = signed_query(credentials.key, credentials.secret, "GET", path, b"", now, asked)
    target = target_of(args, settings)
    status, text = call(target, "GET", f"{path}?{query}")
    if not 200 <= status < 300:
        raise refusal(target, status, text)
    try:
        page = json.loads(text)
        events = list(page["events"])
        if args.after is None:
            events.reverse()
        lines = [_line_of(event) for event in events]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Failure("the answer is not that of a server with history") from None
    if args.json:
        print(json.dumps({**page, "events": events}))
    else:
        print("".join(f"{line}\n" for line in lines), end="")
    if page.get("complete") is False:
        print("soketpy history: events after this position are missing, or the log has started again", file=sys.stderr)
        return 1
    return 0


def _line_of(event: dict[str, Any]) -> str:
    """Return an event in one line: its id, its time (UTC), its name, its data, and the user who sent it (if known)."""
    import json
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(event["time_ms"] / 1000, UTC).isoformat(timespec="milliseconds")
    data = event["data"] if isinstance(event["data"], str) else json.dumps(event["data"])
    words = [event["id"], moment.replace("+00:00", "Z"), event["name"], data]
    if event.get("user_id") is not None:
        words.append(f"(user {event['user_id']})")
    return " ".join(escaped(str(word)) for word in words if word != "")
