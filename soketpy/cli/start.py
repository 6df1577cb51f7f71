"""``soketpy start``: run the server until it is told to stop."""

import argparse
import asyncio
import logging
import sys
from typing import Any

from soketpy import __version__, workers
from soketpy.cli.faults import Failure
from soketpy.cli.hint import hint
from soketpy.cli.options import add_address, add_config, address_flags, config_path, read_settings
from soketpy.cluster import Unreachable
from soketpy.config import Settings
from soketpy.config.settings import DEFAULT_SECRET
from soketpy.log import configure
from soketpy.server import event_loop, serve

log = logging.getLogger("soketpy")

EPILOG = """\
examples:
  soketpy start                                    one app on port 6001: app-id, app-key, app-secret
  soketpy start --config soketpy.yaml --port 8080
  SOKETPY_APP_KEY=k SOKETPY_APP_SECRET=s soketpy start

signals: SIGTERM and SIGINT close the clients with 4200 and stop; SIGHUP reads the apps of the configuration anew;
of several workers, SIGUSR2 puts new ones in the place of the old, one after the other; a single process only logs it.
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Run the server. Flags win over SOKETPY_* variables, those over soketi's SOKETI_*, and those over the file."
    parser = commands.add_parser("start", help="run the server", description=text, epilog=EPILOG)
    add_config(parser)
    add_address(parser)
    parser.add_argument("--workers", metavar="N", help="processes on one port; auto: one per core (default: 1)")
    parser.add_argument("--debug", action="store_true", help="log everything")
    parser.add_argument("--hint", action="store_true", help="print how to connect (on a terminal, always)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve. Raises ConfigError for a configuration that does not work, and Failure where the port cannot be had."""
    flags = address_flags(args)
    if args.workers is not None:
        flags["workers"] = args.workers
    if args.debug:
        flags["log.level"] = "debug"

    def read() -> Settings:
        return read_settings(args, flags)

    settings = read()
    configure(settings.log.level, settings.log.format)
    _announce(settings)

    ready = False

    def greet(port: int | None) -> None:
        nonlocal ready
        ready = True
        if args.hint or sys.stdout.isatty():
            _print_hint("\n" + hint(settings, port, read_settings(args, {}), config_path(args)))

    serving = serve if workers.number_of(settings) == 1 else workers.serve

    try:
        with asyncio.Runner(loop_factory=event_loop()) as runner:
            runner.run(serving(settings, read, greet))
    except Unreachable as fault:
        log.error("%s", fault)  # noqa: TRY400 - no traceback
        return 1
    except OSError as error:
        if ready:
            raise
        raise Failure(error.strerror or str(error)) from None
    return 0


def _print_hint(text: str) -> None:
    """Print it, if there is somebody to read it; the server goes on in any case."""
    try:
        print(text, flush=True)
    except OSError as error:
        log.warning("The hint could not be printed: %s", error.strerror or error)


def _announce(settings: Settings) -> None:
    sources = ", ".join(settings.sources) or "its defaults"
    log.info("soketpy %s starts with %s", __version__, sources)
    if settings.ignored:
        log.warning("Without effect in this version: %s", ", ".join(settings.ignored))
    for app in settings.apps:
        if any(pair.secret == DEFAULT_SECRET for pair in app.keys):
            log.warning("App %s has the default secret, which everybody knows: for your own machine only", app.id)
