"""Settings that are valid, but have no effect next to others, or contradict them: a warning each."""

from collections.abc import Iterator

from soketpy.apps import App
from soketpy.config.settings import DEFAULT_SECRET, Settings


def cautions(settings: Settings) -> Iterator[str]:
    """Yield each line that the log has of settings when they are read, at the start and at SIGHUP."""
    if settings.ignored:
        yield f"Without effect in this version: {', '.join(settings.ignored)}"
    yield from settings.warnings
    for app in settings.apps:
        if any(pair.secret == DEFAULT_SECRET for pair in app.keys):
            yield f"App {app.id} has the default secret, which everybody knows: for your own machine only"


def warnings(settings: Settings) -> Iterator[str]:
    """Yield one line for each setting that was written and has no effect, and for each limit that contradicts another.

    A setting that has its default value is no mistake: files list settings with their defaults.
    """
    for path, reason in _without_effect(settings):
        if path in settings.places and _value(settings, path) != _value(_DEFAULTS, path):
            yield str(settings.mistake(path, f"has no effect {reason}"))
    for app in settings.apps:
        for problem in _contradictions(app, settings):
            yield f"app {app.id}: {problem}"


_DEFAULTS = Settings()
_MEETING = (
    *("host", "port", "unix_socket", "sentinels", "sentinel_master", "sentinel_password", "cluster_nodes"),
    *("partitions", "tls", "db", "username", "password", "prefix", "start_timeout"),
)
"""What says where and how nodes meet in Redis."""


def _without_effect(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the paths of settings that others make useless, and why."""
    redis = settings.redis
    if settings.cluster == "local":
        yield from ((f"redis.{name}", "while cluster is local") for name in _MEETING)
        if settings.workers == 1:
            yield "redis.lease", "while cluster is local"
    else:
        yield "bounds.cached_events", "while cluster is redis, which keeps the events of cache channels"
        instead = next((name for name in ("sentinels", "cluster_nodes", "unix_socket") if getattr(redis, name)), None)
        if instead is not None:
            yield from ((f"redis.{name}", f"next to redis.{instead}") for name in ("host", "port"))
        if not redis.sentinels:
            yield "redis.sentinel_master", "without redis.sentinels"
        if redis.password is None:
            yield "redis.username", "without redis.password"
        if redis.unix_socket is not None:
            yield "redis.tls", "next to redis.unix_socket"
    if not settings.metrics.enabled:
        yield from ((f"metrics.{name}", "while metrics.enabled is false") for name in ("host", "port", "prefix"))
    if settings.unix_socket is not None:
        yield "host", "next to unix_socket"
        if not settings.metrics.enabled:  # where the port is a label of every metric
            yield "port", "next to unix_socket"
    if not any(app.authorized_connections for app in settings.apps):
        yield "timeouts.authorization", "while no app has authorized_connections"


def _contradictions(app: App, settings: Settings) -> Iterator[str]:
    """Yield the limits of an app that a bound of the process keeps out of reach."""
    bounds, event, member = settings.bounds, app.max_event_payload_in_kb, app.max_presence_member_size_in_kb
    unread = bounds.unread_in_kb
    if event > bounds.request_size_in_mb * 1024:
        yield _out_of_reach("max_event_payload_in_kb", event, "request_size_in_mb", bounds.request_size_in_mb)
    if app.client_events and event > bounds.message_size_in_kb:
        yield _out_of_reach("max_event_payload_in_kb", event, "message_size_in_kb", bounds.message_size_in_kb)
    if member > bounds.message_size_in_kb:
        yield _out_of_reach("max_presence_member_size_in_kb", member, "message_size_in_kb", bounds.message_size_in_kb)
    if event > unread:
        yield (
            f"one event of max_event_payload_in_kb ({event:g}) is more than bounds.unread_in_kb ({unread:g}): "
            "a slow client is closed with 4100 when it gets one"
        )


def _out_of_reach(limit: str, value: float, bound: str, most: float) -> str:
    return f"{limit} ({value:g}) cannot be reached, since bounds.{bound} is {most:g}"


def _value(settings: Settings, path: str) -> object:
    found: object = settings
    for name in path.split("."):
        found = getattr(found, name)
    return found
