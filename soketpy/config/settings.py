"""The settings: the type, default, rules and line of help of each. ``config/soketpy.yaml`` is generated from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soketpy.config.addresses import (
    HOST,
    LAST_PORT,
    address_problem,
    host_problem,
    hosts,
    listening_problem,
    socket_problem,
    written,
)
from soketpy.config.bounds import LONGEST as LONGEST
from soketpy.config.bounds import Bounds as Bounds
from soketpy.config.bounds import Timeouts as Timeouts
from soketpy.config.errors import ConfigError
from soketpy.config.history import History as History
from soketpy.config.registry import CONFIG, Admin, Dynamodb, Mysql, Postgres, Registry, Sqlite
from soketpy.config.tracing import Tracing
from soketpy.config.tree import Position
from soketpy.core.apps import App, Key
from soketpy.core.aws_options import AwsOptions, queue_problem
from soketpy.core.fields import setting
from soketpy.core.url_patterns import PATH_PREFIX, SAFE
from soketpy.protocol.forwarded import network_problem
from soketpy.protocol.origins import origin_problem

DEFAULT_SECRET = "app-secret"  # noqa: S105 - publicly known; the log warns of it
DEFAULT_APP = App(id="1", keys=(Key("app-key", DEFAULT_SECRET),))
WHY_EXCLUDED = {"redis.db": "a Redis Cluster has only database 0"}
"""The reason for which a setting excludes another one, by the path of the other one."""

ONE_OF_BOTH = "use one of both"

HTTP_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""The pattern of a method or of the name of a header (RFC 9110, section 5.6.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The log on standard error."""

    level: str = setting("info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error"))
    format: str = setting("text", "text for people, json for machines.", choices=("text", "json"))
    access: bool = setting(False, "Write a line for each REST request, and when a WebSocket is opened and ended.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS on the main port, with the operator's certificate."""

    cert: str | None = setting(
        None, "Certificate chain (PEM file). With a certificate and a key, the main port accepts TLS only.", needs="key"
    )
    key: str | None = setting(None, "Private key (PEM file).", needs="cert")
    passphrase: str | None = setting(None, "Passphrase of the private key.", secret=True, needs="key")
    ca: str | None = setting(None, "Further certificates of the chain (PEM file).", needs="cert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """The CORS headers of the REST API."""

    origins: tuple[str, ...] = setting(
        ("*",),
        "Origins whose pages may read REST answers.",
        check_text=origin_problem,
    )
    methods: tuple[str, ...] = setting(
        ("GET", "POST", "PUT", "DELETE", "OPTIONS"),
        "Methods that the answer to a preflight request allows.",
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
        "Request headers that the answer to a preflight request allows.",
        pattern=HTTP_NAME,
        like="the name of one header",
    )
    credentials: bool = setting(
        True, "Allow browsers to send credentials. Has an effect only if origins are named, not with *."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics port."""

    enabled: bool = setting(False, "Serve /usage and Prometheus /metrics on a separate port.")
    host: str | tuple[str, ...] = setting(
        "0.0.0.0", "Address of the metrics port, or a list of addresses.", check_text=listening_problem, **HOST
    )
    port: int = setting(9601, "The metrics port; 0 for any free one.", least=0, most=LAST_PORT)
    prefix: str = setting(
        "soketi_",
        "Prefix of the metrics that soketi has. The default is soketi's, so that dashboards for soketi still work.",
        pattern=r"([a-zA-Z_:][a-zA-Z0-9_:]*)?",
        like="letters, digits, _ and :, without a digit in front",
    )


_PORT = r"0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
ADDRESS = rf"(\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\]]+):{_PORT}"
"""The pattern of host:port, with a port from 1 to 65,535."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """The Redis that connects the nodes of a cluster."""

    host: str = setting("127.0.0.1", "Address of Redis, version 6 or later.", check_text=host_problem, **HOST)
    port: int = setting(6379, "Port of Redis.", most=LAST_PORT)
    unix_socket: str | None = setting(
        None, "Connect to this Unix socket instead of host and port.", check_text=socket_problem
    )
    sentinels: tuple[str, ...] = setting(
        (),
        "Addresses of Sentinels (host:port), which name the Redis to use, instead of host and port.",
        pattern=ADDRESS,
        like="an address such as sentinel-1:26379",
        check_text=address_problem,
        excludes=("unix_socket", "cluster_nodes"),
    )
    sentinel_master: str = setting("mymaster", "Name of the Redis at the Sentinels.")
    sentinel_password: str | None = setting(None, "Password of the Sentinels, if they have one.", secret=True)
    cluster_nodes: tuple[str, ...] = setting(
        (),
        "Addresses of some nodes of a Redis Cluster (host:port). One of them tells where each partition is.",
        pattern=ADDRESS,
        like="an address such as redis-1:6379",
        check_text=address_problem,
        excludes=("unix_socket", "db"),
    )
    partitions: int = setting(
        1,
        "Number of parts into which channels are divided over a Redis Cluster; the same for all nodes.",
        least=1,
        most=256,
    )
    tls: bool = setting(
        False, "Connect with TLS. The certificate is verified with the system's certificate authorities."
    )
    db: int = setting(0, "Number of the database.", least=0)
    username: str | None = setting(None, "User of Redis (ACL); null for the default user.")
    password: str | None = setting(None, "Password of Redis, if it has one.", secret=True)
    prefix: str = setting(
        "soketpy",
        "Prefix of every key and topic. Nodes with the same prefix form one cluster.",
        pattern=r"[^{}\s]+",
        like="some text without braces and spaces",
    )
    lease: float = setting(
        10, "A node is considered dead after this many seconds without a heartbeat.", least=1, most=LONGEST
    )
    start_timeout: float = setting(10, "Seconds to wait for Redis at the start. Then the server ends with exit code 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """The queue of webhooks, and the sending of them."""

    queue: str = setting(
        "auto",
        "Where deliveries wait. auto: a file (sqlite), or redis in a cluster. sqs: AWS. memory: lost at a restart.",
        choices=("auto", "sqlite", "redis", "sqs", "memory"),
    )
    path: str = setting(
        "soketpy-webhooks.db",
        "The file of the queue sqlite, on a local disk. Created when an app has webhooks. Only one server may use it.",
    )
    batching: bool = setting(False, "Send the events of one batch_duration in one request.")
    batch_duration: float = setting(0.05, "Seconds for which the events of a batch are collected.", most=60)
    grace: float = setting(
        3,
        "Seconds before vacated, removed and offline are sent. A client that returns in this time causes no event.",
        least=0,
    )
    retry_for: float = setting(300, "Seconds for which a failed delivery is tried again.", least=0, most=LONGEST)
    connect_timeout: float = setting(
        5, "Seconds to connect to a receiver, including the name server and TLS.", most=600
    )
    timeout: float = setting(10, "Seconds in which a receiver must answer: until all headers have arrived.", most=600)
    body_timeout: float = setting(
        5,
        "Seconds to read the body of an answer. The body has no effect; a slower one closes the connection.",
        most=600,
    )
    ca: str | None = setting(None, "Further certificate authorities for receivers with TLS (PEM file).")
    private_addresses: str = setting(
        "auto",
        "Addresses of private and special networks: allow or block. auto: block if the apps are in a database.",
        choices=("auto", "allow", "block"),
    )
    queue_size: int = setting(10_000, "Most queued deliveries of a webhook. Beyond it the oldest become dead letters.")
    keep_dead_letters: float = setting(
        7 * 86_400, "Seconds for which deliveries that were given up are kept.", least=0, most=LONGEST
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqs(AwsOptions):
    """The queue of webhooks in SQS, and the options of its client."""

    url: str | None = setting(None, "URL of the FIFO queue for webhooks.queue: sqs.", check_text=queue_problem)
    dead_letter_url: str | None = setting(
        None,
        "URL of the FIFO queue for dead letters; null for the name of the first queue with -dead. Created if missing.",
        check_text=queue_problem,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The rate limits of apps in a cluster."""

    when_unavailable: str = setting(
        "allow",
        "While Redis is unavailable, allow: each node applies the limits alone. refuse: what has a limit is refused.",
        choices=("allow", "refuse"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration of a server.

    ``app_defaults`` has the written defaults of all apps by field, which ``apps`` already have: an app of a database
    has the defaults for each field that its row leaves out. The fields after it are not settings and do not count when
    two configurations are compared. ``sources`` names the sources,
    ``apps_in_file`` is true if the file has apps, and ``positions`` has the position of each written setting by its
    dotted path. ``ignored`` lists soketi's names without effect here. ``warnings`` has a line for each setting without
    effect. ``advises`` is true if the process warns of settings that Redis should have, and
    ``announces`` if it logs which nodes join and leave: one of several workers does.
    """

    host: str | tuple[str, ...] = setting(
        "0.0.0.0",
        'Address to listen on, or a list of addresses; 0.0.0.0 for IPv4, "::" for IPv6 and IPv4.',
        check_text=listening_problem,
        **HOST,
    )
    port: int = setting(6001, "Port for WebSocket and REST; 0 for any free one.", least=0, most=LAST_PORT)
    unix_socket: str | None = setting(
        None, "Listen on this Unix socket instead of host and port.", check_text=socket_problem
    )
    path_prefix: str = setting(
        "",
        "Prefix of every path behind a proxy, such as /realtime.",
        pattern=PATH_PREFIX,
        like=f"a path such as /realtime, of {SAFE}&:, or empty",
    )
    proxies: tuple[str, ...] = setting(
        (),
        "Networks of trusted proxies, such as 10.0.0.0/8; unix for the peers of a Unix socket.",
        check_text=network_problem,
    )
    proxy_headers: str = setting(
        "x-forwarded",
        "Headers of trusted proxies: x-forwarded (X-Forwarded-For, X-Forwarded-Proto) or forwarded (RFC 7239).",
        choices=("x-forwarded", "forwarded"),
    )
    proxy_protocol: bool = setting(
        False,
        "Connections to the main port begin with a PROXY header (version 1 or 2). With proxies, only theirs.",
    )
    strict_protocol: bool = setting(
        False, "Close clients that send no protocol version (4008). soketi's own tools send none."
    )
    workers: int = setting(
        1, "Number of processes that serve the port; auto for one per core. More than one need redis-server.", auto=0
    )
    cluster: str = setting(
        "local",
        "local: this process alone. redis: all nodes that share a Redis act as one server.",
        choices=("local", "redis"),
    )
    cache_ttl: float = setting(1800, "Seconds for which a cache channel keeps its last event.", least=0, most=LONGEST)
    log: Log = field(default_factory=Log, metadata={"help": "The log on standard error."})
    tls: Tls = field(default_factory=Tls, metadata={"help": "TLS on the main port, with your own certificate."})
    cors: Cors = field(default_factory=Cors, metadata={"help": "CORS headers of the REST API."})
    metrics: Metrics = field(default_factory=Metrics, metadata={"help": "Prometheus metrics."})
    tracing: Tracing = field(
        default_factory=Tracing, metadata={"help": "Traces of REST calls and webhooks, by OpenTelemetry."}
    )
    redis: Redis = field(default_factory=Redis, metadata={"help": "The Redis that connects the nodes of a cluster."})
    webhooks: Webhooks = field(
        default_factory=Webhooks,
        metadata={"help": "Queueing and sending of the webhooks of all apps."},
    )
    history: History = field(
        default_factory=History, metadata={"help": "Stored events of channels with history, of all apps."}
    )
    sqs: Sqs = field(default_factory=Sqs, metadata={"help": "The queue of AWS for webhooks.queue: sqs."})
    registry: Registry = field(
        default_factory=Registry, metadata={"help": "Where the apps are, and the cache in front of a database."}
    )
    sqlite: Sqlite = field(default_factory=Sqlite, metadata={"help": "The file for registry.driver: sqlite."})
    postgres: Postgres = field(
        default_factory=Postgres, metadata={"help": "The PostgreSQL database for registry.driver: postgres."}
    )
    mysql: Mysql = field(
        default_factory=Mysql, metadata={"help": "The MySQL or MariaDB database for registry.driver: mysql."}
    )
    dynamodb: Dynamodb = field(
        default_factory=Dynamodb, metadata={"help": "The DynamoDB for registry.driver: dynamodb."}
    )
    admin: Admin = field(default_factory=Admin, metadata={"help": "The admin API: apps over HTTP, on its own port."})
    rate_limits: RateLimits = field(
        default_factory=RateLimits, metadata={"help": "The rate limits of apps in a cluster."}
    )
    timeouts: Timeouts = field(default_factory=Timeouts, metadata={"help": "Timeouts, in seconds."})
    bounds: Bounds = field(default_factory=Bounds, metadata={"help": "Limits of one process, over all apps together."})
    apps: tuple[App, ...] = setting((DEFAULT_APP,), "The apps (tenants), while registry.driver is config.")
    app_defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sources: tuple[str, ...] = field(default=(), compare=False)
    apps_in_file: bool = field(default=False, compare=False)
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)
    ignored: tuple[str, ...] = field(default=(), compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    advises: bool = field(default=True, compare=False)
    announces: bool = field(default=True, compare=False)

    @property
    def prefix(self) -> str:
        """The path prefix without a slash at its end."""
        prefix = self.path_prefix.strip("/")
        return f"/{prefix}" if prefix else ""

    @property
    def blocks_private_addresses(self) -> bool:
        """True if webhooks must not reach private addresses. By default, apps in a database are not trusted to."""
        chosen = self.webhooks.private_addresses
        return chosen == "block" or (chosen == "auto" and self.registry.driver != CONFIG)

    def address(self, port: int | None) -> str:
        """Return the URLs or the Unix socket of a server on ``port``, for people to read."""
        if self.unix_socket is not None:
            return self.unix_socket
        scheme = "https" if self.tls.cert else "http"
        return ", ".join(f"{scheme}://{written(host, port)}" for host in hosts(self.host))

    def mistake(self, path: str, problem: str) -> ConfigError:
        """Return the error for a problem with a setting. It has the position of the setting if it was written."""
        position = self.positions.get(path)
        return ConfigError(f"{path}: {problem}") if position is None else position.error(path, problem)

    def value(self, path: str) -> Any:
        """Return the value of the setting at a dotted path."""
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found
