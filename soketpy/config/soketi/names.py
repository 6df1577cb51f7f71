"""The names of soketi 1.6: the path of each setting in a file, its variable, and its meaning in soketpy.

Each name has a setting of soketpy, or is refused with a reason, or asks for what soketpy does by itself.
"""

from dataclasses import dataclass

PREFIX = "SOKETI_"


@dataclass(frozen=True, slots=True)
class SoketiName:
    """The name of a setting of soketi, and what soketpy does with it.

    ``variable`` has no prefix. ``to`` is the path of soketpy's setting, and ``per`` divides soketi's number. ``has``
    are the values of a choice that this version supports, ``later`` are those that it does not support yet. ``means``
    has soketpy's values for those of soketi that differ, ``notes`` the reason why a value has no effect, both as pairs.
    With ``positive``, a number of 0 or less counts as not given.

    ``chosen`` has pairs of a registry driver and a path: the setting depends on the driver. ``needs`` is the setting
    without which the value true is an error. ``refused`` is the reason why a value is refused, and ``does`` the reason
    why a value is accepted without effect; both except the value ``accepts``, which is text or JSON.
    """

    path: str
    variable: str = ""
    to: str = ""
    per: int = 1
    has: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    means: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    positive: bool = False
    chosen: tuple[tuple[str, str], ...] = ()
    needs: str = ""
    refused: str = ""
    does: str = ""
    accepts: str = ""

    @property
    def target(self) -> str:
        """The setting of soketpy for an error: the first one if there are several, or an empty text."""
        return self.to or (self.chosen[0][1] if self.chosen else self.needs)


_INSTEAD = "leave it out, and connect nodes over Redis (SOKETI_ADAPTER_DRIVER=redis, or adapter.driver in a file)"
_NATS = f"soketpy has no driver nats: {_INSTEAD}"
_DISCOVERY = f"soketpy has no driver cluster: {_INSTEAD}"
_ANY_VERSION = "the server tells soketpy its version"
_POLLS = "soketpy receives messages in batches of up to 10, with long polls"

