"""Every name that soketi 1.6 gives a setting: its path in a file, its variable, and what it is here.

A name without ``to`` belongs to a driver or a part that this version does not have: it is taken and has no effect.
"""

from dataclasses import dataclass

PREFIX = "SOKETI_"


@dataclass(frozen=True, slots=True)
class Name:
    """One of soketi's names.

    ``variable`` is without its prefix. ``to`` is the path of our setting, ``per`` what soketi's number is divided by.
    ``has`` are the values of a choice that this version serves, ``later`` those that it does not serve yet.
    """

    path: str
    variable: str = ""
    to: str = ""
    per: int = 1
    has: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


NAMES = (
    # the server
    Name("host", "HOST", to="host"),
    Name("port", "PORT", to="port"),
    Name("pathPrefix", "PATH_PREFIX", to="path_prefix"),
    Name("debug", "DEBUG", to="log.level"),
    Name("mode", "MODE", has=("full", "server"), later=("worker",)),
    Name("instance.process_id"),
    Name("shutdownGracePeriod", "SHUTDOWN_GRACE_PERIOD", to="timeouts.shutdown", per=1000),
    Name("userAuthenticationTimeout", "USER_AUTHENTICATION_TIMEOUT", to="timeouts.authorization", per=1000),
    Name("httpApi.requestLimitInMb", to="bounds.request_size_in_mb"),
    Name("httpApi.acceptTraffic.memoryThreshold", "HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", to="bounds.memory_percent"),
    Name("ssl.certPath", "SSL_CERT", to="tls.cert"),
    Name("ssl.keyPath", "SSL_KEY", to="tls.key"),
    Name("ssl.passphrase", "SSL_PASS", to="tls.passphrase"),
    Name("ssl.caPath", "SSL_CA", to="tls.ca"),
    Name("cors.credentials", to="cors.credentials"),
    Name("cors.origin", to="cors.origins"),
    Name("cors.methods", to="cors.methods"),
    Name("cors.allowedHeaders", to="cors.headers"),
    Name("metrics.enabled", "METRICS_ENABLED", to="metrics.enabled"),
    Name("metrics.driver", "METRICS_DRIVER", has=("prometheus",)),
    Name("metrics.host", "METRICS_HOST", to="metrics.host"),
    Name("metrics.port", "METRICS_SERVER_PORT", to="metrics.port"),
    Name("metrics.prometheus.prefix", "METRICS_PROMETHEUS_PREFIX", to="metrics.prefix"),
    # limits of all apps
    Name("channelLimits.cacheTtl", "CHANNEL_CACHE_TTL", to="cache_ttl"),
    Name("channelLimits.maxNameLength", "CHANNEL_LIMITS_MAX_NAME_LENGTH", to="app_defaults.max_channel_name_length"),
    Name("eventLimits.maxBatchSize", "EVENT_MAX_BATCH_SIZE", to="app_defaults.max_event_batch_size"),
    Name("eventLimits.maxChannelsAtOnce", "EVENT_MAX_CHANNELS_AT_ONCE", to="app_defaults.max_event_channels_at_once"),
    Name("eventLimits.maxNameLength", "EVENT_MAX_NAME_LENGTH", to="app_defaults.max_event_name_length"),
    Name("eventLimits.maxPayloadInKb", "EVENT_MAX_SIZE_IN_KB", to="app_defaults.max_event_payload_in_kb"),
    Name("presence.maxMembersPerChannel", "PRESENCE_MAX_MEMBERS", to="app_defaults.max_presence_members_per_channel"),
    Name("presence.maxMemberSizeInKb", "PRESENCE_MAX_MEMBER_SIZE", to="app_defaults.max_presence_member_size_in_kb"),
    # which driver
    Name("adapter.driver", "ADAPTER_DRIVER", to="cluster", has=("local", "redis"), later=("cluster", "nats")),
    Name("appManager.driver", "APP_MANAGER_DRIVER", has=("array",), later=("dynamodb", "mysql", "postgres")),
    Name("cache.driver", "CACHE_DRIVER", has=("memory", "redis")),
    Name("queue.driver", "QUEUE_DRIVER", has=("sync",), later=("redis", "sqs")),
    Name("rateLimiter.driver", "RATE_LIMITER_DRIVER", has=("local", "redis"), later=("cluster",)),
    Name("webhooks.batching.enabled", "WEBHOOKS_BATCHING", has=("false",), later=("true",)),
    # the drivers' own
    Name("adapter.cluster.requestsTimeout", "ADAPTER_CLUSTER_REQUESTS_TIMEOUT"),
    Name("adapter.nats.nodesNumber", "ADAPTER_NATS_NODES_NUMBER"),
    Name("adapter.nats.pass", "ADAPTER_NATS_PASSWORD"),
    Name("adapter.nats.prefix", "ADAPTER_NATS_PREFIX"),
    Name("adapter.nats.requestsTimeout", "ADAPTER_NATS_REQUESTS_TIMEOUT"),
    Name("adapter.nats.servers", "ADAPTER_NATS_SERVERS"),
    Name("adapter.nats.timeout", "ADAPTER_NATS_TIMEOUT"),
    Name("adapter.nats.token", "ADAPTER_NATS_TOKEN"),
    Name("adapter.nats.user", "ADAPTER_NATS_USER"),
    Name("adapter.redis.clusterMode", "ADAPTER_REDIS_CLUSTER_MODE"),
    Name("adapter.redis.prefix", "ADAPTER_REDIS_PREFIX", to="redis.prefix"),
    Name("adapter.redis.redisPubOptions", "ADAPTER_REDIS_PUB_OPTIONS"),
    Name("adapter.redis.redisSubOptions", "ADAPTER_REDIS_SUB_OPTIONS"),
    Name("adapter.redis.requestsTimeout", "ADAPTER_REDIS_REQUESTS_TIMEOUT"),
    Name("appManager.cache.enabled", "APP_MANAGER_CACHE_ENABLED"),
    Name("appManager.cache.ttl", "APP_MANAGER_CACHE_TTL"),
    Name("appManager.dynamodb.endpoint", "APP_MANAGER_DYNAMODB_ENDPOINT"),
    Name("appManager.dynamodb.region", "APP_MANAGER_DYNAMODB_REGION"),
    Name("appManager.dynamodb.table", "APP_MANAGER_DYNAMODB_TABLE"),
    Name("appManager.mysql.table", "APP_MANAGER_MYSQL_TABLE"),
    Name("appManager.mysql.useMysql2", "APP_MANAGER_MYSQL_USE_V2"),
    Name("appManager.mysql.version", "APP_MANAGER_MYSQL_VERSION"),
    Name("appManager.postgres.table", "APP_MANAGER_POSTGRES_TABLE"),
    Name("appManager.postgres.version", "APP_MANAGER_POSTGRES_VERSION"),
    Name("cache.redis.clusterMode", "CACHE_REDIS_CLUSTER_MODE"),
    Name("cache.redis.redisOptions", "CACHE_REDIS_OPTIONS"),
    Name("cluster.broadcast", "CLUSTER_BROADCAST_ADDRESS"),
    Name("cluster.checkInterval", "CLUSTER_CHECK_INTERVAL"),
    Name("cluster.helloInterval", "CLUSTER_KEEPALIVE_INTERVAL"),
    Name("cluster.hostname", "CLUSTER_HOST"),
    Name("cluster.ignoreProcess", "CLUSTER_IGNORE_PROCESS"),
    Name("cluster.masterTimeout", "CLUSTER_MASTER_TIMEOUT"),
    Name("cluster.multicast", "CLUSTER_MULTICAST_ADDRESS"),
    Name("cluster.nodeTimeout", "CLUSTER_NODE_TIMEOUT"),
    Name("cluster.port", "CLUSTER_PORT"),
    Name("cluster.prefix", "CLUSTER_PREFIX"),
    Name("cluster.unicast", "CLUSTER_UNICAST_ADDRESSES"),
    Name("database.mysql.database", "DB_MYSQL_DATABASE"),
    Name("database.mysql.host", "DB_MYSQL_HOST"),
    Name("database.mysql.password", "DB_MYSQL_PASSWORD"),
    Name("database.mysql.port", "DB_MYSQL_PORT"),
    Name("database.mysql.user", "DB_MYSQL_USERNAME"),
    Name("database.postgres.database", "DB_POSTGRES_DATABASE"),
    Name("database.postgres.host", "DB_POSTGRES_HOST"),
    Name("database.postgres.password", "DB_POSTGRES_PASSWORD"),
    Name("database.postgres.port", "DB_POSTGRES_PORT"),
    Name("database.postgres.user", "DB_POSTGRES_USERNAME"),
    Name("database.redis.clusterNodes", "DB_REDIS_CLUSTER_NODES", to="redis.cluster_nodes"),
    Name("database.redis.db", "DB_REDIS_DB", to="redis.db"),
    Name("database.redis.host", "DB_REDIS_HOST", to="redis.host"),
    Name("database.redis.keyPrefix", "DB_REDIS_KEY_PREFIX", to="redis.prefix"),
    Name("database.redis.name", "DB_REDIS_INSTANCE_NAME", to="redis.sentinel_master"),
    Name("database.redis.password", "DB_REDIS_PASSWORD", to="redis.password"),
    Name("database.redis.port", "DB_REDIS_PORT", to="redis.port"),
    Name("database.redis.sentinelPassword", "DB_REDIS_SENTINEL_PASSWORD", to="redis.sentinel_password"),
    Name("database.redis.sentinels", "DB_REDIS_SENTINELS", to="redis.sentinels"),
    Name("database.redis.username", "DB_REDIS_USERNAME", to="redis.username"),
    Name("databasePooling.enabled", "DB_POOLING_ENABLED"),
    Name("databasePooling.max", "DB_POOLING_MAX"),
    Name("databasePooling.min", "DB_POOLING_MIN"),
    Name("queue.redis.clusterMode", "QUEUE_REDIS_CLUSTER_MODE"),
    Name("queue.redis.concurrency", "QUEUE_REDIS_CONCURRENCY"),
    Name("queue.redis.redisOptions", "QUEUE_REDIS_OPTIONS"),
    Name("queue.sqs.batchSize", "QUEUE_SQS_BATCH_SIZE"),
    Name("queue.sqs.clientOptions", "QUEUE_SQS_CLIENT_OPTIONS"),
    Name("queue.sqs.consumerOptions"),
    Name("queue.sqs.endpoint", "QUEUE_SQS_ENDPOINT"),
    Name("queue.sqs.pollingWaitTimeMs", "QUEUE_SQS_POLLING_WAIT_TIME_MS"),
    Name("queue.sqs.processBatch", "QUEUE_SQS_PROCESS_BATCH"),
    Name("queue.sqs.queueUrl", "QUEUE_SQS_URL"),
    Name("queue.sqs.region", "QUEUE_SQS_REGION"),
    Name("rateLimiter.redis.clusterMode", "RATE_LIMITER_REDIS_CLUSTER_MODE"),
    Name("rateLimiter.redis.redisOptions", "RATE_LIMITER_REDIS_OPTIONS"),
    Name("webhooks.batching.duration", "WEBHOOKS_BATCHING_DURATION"),
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
