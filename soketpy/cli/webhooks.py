"""``soketpy webhooks``: the deliveries that wait, those that were given up, and a signed sample for a receiver."""

import argparse
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from soketpy.cli.app_lookup import apps_of
from soketpy.cli.faults import Failure, Mistake
from soketpy.cli.options import add_config, read_settings

if TYPE_CHECKING:
    from soketpy.core.deliveries import Delivery
    from soketpy.core.webhook_ports import DeadLetter, OperatorsQueue, QueueLength

T = TypeVar("T")

LIMIT = 50
"""Dead letters that ``failed`` prints, if the call does not name another number."""

QUEUED_AGAIN = (
    "Queued {} again. A running server sends them within a second, or to a failing endpoint when its pause has ended."
)

NO_ROOM = (
    "{} could not be queued: the queue of the endpoint is full (webhooks.queue_size). "
    "Retry when fewer deliveries wait (soketpy webhooks list)."
)

NO_CONFIGURATION = (
    "; this command found no configuration, so it looked at the queue of the defaults: "
    "give --config, or set SOKETPY_CONFIG or the variables of the server"
)

EPILOG = """\
examples:
  soketpy webhooks list --config soketpy.yaml       deliveries that wait, by app and webhook
  soketpy webhooks failed --config soketpy.yaml     deliveries that were given up (dead letters)
  soketpy webhooks retry --app-id 1                 send the dead letters of an app again
  soketpy webhooks purge --all                      remove all dead letters
  soketpy webhooks test --url https://example.com/webhooks --event member_added

The commands use the queue of the configuration. The server may run at the same time.
"""


def add(commands: Any) -> None:
    """Add the command with its five forms."""
    text = "Show and change the queue of webhooks, or send a sample."
    parser = commands.add_parser(
        "webhooks", help="show and change the queue of webhooks", description=text, epilog=EPILOG
    )
    forms = parser.add_subparsers(required=True, metavar="COMMAND", dest="form")

    forms.add_parser("list", help="the number of deliveries that wait").set_defaults(run=run_list)
    failed = forms.add_parser("failed", help="the deliveries that were given up, the newest first")
    failed.add_argument("--limit", type=_positive, default=LIMIT, metavar="N", help=f"most lines (default: {LIMIT})")
    failed.set_defaults(run=run_failed)
    retry = forms.add_parser("retry", help="queue deliveries that were given up once more")
    retry.set_defaults(run=run_retry)
    purge = forms.add_parser("purge", help="remove deliveries that were given up")
    purge.set_defaults(run=run_purge)
    for form in (retry, purge):
        chosen = form.add_mutually_exclusive_group(required=True)
        chosen.add_argument("id", metavar="ID", nargs="?", help="the id of one delivery, as `failed` prints it")
        chosen.add_argument("--app-id", "--app", metavar="APP", help="all such deliveries of one app")
        chosen.add_argument("--all", action="store_true", help="all such deliveries")
    test = forms.add_parser("test", help="send one signed sample to a URL, and print the answer", epilog=EPILOG)
    test.add_argument("--url", required=True, help="the receiver; a webhook of the app with this URL adds its headers")
    test.add_argument(
        "--event", metavar="TYPE", default="channel_occupied", help="the event type (default: %(default)s)"
    )
    test.add_argument(
        "--app-id", "--app", metavar="APP", help="the app that signs (default: the configuration's first app)"
    )
    test.set_defaults(run=run_test)
    for form in forms.choices.values():
        add_config(form)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def run_list(args: argparse.Namespace) -> int:
    """Print the number of deliveries of each endpoint, and the age of the oldest."""
    import time

    lengths: list[QueueLength] = []
    for found in _use(args, lambda queue: queue.lengths()):
        lengths += found
    for each in sorted(lengths, key=lambda each: (each.app_id, each.target, each.webhook_id)):
        age = max(0, round(time.time() - each.oldest))
        print(f"app {each.app_id}  {_endpoint(each)}  {each.length} waiting, the oldest for {age} s")
    if not lengths:
        print("No deliveries wait.")
    return 0