NAMES = (
    # the server
    SoketiName("host", "HOST", to="host"),
    SoketiName("port", "PORT", to="port"),
    SoketiName("pathPrefix", "PATH_PREFIX", to="path_prefix"),
    SoketiName("debug", "DEBUG", to="log.level"),
    SoketiName(
        "mode", "MODE", has=("full", "server"), later=("worker",), notes=(("server", "this server sends webhooks too"),)
    ),
    SoketiName("instance.process_id", refused="soketpy names its processes itself: leave it out"),
    SoketiName("shutdownGracePeriod", "SHUTDOWN_GRACE_PERIOD", to="timeouts.shutdown", per=1000),
    SoketiName("userAuthenticationTimeout", "USER_AUTHENTICATION_TIMEOUT", to="timeouts.authorization", per=1000),
    SoketiName("httpApi.requestLimitInMb", to="bounds.request_size_in_mb"),
    SoketiName(
        "httpApi.acceptTraffic.memoryThreshold", "HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", to="bounds.memory_percent"
    ),
    SoketiName("ssl.certPath", "SSL_CERT", to="tls.cert"),
    SoketiName("ssl.keyPath", "SSL_KEY", to="tls.key"),
    SoketiName("ssl.passphrase", "SSL_PASS", to="tls.passphrase"),
    SoketiName("ssl.caPath", "SSL_CA", to="tls.ca"),
    SoketiName("cors.credentials", to="cors.credentials"),
    SoketiName("cors.origin", to="cors.origins"),
    SoketiName("cors.methods", to="cors.methods"),
    SoketiName("cors.allowedHeaders", to="cors.headers"),
    SoketiName("metrics.enabled", "METRICS_ENABLED", to="metrics.enabled"),
    SoketiName("metrics.driver", "METRICS_DRIVER", has=("prometheus",)),
    SoketiName("metrics.host", "METRICS_HOST", to="metrics.host"),
    SoketiName("metrics.port", "METRICS_SERVER_PORT", to="metrics.port"),
    SoketiName("metrics.prometheus.prefix", "METRICS_PROMETHEUS_PREFIX", to="metrics.prefix"),
    # limits of all apps
    SoketiName("channelLimits.cacheTtl", "CHANNEL_CACHE_TTL", to="cache_ttl"),
    SoketiName(
        "channelLimits.maxNameLength", "CHANNEL_LIMITS_MAX_NAME_LENGTH", to="app_defaults.max_channel_name_length"
    ),
    SoketiName("eventLimits.maxBatchSize", "EVENT_MAX_BATCH_SIZE", to="app_defaults.max_event_batch_size"),
    SoketiName(
        "eventLimits.maxChannelsAtOnce", "EVENT_MAX_CHANNELS_AT_ONCE", to="app_defaults.max_event_channels_at_once"
    ),
    SoketiName("eventLimits.maxNameLength", "EVENT_MAX_NAME_LENGTH", to="app_defaults.max_event_name_length"),
    SoketiName("eventLimits.maxPayloadInKb", "EVENT_MAX_SIZE_IN_KB", to="app_defaults.max_event_payload_in_kb"),
    SoketiName(
        "presence.maxMembersPerChannel", "PRESENCE_MAX_MEMBERS", to="app_defaults.max_presence_members_per_channel"
    ),
    SoketiName(
        "presence.maxMemberSizeInKb", "PRESENCE_MAX_MEMBER_SIZE", to="app_defaults.max_presence_member_size_in_kb"
    ),
    # which driver
    SoketiName("adapter.driver", "ADAPTER_DRIVER", to="cluster", has=("local", "redis"), later=("cluster", "nats")),
    SoketiName(
        "appManager.driver",
        "APP_MANAGER_DRIVER",
        to="registry.driver",
        has=("array", "mysql", "postgres", "dynamodb"),
        means=(("array", "config"),),
    ),
    SoketiName("cache.driver", "CACHE_DRIVER", has=("memory", "redis")),
    SoketiName(
        "queue.driver",
        "QUEUE_DRIVER",
        to="webhooks.queue",
        has=("sync", "redis", "sqs"),
        means=(("sync", "auto"), ("redis", "auto")),
    ),
    SoketiName("rateLimiter.driver", "RATE_LIMITER_DRIVER", has=("local", "redis"), later=("cluster",)),
    SoketiName("webhooks.batching.enabled", "WEBHOOKS_BATCHING", to="webhooks.batching"),
    SoketiName("webhooks.batching.duration", "WEBHOOKS_BATCHING_DURATION", to="webhooks.batch_duration", per=1000),
    # the drivers' own
    SoketiName(
        "adapter.cluster.requestsTimeout", "ADAPTER_CLUSTER_REQUESTS_TIMEOUT", refused=_DISCOVERY, accepts="5000"
    ),
    SoketiName("adapter.nats.nodesNumber", "ADAPTER_NATS_NODES_NUMBER", refused=_NATS),
    SoketiName("adapter.nats.pass", "ADAPTER_NATS_PASSWORD", refused=_NATS),
    SoketiName("adapter.nats.prefix", "ADAPTER_NATS_PREFIX", refused=_NATS),
    SoketiName("adapter.nats.requestsTimeout", "ADAPTER_NATS_REQUESTS_TIMEOUT", refused=_NATS, accepts="5000"),
    SoketiName("adapter.nats.servers", "ADAPTER_NATS_SERVERS", refused=_NATS, accepts='["127.0.0.1:4222"]'),
    SoketiName("adapter.nats.timeout", "ADAPTER_NATS_TIMEOUT", refused=_NATS, accepts="10000"),
    SoketiName("adapter.nats.token", "ADAPTER_NATS_TOKEN", refused=_NATS),
    SoketiName("adapter.nats.user", "ADAPTER_NATS_USER", refused=_NATS),
    SoketiName("adapter.redis.clusterMode", "ADAPTER_REDIS_CLUSTER_MODE", needs="redis.cluster_nodes"),
    SoketiName("adapter.redis.prefix", "ADAPTER_REDIS_PREFIX", to="redis.prefix"),
    SoketiName("adapter.redis.redisPubOptions", "ADAPTER_REDIS_PUB_OPTIONS", to="redis.tls"),
    SoketiName("adapter.redis.redisSubOptions", "ADAPTER_REDIS_SUB_OPTIONS", to="redis.tls"),
    SoketiName(
        "adapter.redis.requestsTimeout",
        "ADAPTER_REDIS_REQUESTS_TIMEOUT",
        does="nodes read from Redis, and do not ask each other",
        accepts="5000",
    ),
    SoketiName(
        "appManager.cache.enabled",
        "APP_MANAGER_CACHE_ENABLED",
        does="apps are always kept for registry.cache_seconds",
        accepts="true",
    ),
    SoketiName("appManager.cache.ttl", "APP_MANAGER_CACHE_TTL", to="registry.cache_seconds", positive=True),
    SoketiName("appManager.dynamodb.endpoint", "APP_MANAGER_DYNAMODB_ENDPOINT", to="dynamodb.endpoint"),
    SoketiName("appManager.dynamodb.region", "APP_MANAGER_DYNAMODB_REGION", to="dynamodb.region"),
    SoketiName(
        "appManager.dynamodb.table",
        "APP_MANAGER_DYNAMODB_TABLE",
        chosen=(("dynamodb", "registry.table"),),
        accepts="apps",
    ),
    SoketiName(
        "appManager.mysql.table", "APP_MANAGER_MYSQL_TABLE", chosen=(("mysql", "registry.table"),), accepts="apps"
    ),
    SoketiName(
        "appManager.mysql.useMysql2",
        "APP_MANAGER_MYSQL_USE_V2",
        does="soketpy has one library for MySQL and MariaDB",
        accepts="false",
    ),
    SoketiName("appManager.mysql.version", "APP_MANAGER_MYSQL_VERSION", does=_ANY_VERSION, accepts="8.0"),
    SoketiName(
        "appManager.postgres.table",
        "APP_MANAGER_POSTGRES_TABLE",
        chosen=(("postgres", "registry.table"),),
        accepts="apps",
    ),
    SoketiName("appManager.postgres.version", "APP_MANAGER_POSTGRES_VERSION", does=_ANY_VERSION, accepts="13.3"),
    SoketiName("cache.redis.clusterMode", "CACHE_REDIS_CLUSTER_MODE", needs="redis.cluster_nodes"),
    SoketiName("cache.redis.redisOptions", "CACHE_REDIS_OPTIONS", to="redis.tls"),
    SoketiName("cluster.broadcast", "CLUSTER_BROADCAST_ADDRESS", refused=_DISCOVERY, accepts="255.255.255.255"),
    SoketiName("cluster.checkInterval", "CLUSTER_CHECK_INTERVAL", refused=_DISCOVERY, accepts="500"),
    SoketiName("cluster.helloInterval", "CLUSTER_KEEPALIVE_INTERVAL", refused=_DISCOVERY, accepts="500"),
    SoketiName("cluster.hostname", "CLUSTER_HOST", refused=_DISCOVERY, accepts="0.0.0.0"),
    SoketiName("cluster.ignoreProcess", "CLUSTER_IGNORE_PROCESS", refused=_DISCOVERY, accepts="true"),
    SoketiName("cluster.masterTimeout", "CLUSTER_MASTER_TIMEOUT", refused=_DISCOVERY, accepts="2000"),
    SoketiName("cluster.multicast", "CLUSTER_MULTICAST_ADDRESS", refused=_DISCOVERY),
    SoketiName("cluster.nodeTimeout", "CLUSTER_NODE_TIMEOUT", refused=_DISCOVERY, accepts="2000"),
    SoketiName("cluster.port", "CLUSTER_PORT", refused=_DISCOVERY, accepts="11002"),
    SoketiName("cluster.prefix", "CLUSTER_PREFIX", refused=_DISCOVERY),
    SoketiName("cluster.unicast", "CLUSTER_UNICAST_ADDRESSES", refused=_DISCOVERY),
    SoketiName("database.mysql.database", "DB_MYSQL_DATABASE", to="mysql.database"),
    SoketiName("database.mysql.host", "DB_MYSQL_HOST", to="mysql.host"),
    SoketiName("database.mysql.password", "DB_MYSQL_PASSWORD", to="mysql.password"),
    SoketiName("database.mysql.port", "DB_MYSQL_PORT", to="mysql.port"),
    SoketiName("database.mysql.ssl", to="mysql.tls"),
    SoketiName("database.mysql.user", "DB_MYSQL_USERNAME", to="mysql.username"),
    SoketiName("database.postgres.database", "DB_POSTGRES_DATABASE", to="postgres.database"),
    SoketiName("database.postgres.host", "DB_POSTGRES_HOST", to="postgres.host"),
    SoketiName("database.postgres.password", "DB_POSTGRES_PASSWORD", to="postgres.password"),
    SoketiName("database.postgres.port", "DB_POSTGRES_PORT", to="postgres.port"),
    SoketiName("database.postgres.ssl", to="postgres.tls"),
    SoketiName("database.postgres.user", "DB_POSTGRES_USERNAME", to="postgres.username"),
    SoketiName("database.redis.clusterNodes", "DB_REDIS_CLUSTER_NODES", to="redis.cluster_nodes"),
    SoketiName("database.redis.db", "DB_REDIS_DB", to="redis.db"),
    SoketiName("database.redis.host", "DB_REDIS_HOST", to="redis.host"),
    SoketiName("database.redis.keyPrefix", "DB_REDIS_KEY_PREFIX", to="redis.prefix"),
    SoketiName("database.redis.name", "DB_REDIS_INSTANCE_NAME", to="redis.sentinel_master"),
    SoketiName("database.redis.password", "DB_REDIS_PASSWORD", to="redis.password"),
    SoketiName("database.redis.port", "DB_REDIS_PORT", to="redis.port"),
    SoketiName("database.redis.sentinelPassword", "DB_REDIS_SENTINEL_PASSWORD", to="redis.sentinel_password"),
    SoketiName("database.redis.sentinels", "DB_REDIS_SENTINELS", to="redis.sentinels"),
    SoketiName("database.redis.tls", to="redis.tls"),
    SoketiName("database.redis.username", "DB_REDIS_USERNAME", to="redis.username"),
    SoketiName("databasePooling.enabled", "DB_POOLING_ENABLED", does="connections are always pooled", accepts="true"),
    SoketiName(
        "databasePooling.max",
        "DB_POOLING_MAX",
        chosen=(("mysql", "mysql.pool_size"), ("postgres", "postgres.pool_size")),
        accepts="7",
    ),
    SoketiName("databasePooling.min", "DB_POOLING_MIN", does="a connection is opened when it is needed", accepts="0"),
    SoketiName("queue.redis.clusterMode", "QUEUE_REDIS_CLUSTER_MODE", needs="redis.cluster_nodes"),
    SoketiName(
        "queue.redis.concurrency",
        "QUEUE_REDIS_CONCURRENCY",
        does="up to 16 requests of a webhook are sent at the same time",
        accepts="1",
    ),
    SoketiName("queue.redis.redisOptions", "QUEUE_REDIS_OPTIONS", to="redis.tls"),
    SoketiName("queue.sqs.batchSize", "QUEUE_SQS_BATCH_SIZE", does=_POLLS, accepts="1"),
    SoketiName("queue.sqs.clientOptions", "QUEUE_SQS_CLIENT_OPTIONS"),
    SoketiName(
        "queue.sqs.consumerOptions",
        refused="these are options of soketi's library for SQS: leave them out",
        accepts="{}",
    ),
    SoketiName("queue.sqs.endpoint", "QUEUE_SQS_ENDPOINT", to="sqs.endpoint"),
    SoketiName("queue.sqs.pollingWaitTimeMs", "QUEUE_SQS_POLLING_WAIT_TIME_MS", does=_POLLS, accepts="0"),
    SoketiName("queue.sqs.processBatch", "QUEUE_SQS_PROCESS_BATCH", does=_POLLS, accepts="false"),
    SoketiName("queue.sqs.queueUrl", "QUEUE_SQS_URL", to="sqs.url"),
    SoketiName("queue.sqs.region", "QUEUE_SQS_REGION", to="sqs.region"),
    SoketiName("rateLimiter.redis.clusterMode", "RATE_LIMITER_REDIS_CLUSTER_MODE", needs="redis.cluster_nodes"),
    SoketiName("rateLimiter.redis.redisOptions", "RATE_LIMITER_REDIS_OPTIONS", to="redis.tls"),
)
BY_PATH = {name.path: name for name in NAMES}
APPS_PATH = "appManager.array.apps"
COMPUTED = (
    "hasClientEventWebhooks",
    "hasChannelOccupiedWebhooks",
    "hasChannelVacatedWebhooks",
    "hasMemberAddedWebhooks",
    "hasMemberRemovedWebhooks",
    "hasCacheMissedWebhooks",
)
"""Fields of an app that soketi computes from the webhooks of the app."""

