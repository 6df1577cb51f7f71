"""Requirements of a configuration on the machine: TLS files that work, libraries, and programs."""

import os
from collections.abc import Callable, Mapping

from soketpy.config import Settings
from soketpy.config.problems import Problems
from soketpy.process.registries import is_in_database, registry_of


def check_requirements(settings: Settings, mistakes: Problems | None = None) -> None:
    """Raise ConfigError, with all mistakes, if this machine lacks something that the settings need.

    The server could not start. ``mistakes`` are those of the configuration: what they make unsure is not checked.
    """
    problems, mistakes = Problems(), mistakes or Problems()
    for check, groups in CHECKS.items():
        if mistakes.is_sure(*groups):
            with problems.noted():
                check(settings)
    problems.check()


def _check_tls(settings: Settings) -> None:
    if settings.tls.cert is not None:
        from soketpy.process.tls import tls_context

        tls_context(settings)


def _check_receivers(settings: Settings) -> None:
    if settings.webhooks.ca is not None:
        from soketpy.process.tls import receivers_context

        receivers_context(settings)


def _check_cluster(settings: Settings) -> None:
    several = number_of(settings) > 1
    if several or settings.cluster == "redis":
        from soketpy.process.cluster import check_redis_driver

        check_redis_driver(settings, "workers" if several else "cluster")
    if several and settings.cluster == "local":
        from soketpy.process.private_redis import redis_server

        redis_server(settings)


def _check_queue(settings: Settings) -> None:
    if settings.webhooks.queue != "auto":
        from soketpy.process.queues import check_queue

        check_queue(settings, number_of(settings))


def _check_database(settings: Settings) -> None:
    """Raise ConfigError if the libraries of the database are missing, or its certificate authorities do not work."""
    if not is_in_database(settings):
        return
    registry_of(settings)
    driver = settings.registry.driver
    given = {"postgres": settings.postgres, "mysql": settings.mysql}.get(driver)
    if given is not None and given.ca is not None and given.tls != "disable":
        from soketpy.process.tls import check_certificates

        check_certificates(settings, f"{driver}.ca", given.ca)


CHECKS: Mapping[Callable[[Settings], None], tuple[str, ...]] = {
    _check_tls: ("tls",),
    _check_receivers: ("webhooks",),
    _check_database: ("registry", "sqlite", "postgres", "mysql", "dynamodb"),
    _check_cluster: ("", "redis"),
    _check_queue: ("", "webhooks", "sqs"),
}
"""Each check, and the groups of settings that it reads."""


def number_of(settings: Settings) -> int:
    """Return the number of workers. With ``auto`` it is the number of cores that this process may use."""
    return settings.workers or cores()


def cores() -> int:
    """Return how many cores this process may use, or how many the machine has if the system does not say (macOS)."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