def run_failed(args: argparse.Namespace) -> int:
    """Print dead letters: when each died, its id, its app, its target, its events, and the reason."""
    from datetime import UTC, datetime

    from soketpy.config.errors import quote

    letters: list[DeadLetter] = []
    for found in _use(args, lambda queue: queue.dead(args.limit)):
        letters += found
    letters.sort(key=lambda each: each.died, reverse=True)
    for each in letters[: args.limit]:
        given = each.delivery
        died = datetime.fromtimestamp(each.died, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        events = f"{given.events} event{'s' if given.events != 1 else ''}"
        print(f"{died}  {given.id}  app {given.app_id}  {_endpoint(given)}  {events}  {quote(each.reason, 200)}")
    if not letters:
        print("No deliveries were given up.")
    return 0


def run_retry(args: argparse.Namespace) -> int:
    """Queue dead letters again. Raise Failure if there is none with the id, or if full queues have no room for any."""
    revivals = _use(args, lambda queue: queue.revive(args.app_id, args.id))
    queued, kept = sum(each.queued for each in revivals), sum(each.kept for each in revivals)
    if not kept:
        return _report(args, queued, QUEUED_AGAIN)
    if not queued:
        raise Failure(NO_ROOM.format(_deliveries(kept)))
    print(QUEUED_AGAIN.format(_deliveries(queued)))
    print(NO_ROOM.format(_deliveries(kept)))
    return 0


def run_purge(args: argparse.Namespace) -> int:
    """Remove dead letters. Raise Failure if there is none with the id."""
    changed = sum(_use(args, lambda queue: queue.purge(args.app_id, args.id)))
    return _report(args, changed, "Removed {}.")


def _report(args: argparse.Namespace, number: int, text: str) -> int:
    """Print the number of changed dead letters. Raise Failure if there is none with the id."""
    from soketpy.config.errors import quote

    if not number and args.id is not None:
        raise Failure(f"no delivery with the id {args.id!r} was given up")
    if not number and args.app_id is not None:
        print(f"No deliveries of the app {quote(args.app_id)} were given up.")
        return 0
    print(text.format(_deliveries(number)) if number else "No deliveries were given up.")
    return 0


def _deliveries(number: int) -> str:
    return f"{number} deliver{'y' if number == 1 else 'ies'}"


def _use(args: argparse.Namespace, act: "Callable[[OperatorsQueue], Awaitable[T]]") -> Sequence[T]:
    """Return the result of an operation for each queue of the configuration. Raise Failure if one is unavailable."""
    import asyncio

    from soketpy.core.webhook_ports import QueueUnavailable
    from soketpy.process.queues import operators_queues

    settings = read_settings(args, {})

    async def use() -> Sequence[T]:
        async with operators_queues(settings) as queues:
            return [await act(queue) for queue in queues]

    try:
        return asyncio.run(use())
    except QueueUnavailable as fault:
        raise Failure(f"{fault}{'' if settings.sources else NO_CONFIGURATION}") from None


def _endpoint(found: "QueueLength | Delivery") -> str:
    """Return the host and the id of a webhook. The path of its URL may be a secret."""
    from soketpy.core.webhooks import host_of

    return f"{host_of(found.target)} (webhook {found.webhook_id})"


def run_test(args: argparse.Namespace) -> int:
    """Send a sample. Raise Failure if the receiver does not accept it."""
    import asyncio
    import time
    from dataclasses import replace
    from uuid import uuid4

    from soketpy.core.deliveries import form
    from soketpy.core.webhooks import Webhook, url_problem
    from soketpy.process.webhooks import http_target
    from soketpy.protocol.event_types import EVENT_TYPES

    settings = read_settings(args, {})
    if args.event not in EVENT_TYPES:
        raise Mistake(f"--event: must be one of {', '.join(EVENT_TYPES)}")
    if (problem := url_problem(args.url)) is not None:
        raise Mistake(f"--url: {problem}")
    app = next((each for each in apps_of(settings, args.app_id) if args.app_id in (None, each.id)), None)
    if app is None:
        raise Mistake("no app in the configuration" if args.app_id is None else f"no app with the id {args.app_id}")
    own = next((each for each in app.webhooks if each.url == args.url), None)
    webhook = Webhook(url=args.url, event_types=(args.event,), headers={} if own is None else own.headers)
    asking = replace(app, webhooks=(webhook,))
    sample, delivery_id = _sample(app.id, args.event), str(uuid4())
    [delivery] = form([sample], lambda _: asking, time.time(), lambda *_: delivery_id, batching=False)
    print(f"POST {args.url}\n{delivery.body.decode()}\nsigned with the key {app.key}, delivery {delivery_id}")

    async def send() -> str:
        target = http_target(settings)
        try:
            return (await target.send(delivery, asking, webhook)).error
        finally:
            await target.close()

    if error := asyncio.run(send()):
        raise Failure(f"the receiver did not accept the webhook: {error}")
    print("The receiver accepted the webhook.")
    return 0


def _sample(app_id: str, name: str) -> Any:
    """Return an event of a type, with an example in each of its fields."""
    from soketpy.protocol.event_types import EventType
    from soketpy.protocol.webhooks import WebhookEvent

    user, socket = {"user_id": "1"}, {"socket_id": "123.456"}
    fields: dict[str, dict[str, Any]] = {
        EventType.CHANNEL_OCCUPIED: {},
        EventType.CHANNEL_VACATED: {},
        EventType.MEMBER_ADDED: {"channel": "presence-room", **user},
        EventType.MEMBER_REMOVED: {"channel": "presence-room", **user},
        EventType.CLIENT_EVENT: {"channel": "private-room", "event": "client-hello", "data": b'{"a":1}', **socket},
        EventType.CACHE_MISS: {"channel": "cache-news"},
        EventType.SUBSCRIPTION_COUNT: {"number": 1},
        EventType.USER_ONLINE: {"channel": "", **user},
        EventType.USER_OFFLINE: {"channel": "", **user},
        EventType.CONNECTION_OPENED: {"channel": "", **socket},
        EventType.CONNECTION_CLOSED: {"channel": "", "number": 1000, **socket},
        EventType.SUBSCRIBED: socket,
        EventType.UNSUBSCRIBED: socket,
    }
    return WebhookEvent(app_id, name, **{"channel": "news", **fields[name]})
