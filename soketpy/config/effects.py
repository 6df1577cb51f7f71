"""Warnings of valid settings that have no effect next to others, or that contradict others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from soketpy.config.history import History
from soketpy.config.registry import CONFIG, Admin, Dynamodb, Mysql, Postgres, Registry, Sqlite
from soketpy.config.settings import Settings
from soketpy.config.tracing import Tracing
from soketpy.config.tree import Position
from soketpy.core.apps import App
from soketpy.core.fields import fields_of

MOST_NAMED = 5
"""Most apps that one line names."""

CLOSES = "a slow client is closed with 4100 when it gets one"


def warnings(settings: Settings) -> Iterator[str]:
    """Yield one line for each written setting without effect, and for each limit that contradicts another.

    A setting with its default value gets no warning: files may list settings with their defaults.
    """
    for path, reason in _without_effect(settings):
        if path in settings.positions and settings.value(path) != _DEFAULTS.value(path):
            yield str(settings.mistake(path, f"has no effect {reason}"))
    yield from _out_of_reach(settings)


_DEFAULTS = Settings()
_CONNECTING = (
    *("host", "port", "unix_socket", "sentinels", "sentinel_master", "sentinel_password", "cluster_nodes"),
    *("partitions", "tls", "db", "username", "password", "prefix", "start_timeout"),
)
"""The settings of the connection to Redis."""

_DATABASES: Mapping[str, type] = {"sqlite": Sqlite, "postgres": Postgres, "mysql": Mysql, "dynamodb": Dynamodb}
"""The group of each driver of a registry."""

_SQS = ("url", "dead_letter_url", "region", "endpoint", "access_key_id", "secret_access_key", "session_token")


def _without_effect(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the path of each setting that has no effect next to others, and why."""
    redis = settings.redis
    if settings.cluster == "local":
        yield from ((f"redis.{name}", "while cluster is local") for name in _CONNECTING)
        if settings.workers == 1:
            yield "redis.lease", "while cluster is local"
            yield "rate_limits.when_unavailable", "while cluster is local"
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
    if not settings.tracing.enabled:
        yield from ((f"tracing.{name}", "while tracing.enabled is false") for name in fields_of(Tracing))
    if settings.unix_socket is not None:
        yield "host", "next to unix_socket"
        if not settings.metrics.enabled:  # with metrics, the port is a label of every metric
            yield "port", "next to unix_socket"
    if settings.workers == 1:
        yield "timeouts.worker", "while workers is 1"
    if not settings.proxies:
        yield "proxy_headers", "without proxies"
    if settings.webhooks.queue != "sqs":
        yield from ((f"sqs.{name}", "while webhooks.queue is not sqs") for name in _SQS)
    if settings.webhooks.queue in ("memory", "redis", "sqs"):
        yield "webhooks.path", f"while webhooks.queue is {settings.webhooks.queue}"
    elif settings.cluster != "local" or settings.workers > 1:
        yield "webhooks.path", "in a cluster, whose Redis has the queue of webhooks"
    yield from _of_history(settings)
    yield from _of_registry(settings)
    if settings.registry.driver == CONFIG and not any(app.authorized_connections for app in settings.apps):
        yield "timeouts.authorization", "while no app has authorized_connections"


def _of_history(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each setting of a store of history that is not in use, and all of them while no app has history."""
    if settings.registry.driver == CONFIG and not any(app.history for app in settings.apps):
        names = (name for name in fields_of(History) if name != "idempotency_window")
        yield from ((f"history.{name}", "while no app has history") for name in names)
        return
    if settings.cluster != "local" or settings.workers > 1:
        yield "history.mib", "in a cluster, whose Redis has the logs"
        yield "history.path", "in a cluster, whose Redis has the logs"
    elif settings.history.store == "memory":
        yield "history.path", "while history.store is memory"


def _of_registry(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each setting of a registry that is not in use, of TLS without TLS, and of the admin API while it is off."""
    driver = settings.registry.driver
    if driver == CONFIG:
        names = fields_of(Registry)
        yield from ((f"registry.{name}", "while registry.driver is config") for name in names if name != "driver")
    for database, group in _DATABASES.items():
        if driver != database:
            yield from ((f"{database}.{name}", f"while registry.driver is not {database}") for name in fields_of(group))
        elif database in ("postgres", "mysql") and settings.value(f"{database}.tls") != "verify-full":
            yield f"{database}.ca", f"while {database}.tls is not verify-full"
    if not settings.admin.enabled:
        yield from ((f"admin.{name}", "while admin.enabled is false") for name in fields_of(Admin))


@dataclass(slots=True)
class _Contradiction:
    """A limit of apps that contradicts a limit of the process (``bound``), and the apps that have it."""

    limit: str
    bound: str
    values: list[float] = field(default_factory=list)
    apps: list[str] = field(default_factory=list)
    position: Position | None = None

    def line(self, most: float) -> str:
        """Return the warning. ``most`` is the limit of the process."""
        low, high = plain(min(self.values)), plain(max(self.values))
        if self.bound == "unread_in_kb":
            problem = f"is more than bounds.unread_in_kb ({plain(most)}): " + CLOSES
        else:
            problem = f"cannot be reached, since bounds.{self.bound} is {plain(most)}"
        at = "" if self.position is None else f"{self.position}: "
        return f"{at}{self.limit} ({low if low == high else f'{low} to {high}'}) {problem} ({naming(self.apps)})"


def _out_of_reach(settings: Settings) -> Iterator[str]:
    """Yield a line for each limit of apps that contradicts a limit of the process."""
    found: dict[tuple[str, str], _Contradiction] = {}
    for app in settings.apps:
        for limit, bound in _contradictions(app, settings):
            each = found.setdefault((limit, bound), _Contradiction(limit, bound))
            each.values.append(getattr(app, limit))
            each.apps.append(app.id)
            paths = (f"apps.{app.id}.{limit}", f"app_defaults.{limit}", f"bounds.{bound}")
            each.position = each.position or next(
                (settings.positions[one] for one in paths if one in settings.positions), None
            )
    for each in found.values():
        yield each.line(getattr(settings.bounds, each.bound))


def _contradictions(app: App, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each limit of an app that can never be reached, and the limit of the process that prevents it."""
    bounds, event = settings.bounds, app.max_event_payload_in_kb
    if event > bounds.request_size_in_mb * 1024:
        yield "max_event_payload_in_kb", "request_size_in_mb"
    if app.client_events and event > bounds.message_size_in_kb:
        yield "max_event_payload_in_kb", "message_size_in_kb"
    if app.max_presence_member_size_in_kb > bounds.message_size_in_kb:
        yield "max_presence_member_size_in_kb", "message_size_in_kb"
    alone = settings.cluster == "local" and settings.workers == 1  # else the app's limit is that of all processes
    if alone and bounds.max_connections is not None and (app.max_connections or 0) > bounds.max_connections:
        yield "max_connections", "max_connections"
    if event > bounds.unread_in_kb:
        yield "max_event_payload_in_kb", "unread_in_kb"


def naming(ids: Sequence[str]) -> str:
    """Return the first of these ids of apps, and how many more there are."""
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return f"app{'s' if len(ids) > 1 else ''} {', '.join(ids[:MOST_NAMED])}{more}"


def plain(number: float) -> str:
    """Return a number without an exponent."""
    return f"{number:.10f}".rstrip("0").rstrip(".")
