"""``soketpy apps``: show and change the apps of a database, here or over the admin API of a server."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote as encoded

from soketpy.cli.faults import Failure, Mistake
from soketpy.cli.options import add_config, add_remote, read_settings

if TYPE_CHECKING:
    from soketpy.cli.admin_calls import Call

T = TypeVar("T")

ROOT = "/admin/apps"

SHOWN_ONCE = "The secret is not shown again."

FOR_CHANGES = (
    "for a table that soketpy can change, set another registry.table, run this command again, and copy the apps: "
    "see docs/apps.md"
)

EPILOG = """\
examples:
  soketpy apps init --config soketpy.yaml        create the tables of the database
  soketpy apps add client_events=true max_connections=500
  soketpy apps set 1 webhooks=@webhooks.json
  soketpy apps rotate 1 --ends-in 7d             a new key; the older ones work for 7 more days
  soketpy apps list --json --admin-url https://admin.example.com --token-file token

The commands use the database of the configuration, or with --admin-url the admin API of a running server.
"""


def add(commands: Any) -> None:
    """Add the command with its forms."""
    text = "Show and change the apps of a database."
    parser = commands.add_parser("apps", help="show and change the apps of a database", description=text, epilog=EPILOG)
    forms = parser.add_subparsers(required=True, metavar="COMMAND", dest="form")
    forms.add_parser("list", help="all apps, a line each").set_defaults(run=run_list)
    _form(forms, "show", "one app, without its secrets", run_show)
    new = forms.add_parser("add", help="add an app, and print its secret", epilog=EPILOG)
    new.add_argument("fields", metavar="NAME=VALUE", nargs="*", help="a field of the app, such as client_events=true")
    new.add_argument("--id", help="id of the app (default: one at random)")
    new.set_defaults(run=run_add)
    changed = _form(forms, "set", "change fields of an app", run_set)
    changed.add_argument("fields", metavar="NAME=VALUE", nargs="+", help="a field of the app, such as enabled=false")
    rotate = _form(forms, "rotate", "add a new key to an app, and print its secret", run_rotate)
    end = rotate.add_mutually_exclusive_group()
    end.add_argument("--ends-in", metavar="TIME", help="end the older keys after 7d, 12h, 30m or 90s; 0 for now")
    end.add_argument("--ends-at", metavar="DATE", help="end the older keys at 2026-12-31 or 2026-12-31T12:00Z")
    for form in (new, rotate):
        form.add_argument("--key", help="the key (default: one at random)")
        form.add_argument("--secret-file", metavar="FILE", help="file with the secret of --key, - for standard input")
    _form(forms, "disable", "refuse the clients and requests of an app", run_switch)
    _form(forms, "enable", "serve a disabled app again", run_switch)
    remove = _form(forms, "remove", "remove an app, or one of its keys", run_remove)
    remove.add_argument("--key", help="remove this key only")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    for form in forms.choices.values():
        form.add_argument("--json", action="store_true", help="print JSON")
        add_config(form)
        add_remote(form)
    init = forms.add_parser("init", help="create the tables of the database, or bring them to the newest version")
    init.add_argument("--json", action="store_true", help="print JSON")
    init.set_defaults(run=run_init)
    add_config(init)


def _form(forms: Any, name: str, help: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """Add a form with the id of an app."""
    parser: argparse.ArgumentParser = forms.add_parser(name, help=help)
    parser.add_argument("id", metavar="ID", help="id of the app")
    parser.set_defaults(run=run)
    return parser


def run_list(args: argparse.Namespace) -> int:
    """Print all apps."""
    import time

    from soketpy.cli.app_texts import table_of

    async def read(call: "Call") -> list[Any]:
        found, after = [], ""
        while True:
            page = await call("GET", f"{ROOT}?after={encoded(after, safe='')}")
            found += page["apps"]
            if page["next"] is None:
                return found
            if not page["apps"] or page["next"] == after:
                raise Failure("the list of the server has no end")
            after = page["next"]

    apps, now = _use(args, read), time.time()
    _print(args, apps, table_of(apps, now) if apps else ["There are no apps."])
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one app without its secrets. Raise Failure if there is none."""
    return _call_and_show(args, "GET", _path(args))