# Variables of the first app, and the field of the app that each one is.
APP_VARIABLES = {
    "DEFAULT_APP_ID": "id",
    "DEFAULT_APP_KEY": "key",
    "DEFAULT_APP_SECRET": "secret",
    "DEFAULT_APP_MAX_CONNS": "maxConnections",
    "DEFAULT_APP_ENABLE_CLIENT_MESSAGES": "enableClientMessages",
    "DEFAULT_APP_ENABLED": "enabled",
    "DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC": "maxBackendEventsPerSecond",
    "DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC": "maxClientEventsPerSecond",
    "DEFAULT_APP_MAX_READ_REQ_PER_SEC": "maxReadRequestsPerSecond",
    "DEFAULT_APP_USER_AUTHENTICATION": "enableUserAuthentication",
    "DEFAULT_APP_WEBHOOKS": "webhooks",
}
VARIABLES = {PREFIX + name.variable: name.path for name in NAMES if name.variable} | {
    PREFIX + variable: f"{APPS_PATH}.0.{name}" for variable, name in APP_VARIABLES.items()
}

ID_OF_DEFAULT_APP = "app-id"
"""The id of soketi's default app. Its key and secret are those of soketpy's."""

DATABASE_DEFAULTS = {
    "mysql": {"username": "root", "password": "password", "database": "main"},
    "postgres": {"username": "postgres", "password": "password", "database": "main"},
}
"""soketi's own values of the settings of a database, where soketpy's differ."""

