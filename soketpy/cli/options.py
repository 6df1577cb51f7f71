"""Options that several commands share, and the settings that result from them."""

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from soketpy.cli.faults import Mistake

if TYPE_CHECKING:
    from soketpy.config import Settings
    from soketpy.config.load import Reading

CONFIG_FILE = "SOKETPY_CONFIG"
ADMIN_TOKEN = "SOKETPY_ADMIN_TOKEN"  # noqa: S105 - the name of the variable


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    help = "YAML or JSON file, in soketpy's or soketi's names (default: $SOKETPY_CONFIG, or none)"
    parser.add_argument("--config", metavar="FILE", help=help)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add ``--host``, ``--port`` and ``--unix-socket``."""
    parser.add_argument("--host", help="the server's address, or several with commas (default: the configuration's)")
    parser.add_argument("--port", help="the server's port (default: the configuration's)")
    parser.add_argument("--unix-socket", metavar="PATH", help="the server's Unix socket, instead of host and port")


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add ``--admin-url`` and ``--token-file``."""
    parser.add_argument(
        "--admin-url", metavar="URL", help="use the admin API of a running server, such as https://admin.example.com"
    )
    help = f"file with a token of the admin API, - for standard input (default: the variable {ADMIN_TOKEN})"
    parser.add_argument("--token-file", metavar="FILE", help=help)


def check_socket_id(given: str) -> None:
    """Raise Mistake for a text that is not a socket id."""
    first, dot, second = given.partition(".")
    if not (dot and given.isascii() and first.isdecimal() and second.isdecimal()):
        raise Mistake(f"the socket id must be two numbers with a dot between them, such as 123.456, not {given!r}")


def config_path(args: argparse.Namespace) -> str | None:
    """Return the path of the configuration file, or None. Raise Mistake for an empty path."""
    given: str | None = args.config
    if given == "":
        raise Mistake("the path of the configuration file is empty")
    return given if given is not None else os.environ.get(CONFIG_FILE) or None


def read_settings(args: argparse.Namespace, flags: Mapping[str, object] | None = None) -> "Settings":
    """Return the settings of the file, the environment and the flags. Raise ConfigError for a mistake."""
    from soketpy.config import load

    return load(config_path(args), os.environ, address_flags(args) if flags is None else flags)


def read_leniently(args: argparse.Namespace) -> "Reading":
    """Return the settings of the file and the environment, with their mistakes.

    Raise ConfigError with all mistakes for a file that cannot be read.
    """
    from soketpy.config.load import read

    return read(config_path(args), os.environ, {})


def address_flags(args: argparse.Namespace) -> dict[str, object]:
    """Return the settings of these options. A host or a port overrides a Unix socket. Raise Mistake for both."""
    flags: dict[str, object] = {name: given for name in ("host", "port") if (given := getattr(args, name)) is not None}
    if flags and args.unix_socket is not None:
        raise Mistake("--unix-socket is instead of --host and --port")
    if args.unix_socket == "":
        raise Mistake("--unix-socket: must not be empty")
    return flags | {"unix_socket": args.unix_socket} if flags or args.unix_socket is not None else flags
