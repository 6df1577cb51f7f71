"""The running server that a command uses: the options for its address, and the target that results from them."""

import argparse
from typing import TYPE_CHECKING

from soketpy.cli.options import add_address

if TYPE_CHECKING:
    from soketpy.cli.call import Target
    from soketpy.config import Settings

HTTPS = 443


def add_target(parser: argparse.ArgumentParser, scheme: str = "https") -> None:
    """Add ``--host``, ``--port``, ``--unix-socket``, ``--tls`` and ``--insecure``."""
    add_address(parser)
    parser.add_argument("--tls", action="store_true", help=f"use {scheme}, by default on port {HTTPS}")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")


def add_origin(parser: argparse.ArgumentParser) -> None:
    """Add ``--origin``, for apps that accept clients of some origins only."""
    help = "origin that the connections name, as a page does, such as https://www.example.com"
    parser.add_argument("--origin", metavar="ORIGIN", help=help)


def target_of(args: argparse.Namespace, settings: "Settings") -> "Target":
    """Return the server of these options. The settings have the address of ``--host`` and ``--port``."""
    from dataclasses import replace

    from soketpy.cli.call import local_target

    target = replace(local_target(settings), has_flag=True)
    if args.tls or args.host is not None:
        target = replace(target, proxies=None)  # this is the address of a proxy, which writes the PROXY header
    verified = not args.insecure and (args.tls or args.host is not None)
    if args.tls:
        return replace(target, port=HTTPS if args.port is None else target.port, tls=True, verified=verified)
    return replace(target, verified=verified)
