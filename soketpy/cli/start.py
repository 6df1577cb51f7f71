"""``soketpy start``: run the server until it is told to stop."""

import argparse
from typing import Any

from soketpy.cli.faults import Failure
from soketpy.cli.options import add_address, add_config

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
    try:
        from soketpy.cli.serving import run
    except ImportError as error:
        if error.name != "resource":
            raise
        raise Failure(str(error)) from None  # a system that soketpy does not serve on

    return run(args)
