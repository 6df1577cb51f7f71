"""``soketpy check-config``: check a configuration and print a summary."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from soketpy.cli.options import read_settings_leniently

if TYPE_CHECKING:
    from soketpy.config import Settings


def add(commands: Any) -> None:
    """Add the command."""
    text = "Read a configuration file and the environment, as `start` does, and print a summary."
    parser = commands.add_parser("check-config", help="check a configuration file", description=text)
    help = "YAML or JSON file, in soketpy's or soketi's names (default: $SOKETPY_CONFIG, or none)"
    parser.add_argument("config", metavar="FILE", nargs="?", help=help)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a summary. Print each mistake, and each requirement that this machine does not have, as a line."""
    from soketpy.config import ConfigError

    try:
        return _check(args)
    except ConfigError as error:
        for each in error.each():
            print(f"soketpy check-config: error: {each}", file=sys.stderr)
        return 2


def _check(args: argparse.Namespace) -> int:
    from soketpy.config.effects import notes
    from soketpy.process.requirements import check_requirements

    settings, problems = read_settings_leniently(args)
    with problems.noted():
        check_requirements(settings, problems)
    problems.check()
    print(f"{', '.join(settings.sources) or 'defaults'}: {summary(settings)}")
    if settings.ignored:
        print(f"without effect in this version: {', '.join(settings.ignored)}")
    for warning in settings.warnings:
        print(f"warning: {warning}")
    for note in notes(settings):
        print(f"note: {note}")
    return 0


def summary(settings: "Settings") -> str:
    """Return the settings in one line: the addresses, apps, webhooks, metrics, the admin API, workers and the Redis."""
    from soketpy.config.addresses import listing
    from soketpy.process.registries import described

    where = settings.unix_socket or listing(settings.host, settings.port)
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
    return [f"{quantity(number, 'webhook')} (queue: {place})"]


def _workers(number: int) -> list[str]:
    if number == 1:
        return []
    return [f"{number} workers" if number else "a worker per core"]


def _redis(settings: "Settings") -> list[str]:
    """Return the Redis that connects the nodes, if the server is a node of a cluster."""
    if settings.cluster == "local":
        return []
    from soketpy.config.addresses import listing
    from soketpy.process.log import quantity

    redis = settings.redis
    partitions = quantity(redis.partitions, "partition")
    if redis.cluster_nodes:
        return [f"over a Redis Cluster by {', '.join(redis.cluster_nodes)}", f"prefix {redis.prefix}", partitions]
    if redis.sentinels:
        where = f"over Sentinels {', '.join(redis.sentinels)} ({redis.sentinel_master})"
    else:
        where = f"over Redis at {redis.unix_socket or listing(redis.host, redis.port)}"
    return [where, f"prefix {redis.prefix}", *([partitions] if redis.partitions > 1 else [])]
