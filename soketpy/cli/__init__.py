"""The command line of soketpy: each module with the name of a command has its options and its work.

Exit codes: 0 is success, 1 a failure of the command, 2 a mistake in the call or the configuration.
"""

import os
import sys
from collections.abc import Sequence

from soketpy import __version__
from soketpy.cli import apps, bench, check, healthcheck, history, listen, sign, start, trigger, webhooks
from soketpy.cli.escapes import escaped
from soketpy.cli.faults import Failure, Mistake
from soketpy.cli.parser import Parser

EPILOG = """\
examples:
  soketpy start --config soketpy.yaml
  soketpy trigger my-channel my-event '{"message":"hello"}'

`soketpy COMMAND --help` shows the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Print a failure as one line on standard error."""
    try:
        args, unknown = _parser().parse_known_args(argv)
        if unknown:
            args.parser.refuse(unknown)
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
        return _say(f"{name}: error: {error.in_one_line()}", 2)
    except KeyboardInterrupt:
        return _say(f"{name}: interrupted", 1)
    except BrokenPipeError:
        # Python flushes standard output again at its end, and must not find the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # without a line: `| head -1` is no fault
    return code


def _parser() -> Parser:
    parser = Parser(prog="soketpy", description="A realtime server that speaks the Pusher protocol.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"soketpy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in (start, check, trigger, listen, history, bench, sign, apps, webhooks, healthcheck):
        command.add(commands)
    return parser


def _say(text: str, code: int) -> int:
    print(escaped(" ".join(text.split())), file=sys.stderr)
    return code