def run_add(args: argparse.Namespace) -> int:
    """Add an app and print its secret."""
    from soketpy.cli.app_values import NEW, fields_of, named_options

    values = {**fields_of(args.fields, NEW), **_key_of(args), **({} if args.id is None else {"id": args.id})}
    with named_options():
        return _call_and_show_secret(args, ROOT, values)


def run_set(args: argparse.Namespace) -> int:
    """Change fields of an app, and print the app."""
    from soketpy.cli.app_values import CHANGED, fields_of

    return _call_and_show(args, "PATCH", _path(args), fields_of(args.fields, CHANGED))


def run_rotate(args: argparse.Namespace) -> int:
    """Add a key to an app and print its secret."""
    from soketpy.cli.app_values import future_time_of, named_options, seconds_of

    values = _key_of(args)
    if args.ends_in is not None:
        values["ends_in"] = seconds_of(args.ends_in)
    elif args.ends_at is not None:
        values["ends_at"] = future_time_of(args.ends_at)
    with named_options():
        return _call_and_show_secret(args, _path(args, "rotate"), values)


def run_switch(args: argparse.Namespace) -> int:
    """Enable or disable an app, and print what was done."""
    from soketpy.config.errors import quote

    app = _use(args, lambda call: call("POST", _path(args, args.form)))
    _print(args, app, [f"{args.form.capitalize()}d the app {quote(args.id)}."])
    return 0


def run_remove(args: argparse.Namespace) -> int:
    """Remove an app or one of its keys. Raise Mistake without a confirmation."""
    from soketpy.config.errors import quote

    what = f"the app {quote(args.id)}" if args.key is None else f"the key {quote(args.key)} of the app {quote(args.id)}"
    if not args.yes:
        _confirm(what)
    path = _path(args) if args.key is None else _path(args, "keys", args.key)
    _print(args, _use(args, lambda call: call("DELETE", path)), [f"Removed {what}."])
    return 0


def run_init(args: argparse.Namespace) -> int:
    """Create the tables that are missing, and print what was done. Raise Failure for a table of another program."""
    import asyncio

    from soketpy.cli.admin_calls import opened

    settings = read_settings(args, {})

    async def initialise() -> Iterable[str]:
        async with opened(settings) as registry:
            done = await registry.initialise()
            if not done and registry.writable is not None:
                raise Failure(f"{registry.writable}; {FOR_CHANGES}")
            return done

    done = list(asyncio.run(initialise()))
    _print(args, done, done or ["There was nothing to do."])
    return 0


def _key_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the key and the secret of a call. Raise Mistake for a secret without its key."""
    from soketpy.cli.secrets import read_secret

    if args.secret_file is not None and args.key is None:
        raise Mistake("--secret-file has no effect without --key")
    key = {} if args.key is None else {"key": args.key}
    return key if args.secret_file is None else {**key, "secret": read_secret(args.secret_file, "--secret-file")}


def _confirm(what: str) -> None:
    """Ask on the terminal. Raise Mistake without one, and Failure for another answer than yes."""
    if not sys.stdin.isatty():
        raise Mistake(f"removing {what} needs a confirmation: run the command on a terminal, or give --yes")
    print(f"Remove {what} and close its clients? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was removed")


def _path(args: argparse.Namespace, *below: str) -> str:
    """Return the path of the app of a call."""
    return "/".join([ROOT, *(encoded(part, safe="") for part in (args.id, *below))])


def _call_and_show(args: argparse.Namespace, method: str, path: str, value: object = None) -> int:
    import time

    from soketpy.cli.app_texts import lines_of

    app = _use(args, lambda call: call(method, path, value))
    _print(args, app, lines_of(app, time.time()))
    return 0


def _call_and_show_secret(args: argparse.Namespace, path: str, value: object) -> int:
    from soketpy.cli.app_texts import secret_lines

    app = _use(args, lambda call: call("POST", path, value))
    made = args.secret_file is None
    _print(args, app, [*secret_lines(app, shown=made), *([SHOWN_ONCE] if made else [])])
    return 0


def _print(args: argparse.Namespace, document: object, lines: Iterable[str]) -> None:
    import json

    print(json.dumps(document, indent=2) if args.json else "\n".join(lines))


def _use(args: argparse.Namespace, act: "Callable[[Call], Awaitable[T]]") -> T:
    """Return the result of calls of the admin API."""
    import asyncio

    from soketpy.cli.admin_calls import calls

    async def use() -> T:
        async with calls(args) as call:
            return await act(call)

    return asyncio.run(use())
