"""``soketpy check-config``: check a configuration, and print a summary or each effective value."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from soketpy.cli.options import read_leniently

if TYPE_CHECKING:
    from soketpy.config import Settings
    from soketpy.config.load import Reading

EPILOG = """\
exit codes: 0 the server can start with this configuration; 1 with --strict, there are warnings; 2 there are mistakes
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "Read a configuration file and the environment, as `start` does, and print a summary and all mistakes."
    parser = commands.add_parser("check-config", help="check a configuration file", description=text, epilog=EPILOG)
    help = "YAML or JSON file, in soketpy's or soketi's names (default: $SOKETPY_CONFIG, or none)"
    parser.add_argument("config", metavar="FILE", nargs="?", help=help)
    help = "print each effective value and its source (default, line, variable); secrets are masked"
    parser.add_argument("--print", action="store_true", help=help)
    parser.add_argument("--json", action="store_true", help="print the same, with mistakes and warnings, as JSON")
    parser.add_argument("--strict", action="store_true", help="end with exit code 1 if there are warnings")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a summary and warnings, or each mistake and each requirement that this machine does not have, as a line."""
    from soketpy.config import ConfigError

    try:
        reading = _read(args)
    except ConfigError as error:
        errors = [str(each) for each in error.each()]
        for each in errors:
            print(f"soketpy check-config: error: {each}", file=sys.stderr)
        if args.json:
            _print_json_of({"errors": errors})
        return 2
    warnings = list(_warnings(reading.settings))
    if args.json:
        _print_json(reading, warnings)
    else:
        _print(reading, warnings, values=args.print)
    return 1 if args.strict and warnings else 0


def _read(args: argparse.Namespace) -> "Reading":
    """Return the configuration. Raise ConfigError with all mistakes, and all requirements that are missing."""
    from soketpy.process.requirements import check_requirements

    reading = read_leniently(args)
    with reading.problems.noted():
        check_requirements(reading.settings, reading.problems)
    reading.problems.check()
    return reading


def _warnings(settings: "Settings") -> Iterator[str]:
    from soketpy.config.cautions import advice
    from soketpy.process.requirements import certificate_caution, open_files_caution

    yield from advice(settings)
    for caution in (certificate_caution(settings), open_files_caution(settings)):
        if caution is not None:
            yield caution


def _print(reading: "Reading", warnings: list[str], *, values: bool) -> None:
    from soketpy.config.cautions import notes

    settings = reading.settings
    if values:
        from soketpy.config.effective import lines

        print("\n".join(lines(settings, reading.draft)))
    mark = "# " if values else ""  # the values stay YAML
    print(f"{mark}{', '.join(settings.sources) or 'defaults'}: {summary(settings)}")
    if settings.ignored:
        print(f"{mark}without effect in this version: {', '.join(settings.ignored)}")
    for warning in warnings:
        print(f"{mark}warning: {warning}")
    for note in notes(settings):
        print(f"{mark}note: {note}")


def _print_json(reading: "Reading", warnings: list[str]) -> None:
    from dataclasses import asdict

    from soketpy.config.cautions import notes
    from soketpy.config.effective import effective, effective_apps

    settings, draft = reading.settings, reading.draft
    document = {
        "errors": [],
        "sources": settings.sources,
        "settings": {path: asdict(shown) for path, shown in effective(settings, draft).items()},
        "apps": [{name: asdict(shown) for name, shown in app.items()} for app in effective_apps(settings, draft)],
        "ignored": settings.ignored,
        "warnings": warnings,
        "notes": list(notes(settings)),
    }
    _print_json_of(document)


def _print_json_of(document: object) -> None:
    import json  # imported late: no other command needs it at its start

    print(json.dumps(document, ensure_ascii=False, indent=2))


def summary(settings: "Settings") -> str:
    """Return the settings in one line: the addresses, apps, webhooks, metrics, the admin API, workers and the Redis."""
    from soketpy.config.addresses import listing
    from soketpy.config.effective import without_credentials
    from soketpy.process.registries import described

    where = without_credentials(settings.unix_socket or listing(settings.host, settings.port))
    ids = ", ".join(app.id for app in settings.apps[:5]) + (", …" if len(settings.apps) > 5 else "")
    apps = described(settings) + (f" ({ids})" if ids else "")
    enabled = settings.metrics.enabled
    metrics = f"metrics on {listing(settings.metrics.host, settings.metrics.port)}" if enabled else "no metrics"
    listens = where + (" with TLS" if settings.tls.cert else "")
    admin = [f"admin API on {listing(settings.admin.host, settings.admin.port)}"] if settings.admin.enabled else []
    nodes = [*_workers(settings.workers), *_redis(settings)]
    return ", ".join([listens, apps, *_webhooks(settings), metrics, *admin, *nodes])


def _webhooks(settings: "Settings") -> list[str]:
    """Return the number of webhooks and their queue, if an app has webhooks."""
    from soketpy.config.effective import without_credentials
    from soketpy.process.log import quantity
    from soketpy.process.queues import kind_of
    from soketpy.process.requirements import number_of

    number = sum(len(app.webhooks) for app in settings.apps)
    if not number:
        return []
    kind = kind_of(settings)
    if kind in ("sqlite", "redis") and settings.cluster == "local" and number_of(settings) > 1:
        place = "the private Redis of the workers, lost at a restart"
    else:
        place = {"sqlite": settings.webhooks.path, "redis": "Redis", "sqs": "SQS"}.get(
            kind, "memory, lost at a restart"
        )
    return [f"{quantity(number, 'webhook')} (queue: {without_credentials(place)})"]


def _workers(number: int) -> list[str]:
    if number == 1:
        return []
    return [f"{number} workers" if number else "a worker per core"]


def _redis(settings: "Settings") -> list[str]:
    """Return the Redis that connects the nodes, if the server is a node of a cluster."""
    if settings.cluster == "local":
        return []
    from soketpy.config.addresses import listing
    from soketpy.config.effective import without_credentials
    from soketpy.process.log import quantity

    redis, prefix = settings.redis, f"prefix {without_credentials(settings.redis.prefix)}"
    partitions = quantity(redis.partitions, "partition")
    if redis.cluster_nodes:
        return [f"over a Redis Cluster by {', '.join(redis.cluster_nodes)}", prefix, partitions]
    if redis.sentinels:
        where = f"over Sentinels {', '.join(redis.sentinels)} ({without_credentials(redis.sentinel_master)})"
    else:
        where = f"over Redis at {without_credentials(redis.unix_socket or listing(redis.host, redis.port))}"
    return [where, prefix, *([partitions] if redis.partitions > 1 else [])]
