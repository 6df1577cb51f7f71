"""The names of soketi 1.6: the path of each setting in a file, its variable, and the setting of soketpy.

A name without ``to`` belongs to a driver or a part that this version does not have. It is accepted without effect.
"""

from dataclasses import dataclass

PREFIX = "SOKETI_"


@dataclass(frozen=True, slots=True)
class SoketiName:
    """The name of a setting of soketi.

    ``variable`` has no prefix. ``to`` is the path of soketpy's setting, and ``per`` divides soketi's number. ``has``
    are the values of a choice that this version supports, ``later`` are those that it does not support yet. ``means``
    has soketpy's values for those of soketi that differ, as pairs.
    """

    path: str
    variable: str = ""
    to: str = ""
    per: int = 1
    has: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    means: tuple[tuple[str, str], ...] = ()


NAMES = (
    # the server
    SoketiName("host", "HOST", to="host"),
    SoketiName("port", "PORT", to="port"),
    SoketiName("pathPrefix", "PATH_PREFIX", to="path_prefix"),
    SoketiName("debug", "DEBUG", to="log.level"),
    SoketiName("mode", "MODE", has=("full", "server"), later=("worker",)),
    SoketiName("instance.process_id"),
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
    SoketiName("appManager.driver", "APP_MANAGER_DRIVER", has=("array",), later=("dynamodb", "mysql", "postgres")),
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
    SoketiName("adapter.cluster.requestsTimeout", "ADAPTER_CLUSTER_REQUESTS_TIMEOUT"),
    SoketiName("adapter.nats.nodesNumber", "ADAPTER_NATS_NODES_NUMBER"),
    SoketiName("adapter.nats.pass", "ADAPTER_NATS_PASSWORD"),
    SoketiName("adapter.nats.prefix", "ADAPTER_NATS_PREFIX"),
    SoketiName("adapter.nats.requestsTimeout", "ADAPTER_NATS_REQUESTS_TIMEOUT"),
    SoketiName("adapter.nats.servers", "ADAPTER_NATS_SERVERS"),
    SoketiName("adapter.nats.timeout", "ADAPTER_NATS_TIMEOUT"),
    SoketiName("adapter.nats.token", "ADAPTER_NATS_TOKEN"),
    SoketiName("adapter.nats.user", "ADAPTER_NATS_USER"),
    SoketiName("adapter.redis.clusterMode", "ADAPTER_REDIS_CLUSTER_MODE"),
    SoketiName("adapter.redis.prefix", "ADAPTER_REDIS_PREFIX", to="redis.prefix"),
    SoketiName("adapter.redis.redisPubOptions", "ADAPTER_REDIS_PUB_OPTIONS"),
    SoketiName("adapter.redis.redisSubOptions", "ADAPTER_REDIS_SUB_OPTIONS"),
    SoketiName("adapter.redis.requestsTimeout", "ADAPTER_REDIS_REQUESTS_TIMEOUT"),
    SoketiName("appManager.cache.enabled", "APP_MANAGER_CACHE_ENABLED"),
    SoketiName("appManager.cache.ttl", "APP_MANAGER_CACHE_TTL"),
    SoketiName("appManager.dynamodb.endpoint", "APP_MANAGER_DYNAMODB_ENDPOINT"),
    SoketiName("appManager.dynamodb.region", "APP_MANAGER_DYNAMODB_REGION"),
    SoketiName("appManager.dynamodb.table", "APP_MANAGER_DYNAMODB_TABLE"),
    SoketiName("appManager.mysql.table", "APP_MANAGER_MYSQL_TABLE"),
    SoketiName("appManager.mysql.useMysql2", "APP_MANAGER_MYSQL_USE_V2"),
    SoketiName("appManager.mysql.version", "APP_MANAGER_MYSQL_VERSION"),
    SoketiName("appManager.postgres.table", "APP_MANAGER_POSTGRES_TABLE"),
    SoketiName("appManager.postgres.version", "APP_MANAGER_POSTGRES_VERSION"),
    SoketiName("cache.redis.clusterMode", "CACHE_REDIS_CLUSTER_MODE"),
    SoketiName("cache.redis.redisOptions", "CACHE_REDIS_OPTIONS"),
    SoketiName("cluster.broadcast", "CLUSTER_BROADCAST_ADDRESS"),
    SoketiName("cluster.checkInterval", "CLUSTER_CHECK_INTERVAL"),
    SoketiName("cluster.helloInterval", "CLUSTER_KEEPALIVE_INTERVAL"),
    SoketiName("cluster.hostname", "CLUSTER_HOST"),
    SoketiName("cluster.ignoreProcess", "CLUSTER_IGNORE_PROCESS"),
    SoketiName("cluster.masterTimeout", "CLUSTER_MASTER_TIMEOUT"),
    SoketiName("cluster.multicast", "CLUSTER_MULTICAST_ADDRESS"),
    SoketiName("cluster.nodeTimeout", "CLUSTER_NODE_TIMEOUT"),
    SoketiName("cluster.port", "CLUSTER_PORT"),
    SoketiName("cluster.prefix", "CLUSTER_PREFIX"),
    SoketiName("cluster.unicast", "CLUSTER_UNICAST_ADDRESSES"),
    SoketiName("database.mysql.database", "DB_MYSQL_DATABASE"),
    SoketiName("database.mysql.host", "DB_MYSQL_HOST"),
    SoketiName("database.mysql.password", "DB_MYSQL_PASSWORD"),
    SoketiName("database.mysql.port", "DB_MYSQL_PORT"),
    SoketiName("database.mysql.user", "DB_MYSQL_USERNAME"),
    SoketiName("database.postgres.database", "DB_POSTGRES_DATABASE"),
    SoketiName("database.postgres.host", "DB_POSTGRES_HOST"),
    SoketiName("database.postgres.password", "DB_POSTGRES_PASSWORD"),
    SoketiName("database.postgres.port", "DB_POSTGRES_PORT"),
    SoketiName("database.postgres.user", "DB_POSTGRES_USERNAME"),
    SoketiName("database.redis.clusterNodes", "DB_REDIS_CLUSTER_NODES", to="redis.cluster_nodes"),
    SoketiName("database.redis.db", "DB_REDIS_DB", to="redis.db"),
    SoketiName("database.redis.host", "DB_REDIS_HOST", to="redis.host"),
    SoketiName("database.redis.keyPrefix", "DB_REDIS_KEY_PREFIX", to="redis.prefix"),
    SoketiName("database.redis.name", "DB_REDIS_INSTANCE_NAME", to="redis.sentinel_master"),
    SoketiName("database.redis.password", "DB_REDIS_PASSWORD", to="redis.password"),
    SoketiName("database.redis.port", "DB_REDIS_PORT", to="redis.port"),
    SoketiName("database.redis.sentinelPassword", "DB_REDIS_SENTINEL_PASSWORD", to="redis.sentinel_password"),
    SoketiName("database.redis.sentinels", "DB_REDIS_SENTINELS", to="redis.sentinels"),
    SoketiName("database.redis.username", "DB_REDIS_USERNAME", to="redis.username"),
    SoketiName("databasePooling.enabled", "DB_POOLING_ENABLED"),
    SoketiName("databasePooling.max", "DB_POOLING_MAX"),
    SoketiName("databasePooling.min", "DB_POOLING_MIN"),
    SoketiName("queue.redis.clusterMode", "QUEUE_REDIS_CLUSTER_MODE"),
    SoketiName("queue.redis.concurrency", "QUEUE_REDIS_CONCURRENCY"),
    SoketiName("queue.redis.redisOptions", "QUEUE_REDIS_OPTIONS"),
    SoketiName("queue.sqs.batchSize", "QUEUE_SQS_BATCH_SIZE"),
    SoketiName("queue.sqs.clientOptions", "QUEUE_SQS_CLIENT_OPTIONS"),
    SoketiName("queue.sqs.consumerOptions"),
    SoketiName("queue.sqs.endpoint", "QUEUE_SQS_ENDPOINT", to="sqs.endpoint"),
    SoketiName("queue.sqs.pollingWaitTimeMs", "QUEUE_SQS_POLLING_WAIT_TIME_MS"),
    SoketiName("queue.sqs.processBatch", "QUEUE_SQS_PROCESS_BATCH"),
    SoketiName("queue.sqs.queueUrl", "QUEUE_SQS_URL", to="sqs.url"),
    SoketiName("queue.sqs.region", "QUEUE_SQS_REGION", to="sqs.region"),
    SoketiName("rateLimiter.redis.clusterMode", "RATE_LIMITER_REDIS_CLUSTER_MODE"),
    SoketiName("rateLimiter.redis.redisOptions", "RATE_LIMITER_REDIS_OPTIONS"),
)
BY_PATH = {name.path: name for name in NAMES}
APPS_PATH = "appManager.array.apps"

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
