"""Every setting as a typed row: its name, type, default and the line of help that ``config/soketpy.yaml`` shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soketpy.config.addresses import (
    address_problem,
    host_problem,
    hosts,
    listening_problem,
    socket_problem,
    written,
)
from soketpy.config.errors import ConfigError
from soketpy.config.tree import Position
from soketpy.core.apps import App, Key
from soketpy.core.fields import setting
from soketpy.core.url_patterns import PATH_PREFIX, SAFE
from soketpy.protocol.origins import origin_problem

DEFAULT_SECRET = "app-secret"  # noqa: S105 - everybody knows it; the start log warns of it
DEFAULT_APP = App(id="app-id", keys=(Key("app-key", DEFAULT_SECRET),))
LAST_PORT = 65_535
LONGEST = 10 * 365 * 86_400
"""Seconds. Redis takes no duration whose end it cannot count in milliseconds."""

WHY_EXCLUDED = {"redis.db": "a Redis Cluster has only database 0"}
"""Why a setting excludes another one, by the path of the other."""

ONE_OF_BOTH = "use one of both"

HOST: dict[str, Any] = {"pattern": r"[^\s/]+", "like": "a host name or an address"}
"""The form of a host. The check of its row says more."""

HTTP_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A method or the name of a header (RFC 9110, section 5.6.2), as a pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is written to standard error."""

    level: str = setting("info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error"))
    format: str = setting("text", "text for people, json for machines.", choices=("text", "json"))
    access: bool = setting(False, "One line for each REST request.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS with a certificate of one's own; off without one."""

    cert: str | None = setting(
        None, "Certificate chain (PEM file); with a key, the main port speaks TLS only.", needs="key"
    )
    key: str | None = setting(None, "Private key (PEM file).", needs="cert")
    passphrase: str | None = setting(None, "Passphrase of the private key.", secret=True, needs="key")
    ca: str | None = setting(None, "Further certificates of the chain (PEM file).", needs="cert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Cross-origin answers of the REST API."""

    origins: tuple[str, ...] = setting(
        ("*",),
        "Origins that may read REST answers; the matching one is echoed.",
        check_text=origin_problem,
    )
    methods: tuple[str, ...] = setting(
        ("GET", "POST", "PUT", "DELETE", "OPTIONS"),
        "Methods that a preflight allows.",
        pattern=HTTP_NAME,
        like="one method such as POST",
    )
    headers: tuple[str, ...] = setting(
        (
            "Origin",
            "Content-Type",
            "X-Auth-Token",
            "X-Requested-With",
            "Accept",
            "Authorization",
            "X-CSRF-TOKEN",
            "XSRF-TOKEN",
            "X-Socket-Id",
        ),
        "Request headers that a preflight allows.",
        pattern=HTTP_NAME,
        like="the name of one header",
    )
    credentials: bool = setting(True, "Whether browsers may send credentials (needs origins that are named, not *).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics port."""

    enabled: bool = setting(False, "Serve /usage and Prometheus /metrics on a port of their own.")
    host: str | tuple[str, ...] = setting(
        "0.0.0.0", "Address of the metrics port, or a list of them.", check_text=listening_problem, **HOST
    )
    port: int = setting(9601, "The metrics port; 0 for any free one.", least=0, most=LAST_PORT)
    prefix: str = setting(
        "soketi_",
        "In front of every metric name; soketi's, so that its dashboards go on working.",
        pattern=r"([a-zA-Z_:][a-zA-Z0-9_:]*)?",
        like="letters, digits, _ and :, without a digit in front",
    )


_PORT = r"0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
ADDRESS = rf"(\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\]]+):{_PORT}"
"""Host and port, as a pattern. The port is one from 1 to 65,535."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """Where the nodes of a cluster meet."""

    host: str = setting("127.0.0.1", "Address of Redis, version 6 or later.", check_text=host_problem, **HOST)
    port: int = setting(6379, "Port of Redis.", most=LAST_PORT)
    unix_socket: str | None = setting(
        None, "Connect to this Unix socket instead of host and port.", check_text=socket_problem
    )
    sentinels: tuple[str, ...] = setting(
        (),
        "Addresses of Sentinels (host:port), which say where Redis is, in the place of host and port.",
        pattern=ADDRESS,
        like="an address such as sentinel-1:26379",
        check_text=address_problem,
        excludes=("unix_socket", "cluster_nodes"),
    )
    sentinel_master: str = setting("mymaster", "What the Sentinels call the Redis.")
    sentinel_password: str | None = setting(None, "Password, where the Sentinels ask for one.", secret=True)
    cluster_nodes: tuple[str, ...] = setting(
        (),
        "Addresses of nodes of a Redis Cluster (host:port), of which one is asked where each partition is.",
        pattern=ADDRESS,
        like="an address such as redis-1:6379",
        check_text=address_problem,
        excludes=("unix_socket", "db"),
    )
    partitions: int = setting(
        1, "Into how many parts channels are spread over a Redis Cluster; the same for all nodes.", least=1, most=256
    )
    tls: bool = setting(False, "Connect with TLS; the certificate is checked against the system's authorities.")
    db: int = setting(0, "Number of the database.", least=0)
    username: str | None = setting(None, "User of Redis' ACL; null for the default one.")
    password: str | None = setting(None, "Password, where Redis asks for one.", secret=True)
    prefix: str = setting(
        "soketpy",
        "In front of every key and topic; clusters of one prefix are one cluster.",
        pattern=r"[^{}\s]+",
        like="some text without braces and spaces",
    )
    lease: float = setting(
        10, "Seconds after which a node that is not heard of is taken for dead.", least=1, most=LONGEST
    )
    start_timeout: float = setting(10, "Seconds to wait for Redis at the start; the server ends with 1 after that.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """All in seconds."""

    activity: float = setting(120, "Silence after which either side pings (sent to clients as activity_timeout).")
    pong: float = setting(30, "How long a pinged client may stay silent before it is closed with 4201.")
    handshake: float = setting(10, "How long a new TCP connection may take to send its first request.")
    authorization: float = setting(30, "How long a connection may stay unauthorized where the app asks for it.")
    shutdown: float = setting(3, "Over how long clients are closed with 4200 when the server stops.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of the whole process, whatever the app."""

    max_connections: int | None = setting(
        None, "WebSocket connections of one process, all apps together; null for no bound."
    )
    max_http_connections: int | None = setting(
        None,
        "HTTP connections, and those without a request yet; null for max_connections, at most a quarter of open files.",
    )
    message_size_in_kb: float = setting(
        256, "The largest WebSocket message a client may send; a larger one closes with 1009."
    )
    unread_in_kb: float = setting(
        1024, "What may wait for a client that does not read; beyond it the client is closed with 4100."
    )
    bad_messages: int = setting(
        20, "Malformed messages a connection may send in a minute before it is closed with 4009."
    )
    request_size_in_mb: float = setting(100, "The largest body of a REST request; a larger one is refused with 413.")
    memory_percent: float = setting(
        85, "/accept-traffic answers 503 above this share of the memory that the process may have.", least=1, most=100
    )
    cached_events: int = setting(
        100_000,
        "Cache channels whose last event one process remembers; beyond it the oldest go. "
        "Over Redis `cache_ttl` alone bounds them.",
    )

    def http_connections(self, files: int) -> int:
        """Return the bound of HTTP connections, of a process that may have so many files open."""
        if self.max_http_connections is not None:
            return self.max_http_connections
        quarter = max(1, files // 4)
        return quarter if self.max_connections is None else min(quarter, self.max_connections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration of a server.

    ``sources`` says where it came from, and ``apps_in_file`` whether its file has apps. ``positions`` has the position
    of each setting that was written, by its dotted path. ``ignored`` names what was given in soketi's names and has no
    effect here, and ``warnings`` has a line for each setting that others make useless. ``advises`` is whether the
    process warns of what should be set in Redis; of several workers, one does. None of them is a setting, and none
    counts when two configurations are compared.
    """

    host: str | tuple[str, ...] = setting(
        "0.0.0.0",
        'Address to listen on, or a list of them; 0.0.0.0 for IPv4, "::" for IPv6 and IPv4.',
        check_text=listening_problem,
        **HOST,
    )
    port: int = setting(6001, "Port for WebSocket and REST; 0 for any free one.", least=0, most=LAST_PORT)
    unix_socket: str | None = setting(
        None, "Listen on this Unix socket instead of host and port.", check_text=socket_problem
    )
    path_prefix: str = setting(
        "",
        "What a proxy leaves in front of every path, such as /realtime.",
        pattern=PATH_PREFIX,
        like=f"a path such as /realtime, of {SAFE}&:, or empty",
    )
    strict_protocol: bool = setting(
        False, "Close clients that give no protocol version (4008); soketi's own tools give none."
    )
    workers: int = setting(
        1, "Processes that serve the port together; auto for one per core. More than one need redis-server.", auto=0
    )
    cluster: str = setting(
        "local",
        "local: this process alone. redis: all that share a Redis act as one server.",
        choices=("local", "redis"),
    )
    cache_ttl: float = setting(
        1800, "Seconds for which a cache channel remembers its last event.", least=0, most=LONGEST
    )
    log: Log = field(default_factory=Log, metadata={"help": "What is written to standard error."})
    tls: Tls = field(default_factory=Tls, metadata={"help": "TLS with a certificate of your own; off without one."})
    cors: Cors = field(default_factory=Cors, metadata={"help": "Cross-origin answers of the REST API."})
    metrics: Metrics = field(default_factory=Metrics, metadata={"help": "Prometheus metrics."})
    redis: Redis = field(default_factory=Redis, metadata={"help": "Where the nodes of a cluster meet."})
    timeouts: Timeouts = field(default_factory=Timeouts, metadata={"help": "All in seconds."})
    bounds: Bounds = field(default_factory=Bounds, metadata={"help": "Bounds of the whole process, whatever the app."})
    apps: tuple[App, ...] = setting((DEFAULT_APP,), "The tenants.")
    sources: tuple[str, ...] = field(default=(), compare=False)
    apps_in_file: bool = field(default=False, compare=False)
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)
    ignored: tuple[str, ...] = field(default=(), compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    advises: bool = field(default=True, compare=False)

    @property
    def prefix(self) -> str:
        """The path prefix as it is put in front of a path: without a slash at its end."""
        prefix = self.path_prefix.strip("/")
        return f"/{prefix}" if prefix else ""

    def address(self, port: int | None) -> str:
        """Return where the server listens on ``port``, for people to read."""
        if self.unix_socket is not None:
            return self.unix_socket
        scheme = "https" if self.tls.cert else "http"
        return ", ".join(f"{scheme}://{written(host, port)}" for host in hosts(self.host))

    def mistake(self, path: str, problem: str) -> ConfigError:
        """Return the error that says what is wrong with a setting, with its place if it was written."""
        position = self.positions.get(path)
        return ConfigError(f"{path}: {problem}") if position is None else position.error(path, problem)

    def value(self, path: str) -> Any:
        """Return the value of the setting at a dotted path."""
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found
