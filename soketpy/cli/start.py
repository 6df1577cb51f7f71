"""``soketpy start``: run the server until a signal stops it."""

import argparse
from typing import Any

from soketpy.cli.faults import Failure
from soketpy.cli.options import add_address, add_config
from soketpy.process.held_signals import held_signals

EPILOG = """\
examples:
  soketpy start                                    port 6001; the default app: id 1, key app-key, secret app-secret
  soketpy start --config soketpy.yaml --port 8080
  SOKETPY_APP_KEY=k SOKETPY_APP_SECRET=s soketpy start

signals: SIGTERM and SIGINT close the clients with 4200 and stop the server. SIGHUP reloads the apps of the
configuration. SIGUSR2 replaces the workers one after the other; a server of one process only logs it.
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = (
        "Run the server. Flags override SOKETPY_* variables, which override soketi's SOKETI_* variables and the file."
    )
    parser = commands.add_parser("start", help="run the server", description=text, epilog=EPILOG)
    add_config(parser)
    add_address(parser)
    parser.add_argument("--workers", metavar="N", help="processes on one port; auto: one per core (default: 1)")
    parser.add_argument("--debug", action="store_true", help="set log.level to debug")
    parser.add_argument("--hint", action="store_true", help="print how to connect (always printed on a terminal)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve. Raise ConfigError for a wrong configuration, and Failure if the port cannot be used."""
    with held_signals():
        try:
            from soketpy.cli.serving import run
        except ImportError as error:
            if error.name != "resource":
                raise
            raise Failure(str(error)) from None  # soketpy does not run on this system

        return run(args)
