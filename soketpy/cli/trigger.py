"""``soketpy trigger``: send one event to a channel of a running server."""

import argparse
from typing import Any

from soketpy.cli.credentials import add_credentials, pick
from soketpy.cli.escapes import escaped
from soketpy.cli.faults import Failure
from soketpy.cli.notes import note, of_data
from soketpy.cli.options import add_config, check_socket_id, read_settings
from soketpy.cli.targets import add_target, target_of

EPILOG = """\
examples:
  soketpy trigger my-channel my-event '{"message":"hello"}'
  soketpy trigger --config soketpy.yaml --key other-key news update 'plain text'
  soketpy trigger --host ws.example.com --tls --app-id 1 --key k --secret s my-channel my-event '{}'
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Send a signed event to the REST API and print the answer. DATA is sent unchanged."
    parser = commands.add_parser("trigger", help="send an event to a channel", description=text, epilog=EPILOG)
    parser.add_argument("channel", metavar="CHANNEL")
    parser.add_argument("event", metavar="EVENT")
    parser.add_argument("data", metavar="DATA", help="usually JSON")
    add_target(parser)
    add_credentials(parser)
    parser.add_argument("--socket-id", metavar="ID", help="connection that does not get the event")
    key_help = "a key that is new for each event: a repeated call with the same key publishes nothing"
    parser.add_argument("--idempotency-key", metavar="KEY", help=key_help)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Send the event and print the answer. Raise Failure if there is no answer, or if it is not a success."""
    import json
    import time
    from urllib.parse import quote

    from soketpy.cli.call import call
    from soketpy.cli.refusals import is_page, refusal
    from soketpy.protocol.signatures import signed_query

    if args.socket_id is not None:
        check_socket_id(args.socket_id)
    settings = read_settings(args)
    credentials = pick(settings, args.app_id, args.key, args.secret)
    event = {"name": args.event, "channels": [args.channel], "data": args.data}
    if args.socket_id is not None:
        event["socket_id"] = args.socket_id
    if args.idempotency_key is not None:
        event["idempotency_key"] = args.idempotency_key
    body = json.dumps(event).encode()
    note("trigger", of_data(args.channel, args.data), refused=False)
    path = f"{settings.prefix}/apps/{quote(credentials.app_id, safe='')}/events"
    query = signed_query(credentials.key, credentials.secret, "POST", path, body, int(time.time()))
    target = target_of(args, settings)
    status, text = call(target, "POST", f"{path}?{query}", body)
    if not 200 <= status < 300:
        raise refusal(target, status, text)
    if is_page(text):
        raise Failure(f"{target} is no REST API of a Pusher server: it answered with a page, HTTP {status}")
    print("\n".join(map(escaped, text.splitlines())))
    return 0
