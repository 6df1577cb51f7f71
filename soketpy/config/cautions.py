"""The warnings and notes about valid settings: for the log at the start and at SIGHUP, and for ``check-config``."""

from collections.abc import Iterator

from soketpy.config.addresses import hosts, is_everywhere
from soketpy.config.effects import naming
from soketpy.config.history_cautions import of_history
from soketpy.config.settings import DEFAULT_SECRET, Settings

LONGEST_STOP = 30.0
"""Seconds that Kubernetes gives a process to stop, if its pod does not say otherwise."""

BESIDES_CLOSING = 20.0
"""Seconds of a stop for calls in progress, and for the parts of the server."""


BLOCKED = (
    "Webhooks reach no private address, because the apps are in a database: webhooks.private_addresses: allow changes"
    " this"
)


def cautions(settings: Settings) -> Iterator[str]:
    """Yield each warning."""
    if settings.ignored:
        yield f"Without effect in this version: {', '.join(settings.ignored)}"
    yield from advice(settings)


def advice(settings: Settings) -> Iterator[str]:
    """Yield each warning but that of soketi's names without effect."""
    yield from settings.warnings
    yield from _risks(settings)


def notes(settings: Settings) -> Iterator[str]:
    """Yield each consequence of the settings that an operator may not expect."""
    if settings.webhooks.private_addresses == "auto" and settings.blocks_private_addresses:
        yield BLOCKED
    if (note := _stop_note(settings)) is not None:
        yield note


def _risks(settings: Settings) -> Iterator[str]:
    """Yield a warning of each setting that is unsafe outside of the writer's own machine."""
    if unsafe := [app.id for app in settings.apps if any(pair.secret == DEFAULT_SECRET for pair in app.keys)]:
        yield f"The default secret is publicly known: use it on your own machine only ({naming(unsafe)})"
    plain = settings.unix_socket is None and settings.tls.cert is None
    if plain and not settings.proxies and (host := _everywhere(settings.host)):
        yield (
            f"The port is open to every network without TLS (host is {host}): set tls, or put a proxy with TLS in front"
            " and name its network in proxies"
        )
    yield from _of_proxies(settings, plain=plain)
    yield from of_history(settings)
    if settings.admin.enabled and (host := _everywhere(settings.admin.host)):
        yield (
            f"The admin port has no TLS and is open to every network (admin.host is {host}): let only a proxy with TLS"
            " reach it"
        )


def _of_proxies(settings: Settings, *, plain: bool) -> Iterator[str]:
    """Yield a warning of headers that every client can send. ``plain`` is true for a TCP port without TLS."""
    if plain and not settings.proxies and (claiming := [app.id for app in settings.apps if app.tls_only]):
        apps = f"{naming(claiming)} with tls_only"
        yield f"Every client can claim to use TLS, by X-Forwarded-Proto ({apps}): set proxies, or tls"
    announced = settings.proxy_protocol and settings.unix_socket is None and not settings.proxies
    if announced or any(each.endswith("/0") for each in settings.proxies):
        yield "Every client can choose its address for logs and limits: name the networks of the proxies in proxies"


def _stop_note(settings: Settings) -> str | None:
    """Return the note for a server whose stop may take longer than service managers allow by default."""
    timeouts = settings.timeouts
    longest = timeouts.drain + 2 * timeouts.shutdown + BESIDES_CLOSING
    if longest <= LONGEST_STOP:
        return None
    return (
        f"A stop may take {longest:g} s, by timeouts.drain and timeouts.shutdown: allow it (TimeoutStopSec of systemd,"
        " terminationGracePeriodSeconds of Kubernetes)"
    )


def _everywhere(host: str | tuple[str, ...]) -> str | None:
    return next((each for each in hosts(host) if is_everywhere(each)), None)
