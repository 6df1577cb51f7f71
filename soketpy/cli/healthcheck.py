"""``soketpy healthcheck``: check whether the server on this machine is ready. Containers use it."""

import argparse
from typing import Any

from soketpy.cli.faults import Failure
from soketpy.cli.options import add_address, add_config, read_settings

EPILOG = """\
examples:
  soketpy healthcheck
  HEALTHCHECK CMD ["soketpy", "healthcheck"]      in a Dockerfile; the check has the environment of the server
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Ask the server whether it is ready. Exit code 0 if it is, 1 if not, 2 for a mistake in the call."
    parser = commands.add_parser(
        "healthcheck", help="ask a server whether it is ready", description=text, epilog=EPILOG
    )
    add_address(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print that the server is ready. Raise Failure if it is not."""
    from soketpy.cli.call import call, local_target, missing_tls
    from soketpy.cli.refusals import reason_in
    from soketpy.config import ConfigError

    try:
        target = local_target(read_settings(args))
    except ConfigError as error:
        if str(error).startswith("--"):
            raise  # a mistake in the call
        raise Failure(str(error)) from None
    status, text = call(target, "GET", "/ready")
    if status == 400 and (missing := missing_tls(target)) is not None:
        raise Failure(f"cannot reach {target}: {missing}")
    if status != 200:
        raise Failure(f"{target} is not ready: HTTP {status}: {reason_in(target, status, text)}")
    print(f"{target} is ready")
    return 0
