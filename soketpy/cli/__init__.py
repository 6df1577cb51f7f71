"""The command line of soketpy: each module with the name of a command has its options and its work.

Exit codes: 0 is success, 1 a failure of the command, 2 a mistake in the call or the configuration.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from soketpy import __version__
from soketpy.cli import apps, check, healthcheck, sign, start, trigger, webhooks
from soketpy.cli.faults import Failure, Mistake

EPILOG = """\
examples:
  soketpy start --config soketpy.yaml
  soketpy trigger my-channel my-event '{"message":"hello"}'

`soketpy COMMAND --help` shows the options of a command.
"""


class Parser(argparse.ArgumentParser):
    """A parser with errors of one line, and with examples that keep their line breaks."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self.set_defaults(parser=self)  # the parser of the innermost command, for its errors

    def error(self, message: str) -> NoReturn:
        """Print a mistake in the call, and end with exit code 2."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Print a failure as one line on standard error."""
    try:
        args, unknown = _parser().parse_known_args(argv)
        if unknown:
            args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 0
    name = f"soketpy {args.command}"
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except Mistake as error:
        return _say(f"{name}: error: {error}", 2)
    except Failure as error:
        return _say(f"{name}: {error}", 1)
    except UnicodeError:
        return _say(f"{name}: error: not valid UTF-8", 2)
    except ValueError as error:
        from soketpy.config import ConfigError  # a command that raises it has imported it already

        if not isinstance(error, ConfigError):
            raise
        return _say(f"{name}: error: {error}", 2)
    except KeyboardInterrupt:
        return _say(f"{name}: interrupted", 1)
    except BrokenPipeError:
        # Python flushes standard output again at its end, and must not find the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _say(f"{name}: nobody reads the output any more", 1)
    return code


def _parser() -> Parser:
    parser = Parser(prog="soketpy", description="A realtime server that speaks the Pusher protocol.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"soketpy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in (start, check, sign, trigger, apps, webhooks, healthcheck):
        command.add(commands)
    return parser


def _say(text: str, code: int) -> int:
    print(" ".join(text.split()), file=sys.stderr)
    return code
