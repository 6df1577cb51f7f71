"""``soketpy check-config``: whether a configuration is understood, and what it says."""

import argparse
import os
from typing import Any

from soketpy.config import Settings, load
from soketpy.tls import tls_context


def add(commands: Any) -> None:
    """Add the command."""
    text = "Read a configuration file, with the environment over it as `start` does, and say what it means."
    parser = commands.add_parser("check-config", help="check a configuration file", description=text)
    parser.add_argument("file", metavar="FILE", help="YAML or JSON file, in soketpy's or soketi's names")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was understood. Raises ConfigError, for TLS files that do not work as well."""
    settings = load(args.file, os.environ, {})
    tls_context(settings.tls.cert, settings.tls.key, settings.tls.passphrase, settings.tls.ca)
    print(f"{', '.join(settings.sources)}: {summary(settings)}")
    if settings.ignored:
        print(f"without effect in this version: {', '.join(settings.ignored)}")
    return 0


def summary(settings: Settings) -> str:
    """The settings in one line: where the server would listen, its apps, its metrics."""
    where = settings.unix_socket or f"{settings.host}:{settings.port}"
    ids = ", ".join(app.id for app in settings.apps[:5]) + (", …" if len(settings.apps) > 5 else "")
    apps = f"{len(settings.apps)} app{'' if len(settings.apps) == 1 else 's'}" + (f" ({ids})" if ids else "")
    metrics = (
        f"metrics on {settings.metrics.host}:{settings.metrics.port}" if settings.metrics.enabled else "no metrics"
    )
    return f"{where}{' with TLS' if settings.tls.cert else ''}, {apps}, {metrics}"
