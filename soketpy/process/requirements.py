"""Requirements of a configuration on the machine: TLS files that work, libraries, and programs."""

import os
import time
from collections.abc import Callable, Mapping

from soketpy.config import Settings
from soketpy.config.problems import Problems
from soketpy.core.quoting import HIDDEN, may_be_shown
from soketpy.process.registries import is_in_database, registry_of

EXPIRES_SOON = 7 * 86_400
"""Seconds before the end of a certificate, from which on a warning is due: renewals happen weeks before the end."""


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


def _check_history(settings: Settings) -> None:
    if settings.history.store != "auto":
        from soketpy.process.histories import check_history

        check_history(settings, number_of(settings))


def _check_database(settings: Settings) -> None:
    """Raise ConfigError if the libraries, the directory or the certificate authorities of the database are missing."""
    if not is_in_database(settings):
        return
    registry_of(settings)
    driver = settings.registry.driver
    folder = os.path.dirname(settings.sqlite.path) or "."
    if driver == "sqlite" and not os.path.isdir(folder):
        raise settings.mistake("sqlite.path", f"there is no directory {folder if may_be_shown(folder) else HIDDEN}")
    given = {"postgres": settings.postgres, "mysql": settings.mysql}.get(driver)
    if given is not None and given.ca is not None and given.tls != "disable":
        from soketpy.process.tls import check_certificates

        check_certificates(settings, f"{driver}.ca", given.ca)


def _check_tracing(settings: Settings) -> None:
    if settings.tracing.enabled:
        from soketpy.process.tracing import check_tracing

        check_tracing(settings)


def certificate_caution(settings: Settings) -> str | None:
    """Return the warning of a certificate that no client accepts now, or soon, or None."""
    if settings.tls.cert is None:
        return None
    from soketpy.process.validity import day, validity_of_file

    validity, now = validity_of_file(settings.tls.cert), time.time()
    if validity is None:
        return None
    if (problem := validity.problem(now)) is not None:
        return f"The certificate in {settings.tls.cert} {problem}"
    if validity.ends - now > EXPIRES_SOON:
        return None
    return f"The certificate in {settings.tls.cert} expires soon, at {day(validity.ends)}"


def open_files_caution(settings: Settings) -> str | None:
    """Return the warning of a limit of connections that the limit of open files does not allow here, or None."""
    try:
        from soketpy.process.descriptors import raise_limit
    except ImportError:  # this system has no such limit, and does not run the server
        return None

    bounds, files = settings.bounds, raise_limit()
    for name, wanted in (
        ("max_connections", bounds.max_connections),
        ("max_http_connections", bounds.max_http_connections),
    ):
        if wanted is not None and wanted > files:
            return f"At most {files} connections, by the limit of open files here; bounds.{name} is {wanted}"
    return None


CHECKS: Mapping[Callable[[Settings], None], tuple[str, ...]] = {
    _check_tls: ("tls",),
    _check_receivers: ("webhooks",),
    _check_database: ("registry", "sqlite", "postgres", "mysql", "dynamodb"),
    _check_cluster: ("", "redis"),
    _check_queue: ("", "webhooks", "sqs"),
    _check_history: ("", "history"),
    _check_tracing: ("tracing",),
}
"""Each check, and the groups of settings that it reads."""


def number_of(settings: Settings) -> int:
    """Return the number of workers. With ``auto`` it is the number of cores that this process may use."""
    return settings.workers or cores()


def cores() -> int:
    """Return how many cores this process may use, or how many the machine has if the system does not say (macOS)."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
