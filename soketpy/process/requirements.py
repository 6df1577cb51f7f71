"""Requirements of a configuration on the machine: TLS files that work, libraries, and programs."""

import os
from collections.abc import Callable

from soketpy.config import Settings
from soketpy.process.registries import is_in_database, registry_of


def check_requirements(settings: Settings) -> None:
    """Raise ConfigError if this machine lacks something that the settings need: the server could not start."""
    if settings.tls.cert is not None:
        from soketpy.process.tls import tls_context

        tls_context(settings)
    if settings.webhooks.ca is not None:
        from soketpy.process.tls import receivers_context

        receivers_context(settings)
    if is_in_database(settings):
        _check_database(settings)
    several = number_of(settings) > 1
    if several or settings.cluster == "redis":
        from soketpy.process.cluster import check_redis_driver

        check_redis_driver(settings, "workers" if several else "cluster")
    if several and settings.cluster == "local":
        from soketpy.process.private_redis import redis_server

        redis_server(settings)
    if settings.webhooks.queue != "auto":
        from soketpy.process.queues import check_queue

        check_queue(settings, number_of(settings))


def _check_database(settings: Settings) -> None:
    """Raise ConfigError if the libraries of the database are missing, or its certificate authorities do not work."""
    registry_of(settings)
    driver = settings.registry.driver
    given = {"postgres": settings.postgres, "mysql": settings.mysql}.get(driver)
    if given is not None and given.ca is not None and given.tls != "disable":
        from soketpy.process.tls import check_certificates

        check_certificates(settings, f"{driver}.ca", given.ca)


def number_of(settings: Settings) -> int:
    """Return the number of workers. With ``auto`` it is the number of cores that this process may use."""
    return settings.workers or cores()


def cores() -> int:
    """Return how many cores this process may use, or how many the machine has if the system does not say (macOS)."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