WEBHOOKS = "webhooks"
# The names of an app's fields, as files, DynamoDB and SQL have them, and the field of our App.
APP_NAMES = {
    "id": "id",
    "AppId": "id",
    "key": "key",
    "AppKey": "key",
    "secret": "secret",
    "AppSecret": "secret",
    "enabled": "enabled",
    "Enabled": "enabled",
    "webhooks": WEBHOOKS,
    "Webhooks": WEBHOOKS,
    **{
        written: field
        for field, camel, snake in (
            ("max_connections", "maxConnections", "max_connections"),
            ("client_events", "enableClientMessages", "enable_client_messages"),
            ("max_backend_events_per_second", "maxBackendEventsPerSecond", "max_backend_events_per_sec"),
            ("max_client_events_per_second", "maxClientEventsPerSecond", "max_client_events_per_sec"),
            ("max_read_requests_per_second", "maxReadRequestsPerSecond", "max_read_req_per_sec"),
            ("max_presence_members_per_channel", "maxPresenceMembersPerChannel", "max_presence_members_per_channel"),
            ("max_presence_member_size_in_kb", "maxPresenceMemberSizeInKb", "max_presence_member_size_in_kb"),
            ("max_channel_name_length", "maxChannelNameLength", "max_channel_name_length"),
            ("max_event_channels_at_once", "maxEventChannelsAtOnce", "max_event_channels_at_once"),
            ("max_event_name_length", "maxEventNameLength", "max_event_name_length"),
            ("max_event_payload_in_kb", "maxEventPayloadInKb", "max_event_payload_in_kb"),
            ("max_event_batch_size", "maxEventBatchSize", "max_event_batch_size"),
            ("authorized_connections", "enableUserAuthentication", "enable_user_authentication"),
        )
        for written in (camel, camel[0].upper() + camel[1:], snake)
    },
}
