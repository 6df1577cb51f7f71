"""All of soketi's settings: each one reaches a setting of soketpy, or is refused or noted by its name."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soketpy.config import ConfigError, Settings, load
from soketpy.config.registry import Mysql
from soketpy.config.settings import DEFAULT_APP
from soketpy.config.soketi.names import APP_NAMES, BY_PATH, COMPUTED, PREFIX, VARIABLES
from soketpy.core.apps import Key
from soketpy.core.webhooks import Webhook

FACTS = json.loads((Path(__file__).parent / "soketi_names.json").read_text())
"""soketi's variables with the key that each sets, its keys with their defaults, and the fields of an app."""

APPS = "appManager.array.apps"
OF_LIBRARIES = ["database.mysql.ssl", "database.postgres.ssl", "database.redis.tls"]
"""Keys that soketi passes on to its libraries."""

MYSQL, POSTGRES, DYNAMODB = ({"appManager.driver": driver} for driver in ("mysql", "postgres", "dynamodb"))
TLS = {"ssl.certPath": "c.pem", "ssl.keyPath": "k.pem"}
REDIS = {"adapter.driver": "redis"}
QUEUE = "https://sqs.eu-west-1.amazonaws.com/1/q.fifo"
KEYS = {"credentials": {"accessKeyId": "k", "secretAccessKey": "s"}}
NODES = [{"host": "a", "port": 1}, {"host": "b"}]
BUILT = "is not built yet in soketpy (this version has:"

# key, a value, the setting, the expected value, and other keys
MAPPED: list[tuple[str, Any, str, Any, dict[str, Any]]] = [
    ("host", "127.0.0.1", "host", "127.0.0.1", {}),
    ("port", 7000, "port", 7000, {}),
    ("pathPrefix", "/ws", "path_prefix", "/ws", {}),
    ("debug", True, "log.level", "debug", {}),
    ("shutdownGracePeriod", 1500, "timeouts.shutdown", 1.5, {}),
    ("userAuthenticationTimeout", 10_000, "timeouts.authorization", 10, {}),
    ("httpApi.requestLimitInMb", 5, "bounds.request_size_in_mb", 5, {}),
    ("httpApi.acceptTraffic.memoryThreshold", 50, "bounds.memory_percent", 50, {}),
    ("ssl.certPath", "d.pem", "tls.cert", "d.pem", {"ssl.keyPath": "k.pem"}),
    ("ssl.keyPath", "l.pem", "tls.key", "l.pem", {"ssl.certPath": "c.pem"}),
    ("ssl.passphrase", "p", "tls.passphrase", "p", TLS),
    ("ssl.caPath", "a.pem", "tls.ca", "a.pem", TLS),
    ("cors.credentials", False, "cors.credentials", False, {}),
    ("cors.origin", ["https://a"], "cors.origins", ("https://a",), {}),
    ("cors.methods", ["GET"], "cors.methods", ("GET",), {}),
    ("cors.allowedHeaders", ["X-A"], "cors.headers", ("X-A",), {}),
    ("metrics.enabled", True, "metrics.enabled", True, {}),
    ("metrics.host", "127.0.0.1", "metrics.host", "127.0.0.1", {}),
    ("metrics.port", 9000, "metrics.port", 9000, {}),
    ("metrics.prometheus.prefix", "x_", "metrics.prefix", "x_", {}),
    ("channelLimits.cacheTtl", 60, "cache_ttl", 60, {}),
    ("channelLimits.maxNameLength", 50, "app.max_channel_name_length", 50, {}),
    ("eventLimits.maxBatchSize", 20, "app.max_event_batch_size", 20, {}),
    ("eventLimits.maxChannelsAtOnce", 7, "app.max_event_channels_at_once", 7, {}),
    ("eventLimits.maxNameLength", 8, "app.max_event_name_length", 8, {}),
    ("eventLimits.maxPayloadInKb", 0.5, "app.max_event_payload_in_kb", 0.5, {}),
    ("presence.maxMembersPerChannel", 5, "app.max_presence_members_per_channel", 5, {}),
    ("presence.maxMemberSizeInKb", 10, "app.max_presence_member_size_in_kb", 10, {}),
    ("adapter.driver", "redis", "cluster", "redis", {}),
    ("appManager.driver", "array", "registry.driver", "config", {}),
    ("appManager.driver", "mysql", "registry.driver", "mysql", {}),
    ("appManager.driver", "postgres", "registry.driver", "postgres", {}),
    ("appManager.driver", "dynamodb", "registry.driver", "dynamodb", {}),
    ("appManager.cache.ttl", 60, "registry.cache_seconds", 60, POSTGRES),
    ("appManager.cache.ttl", -1, "registry.cache_seconds", 30, POSTGRES),
    ("appManager.dynamodb.endpoint", "http://127.0.0.1:1", "dynamodb.endpoint", "http://127.0.0.1:1", DYNAMODB),
    ("appManager.dynamodb.region", "eu-west-1", "dynamodb.region", "eu-west-1", DYNAMODB),
    ("appManager.dynamodb.table", "chat", "registry.table", "chat", DYNAMODB),
    ("appManager.mysql.table", "chat", "registry.table", "chat", {**MYSQL, "appManager.postgres.table": "apps"}),
    ("appManager.postgres.table", "chat", "registry.table", "chat", {**POSTGRES, "appManager.mysql.table": "apps"}),
    ("queue.driver", "sync", "webhooks.queue", "auto", {}),
    ("queue.driver", "redis", "webhooks.queue", "auto", {}),
    ("queue.driver", "sqs", "webhooks.queue", "sqs", {}),
    ("queue.sqs.clientOptions", KEYS, "sqs.access_key_id", "k", {}),
    ("queue.sqs.endpoint", "http://127.0.0.1:1", "sqs.endpoint", "http://127.0.0.1:1", {}),
    ("queue.sqs.queueUrl", QUEUE, "sqs.url", QUEUE, {}),
    ("queue.sqs.region", "eu-west-1", "sqs.region", "eu-west-1", {}),
    ("webhooks.batching.enabled", True, "webhooks.batching", True, {}),
    ("webhooks.batching.duration", 250, "webhooks.batch_duration", 0.25, {}),
    ("adapter.redis.prefix", "chat", "redis.prefix", "chat", {}),
    ("adapter.redis.redisPubOptions", {"tls": {}}, "redis.tls", True, {}),
    ("adapter.redis.redisSubOptions", {"tls": {"rejectUnauthorized": True}}, "redis.tls", True, {}),
    ("cache.redis.redisOptions", {"tls": True}, "redis.tls", True, {}),
    ("queue.redis.redisOptions", {"redisOptions": {"tls": {}}}, "redis.tls", True, {}),
    ("rateLimiter.redis.redisOptions", {"tls": None}, "redis.tls", False, {}),
    *(
        (f"{part}.redis.clusterMode", True, "redis.cluster_nodes", ("a:1", "b:6379"), {**REDIS, **nodes})
        for part in ("adapter", "cache", "queue", "rateLimiter")
        for nodes in [{"database.redis.clusterNodes": NODES}]
    ),
    ("database.redis.clusterNodes", NODES, "redis.cluster_nodes", ("a:1", "b:6379"), {}),
    ("database.redis.db", 3, "redis.db", 3, {}),
    ("database.redis.host", "db", "redis.host", "db", {}),
    ("database.redis.keyPrefix", "chat", "redis.prefix", "chat", {}),
    ("database.redis.name", "chat", "redis.sentinel_master", "chat", {}),
    ("database.redis.password", "hidden", "redis.password", "hidden", {}),
    ("database.redis.port", 6380, "redis.port", 6380, {}),
    ("database.redis.sentinelPassword", "hidden", "redis.sentinel_password", "hidden", {}),
    ("database.redis.sentinels", [{"host": "::1"}], "redis.sentinels", ("[::1]:26379",), {}),
    ("database.redis.tls", {}, "redis.tls", True, {}),
    ("database.redis.username", "chat", "redis.username", "chat", {}),
    *(
        (f"database.{database}.{key}", value, f"{database}.{name}", value, {})
        for database in ("mysql", "postgres")
        for key, name, value in (
            ("host", "host", "db"),
            ("port", "port", 1),
            ("user", "username", "chat"),
            ("password", "password", "hidden"),
            ("database", "database", "chat"),
        )
    ),
    ("database.mysql.ssl", {"rejectUnauthorized": False}, "mysql.tls", "require", MYSQL),
    ("database.mysql.ssl", {}, "mysql.tls", "verify-full", MYSQL),
    ("database.postgres.ssl", True, "postgres.tls", "verify-full", POSTGRES),
    ("database.postgres.ssl", False, "postgres.tls", "disable", POSTGRES),
    ("databasePooling.max", 9, "mysql.pool_size", 9, MYSQL),
    ("databasePooling.max", 9, "postgres.pool_size", 9, POSTGRES),
]

DECIDES = "adapter.driver is {} and decides"
# key, a value, the reason why soketpy accepts it without an effect, and other keys
NOTED: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("mode", "server", "this server sends webhooks too", {}),
    ("cache.driver", "redis", DECIDES.format("local"), {}),
    ("cache.driver", "memory", DECIDES.format("redis"), REDIS),
    ("rateLimiter.driver", "redis", DECIDES.format("local"), {}),
    ("rateLimiter.driver", "local", DECIDES.format("redis"), REDIS),
    ("adapter.redis.requestsTimeout", 9, "nodes read from Redis, and do not ask each other", {}),
    ("adapter.redis.clusterMode", True, "adapter.driver is not redis", {}),
    ("appManager.cache.enabled", False, "apps are always kept for registry.cache_seconds", {}),
    ("appManager.dynamodb.table", "chat", "registry.driver is mysql", MYSQL),
    ("appManager.mysql.useMysql2", True, "soketpy has one library for MySQL and MariaDB", {}),
    ("appManager.mysql.version", "5.7", "the server tells soketpy its version", {}),
    ("appManager.postgres.version", 15, "the server tells soketpy its version", {}),
    ("databasePooling.enabled", False, "connections are always pooled", {}),
    ("databasePooling.max", 9, "registry.driver is config", {}),
    ("databasePooling.min", 2, "a connection is opened when it is needed", {}),
    ("queue.redis.concurrency", 9, "up to 16 requests of a webhook are sent at the same time", {}),
    ("queue.sqs.batchSize", 9, "soketpy receives messages in batches of up to 10, with long polls", {}),
    ("queue.sqs.pollingWaitTimeMs", 9, "soketpy receives messages in batches of up to 10, with long polls", {}),
    ("queue.sqs.processBatch", True, "soketpy receives messages in batches of up to 10, with long polls", {}),
]

LEAVE_OUT = "leave it out, and connect nodes over Redis (SOKETI_ADAPTER_DRIVER=redis, or adapter.driver in a file)"
NATS = f"soketpy has no driver nats: {LEAVE_OUT}"
DISCOVERY = f"soketpy has no driver cluster: {LEAVE_OUT}"
UNREAD = "soketpy does not read {} from these options: {}"
# key, a value, the problem, and other keys
REFUSED: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("mode", "worker", f"worker {BUILT} full, server)", {}),
    ("metrics.driver", "statsd", "there is no statsd (this version has: prometheus)", {}),
    ("adapter.driver", "nats", f"nats {BUILT} local, redis)", {}),
    ("adapter.driver", "cluster", f"cluster {BUILT} local, redis)", {}),
    ("appManager.driver", "mongo", "there is no mongo (this version has: array, mysql, postgres, dynamodb)", {}),
    ("rateLimiter.driver", "cluster", f"cluster {BUILT} local, redis)", {}),
    ("instance.process_id", "one", "soketpy names its processes itself: leave it out", {}),
    ("queue.sqs.consumerOptions", {"a": 1}, "these are options of soketi's library for SQS: leave them out", {}),
    ("adapter.redis.clusterMode", True, "needs database.redis.clusterNodes (SOKETI_DB_REDIS_CLUSTER_NODES)", REDIS),
    ("queue.redis.clusterMode", "maybe", "must be true or false, not 'maybe'", {}),
    ("cache.redis.redisOptions", {"db": 1}, UNREAD.format("db", "use database.redis.db (SOKETI_DB_REDIS_DB)"), {}),
    ("queue.redis.redisOptions", {"keepAlive": 1}, UNREAD.format("keepAlive", "leave it out"), {}),
    (
        "adapter.redis.redisSubOptions",
        {"tls": {"rejectUnauthorized": False}},
        "rejectUnauthorized is false, but soketpy verifies the certificate of Redis: leave rejectUnauthorized out",
        {},
    ),
    ("database.redis.tls", {"ca": "x"}, "soketpy has no option ca of TLS: leave it out", {}),
    ("database.redis.tls", "yes", "must be a table, not text", {}),
    (
        "database.postgres.ssl",
        {"ca": "x"},
        "soketpy has no option ca of TLS: use postgres.tls and postgres.ca of soketpy",
        {},
    ),
    ("database.mysql.ssl", {"rejectUnauthorized": 1}, "rejectUnauthorized must be true or false", {}),
    ("databasePooling.max", "all", "must be a whole number from 1 to 1000, not 'all'", {}),
    ("appManager.mysql.table", "a;b", "must be a name of letters, digits and _.$-, not 'a;b'", {}),
    ("appManager.cache.ttl", "long", "must be a number from 1 to 31536000, not 'long'", {}),
    ("adapter.cluster.requestsTimeout", 9, DISCOVERY, {}),
    *((key, "other", NATS, {}) for key in FACTS["keys"] if key.startswith("adapter.nats.")),
    *((key, "other", DISCOVERY, {}) for key in FACTS["keys"] if key.startswith("cluster.")),
]

HOOK = "https://a.example/"
# a field of an app in camelCase, a value, the field of our App, and the expected value
FIELDS: list[tuple[str, Any, str, Any]] = [
    ("id", "x", "id", "x"),
    ("key", "x", "keys", (Key("x", "app-secret"),)),
    ("secret", "x", "keys", (Key("app-key", "x"),)),
    ("enabled", False, "enabled", False),
    (
        "webhooks",
        [{"url": HOOK, "event_types": ["cache_miss"]}],
        "webhooks",
        (Webhook(url=HOOK, event_types=("cache_miss",)),),
    ),
    ("maxConnections", 9, "max_connections", 9),
    ("enableClientMessages", True, "client_events", True),
    ("maxBackendEventsPerSecond", 9, "max_backend_events_per_second", 9),
    ("maxClientEventsPerSecond", 9, "max_client_events_per_second", 9),
    ("maxReadRequestsPerSecond", 9, "max_read_requests_per_second", 9),
    ("maxPresenceMembersPerChannel", 9, "max_presence_members_per_channel", 9),
    ("maxPresenceMemberSizeInKb", 9, "max_presence_member_size_in_kb", 9),
    ("maxChannelNameLength", 9, "max_channel_name_length", 9),
    ("maxEventChannelsAtOnce", 9, "max_event_channels_at_once", 9),
    ("maxEventNameLength", 9, "max_event_name_length", 9),
    ("maxEventPayloadInKb", 9, "max_event_payload_in_kb", 9),
    ("maxEventBatchSize", 9, "max_event_batch_size", 9),
    ("enableUserAuthentication", True, "authorized_connections", True),
]
SPELLINGS = {spelling: names[0] for names in FACTS["app_fields"] for spelling in names}


def test_the_code_has_the_variables_of_soketi() -> None:
    assert {PREFIX + name: key for name, key in FACTS["variables"].items()} == VARIABLES
    assert len(VARIABLES) == 115


def test_the_code_has_the_keys_of_soketi_and_three_of_its_libraries() -> None:
    assert sorted(BY_PATH) == sorted([*FACTS["keys"], *OF_LIBRARIES])


def test_the_code_has_the_fields_of_an_app_in_every_spelling() -> None:
    assert set(APP_NAMES) == set(SPELLINGS)
    assert sorted(COMPUTED) == sorted(FACTS["computed_app_fields"])


def test_the_tables_have_an_example_of_every_key_and_every_field() -> None:
    assert {key for key, *_ in (*MAPPED, *NOTED, *REFUSED)} == set(BY_PATH)
    assert {camel for camel, *_ in FIELDS} == set(SPELLINGS.values())


VARIABLE_OF = {key: PREFIX + name for name, key in FACTS["variables"].items()}


def in_each_source(rows: list[Any]) -> list[Any]:
    """Return each row twice, for a file and for variables; once if soketi has no variable for one of the keys."""
    return [
        (source, *row)
        for row in rows
        for source in ("file", "variables")
        if source == "file" or {row[0], *row[-1]} <= VARIABLE_OF.keys()
    ]


def read(source: str, keys: Mapping[str, Any]) -> Settings:
    """Return the settings of keys in a file, or in the variables that set them."""
    if source == "file":
        Path("config.json").write_text(json.dumps(keys))
        return load("config.json", {}, {})
    texts = {VARIABLE_OF[key]: each if isinstance(each, str) else json.dumps(each) for key, each in keys.items()}
    return load(None, texts, {})


def name_in(source: str, key: str) -> str:
    return key if source == "file" else VARIABLE_OF[key]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def value(settings: Settings, path: str) -> Any:
    return getattr(settings.apps[0], path.removeprefix("app.")) if path.startswith("app.") else settings.value(path)


@pytest.mark.parametrize(("source", "key", "written", "path", "expected", "others"), in_each_source(MAPPED))
def test_a_mapped_value_reaches_its_setting(
    source: str, key: str, written: Any, path: str, expected: Any, others: dict[str, Any]
) -> None:
    settings = read(source, {**others, key: written})
    assert value(settings, path) == expected
    assert settings.ignored == ()


@pytest.mark.parametrize(("source", "key", "written", "reason", "others"), in_each_source(NOTED))
def test_a_value_without_effect_is_noted_with_its_reason(
    source: str, key: str, written: Any, reason: str, others: dict[str, Any]
) -> None:
    settings = read(source, {**others, key: written})
    assert settings == read(source, others or {"debug": False})
    assert settings.ignored == (f"{name_in(source, key)} ({reason})",)


@pytest.mark.parametrize(("source", "key", "written", "problem", "others"), in_each_source(REFUSED))
def test_a_refused_value_is_named_with_its_reason(
    source: str, key: str, written: Any, problem: str, others: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(source, {**others, key: written})
    assert str(caught.value) == f"{'config.json:1: ' if source == 'file' else ''}{name_in(source, key)}: {problem}"


OF_SOKETI = Settings(apps=(replace(DEFAULT_APP, id="app-id", numeric_ids=True),), app_defaults={"numeric_ids": True})


@pytest.mark.parametrize("key", [key for key, *_ in REFUSED if key in FACTS["keys"] and not BY_PATH[key].has])
def test_soketis_own_value_of_a_refused_key_is_accepted(key: str) -> None:
    settings = read("file", {key: FACTS["keys"][key]})
    assert settings.apps == OF_SOKETI.apps
    assert settings.ignored == ()


def test_a_file_with_all_defaults_of_soketi_is_accepted() -> None:
    settings = read("file", FACTS["keys"])
    assert settings.apps == OF_SOKETI.apps
    # The cache of apps, the pool and the cache of events are the differences that the documentation names.
    assert settings.cache_ttl == FACTS["keys"]["channelLimits.cacheTtl"]
    assert settings.ignored == (
        "appManager.cache.enabled (apps are always kept for registry.cache_seconds)",
        "databasePooling.enabled (connections are always pooled)",
    )


@pytest.mark.parametrize("driver", ["mysql", "postgres"])
def test_a_database_has_soketis_defaults_with_soketis_names(driver: str) -> None:
    defaults = FACTS["keys"]
    found = read("variables", {"appManager.driver": driver}).value(driver)
    assert {
        "host": found.host,
        "port": found.port,
        "user": found.username,
        "password": found.password,
        "database": found.database,
    } == {name: defaults[f"database.{driver}.{name}"] for name in ("host", "port", "user", "password", "database")}


def test_a_database_has_its_own_defaults_with_names_of_soketpy() -> None:
    assert load(None, {"SOKETPY_REGISTRY_DRIVER": "mysql"}, {}).mysql == Mysql()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_field_of_an_app_reaches_our_field_in_every_spelling(spelling: str) -> None:
    _, written, field, expected = next(row for row in FIELDS if row[0] == SPELLINGS[spelling])
    settings = read("file", {f"{APPS}.0.{spelling}": written})
    assert settings.apps == (replace(OF_SOKETI.apps[0], **{field: expected}),)


@pytest.mark.parametrize("name", [name for name, key in FACTS["variables"].items() if key.startswith(APPS)])
def test_a_variable_of_the_first_app_reaches_our_field(name: str) -> None:
    camel = FACTS["variables"][name].rpartition(".")[2]
    _, written, field, expected = next(row for row in FIELDS if row[0] == camel)
    text = written if isinstance(written, str) else json.dumps(written)
    assert load(None, {PREFIX + name: text}, {}).apps == (replace(OF_SOKETI.apps[0], **{field: expected}),)


@pytest.mark.parametrize("field", FACTS["computed_app_fields"])
def test_a_field_that_soketi_computes_is_refused(field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("file", {APPS: [{"id": "a", "key": "k", "secret": "s", field: True}]})
    said = "soketi computes this field from the webhooks of the app: leave it out"
    assert str(caught.value) == f"config.json:1: {APPS}.0.{field}: {said}"


UNKNOWN = [
    ("database.redis.connectTimeout", "soketpy has no such option of a connection"),
    ("database.redis.hots", "soketpy has no such option of a connection; did you mean database.redis.host?"),
    ("database.mysql.socketPath", "soketpy has no such option of a connection"),
    ("adapter.nats.servers.0", NATS),
    ("adapter.redis.redisSubOptions.keepAlive", UNREAD.format("keepAlive", "leave it out")),
]


@pytest.mark.parametrize(("key", "said"), UNKNOWN)
def test_a_key_that_only_a_library_of_soketi_reads_is_refused(key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("file", {key: "x"})
    assert str(caught.value) == f"config.json:1: {key}: {said}"


def test_dotted_options_are_read_like_a_table() -> None:
    assert read("file", {"adapter.redis.redisSubOptions.tls": {}, **REDIS}).redis.tls is True


def test_the_tables_follow_the_driver_that_wins() -> None:
    Path("config.json").write_text(json.dumps({"appManager": {"driver": "mysql", "mysql": {"table": "of-mysql"}}}))
    assert load("config.json", {}, {}).registry.table == "of-mysql"
    environ = {"SOKETI_APP_MANAGER_DRIVER": "postgres", "SOKETI_APP_MANAGER_POSTGRES_TABLE": "of-postgres"}
    settings = load("config.json", environ, {})
    assert settings.registry.table == "of-postgres"
    assert settings.ignored == ("appManager.mysql.table (registry.driver is postgres)",)
    assert load("config.json", {"SOKETPY_REGISTRY_TABLE": "ours"}, {}).registry.table == "ours"


SECRETS = [
    ("adapter.nats.pass", "hunter22"),
    ("adapter.nats.token", "hunter22"),
    ("database.mysql.password", ["hunter22"]),
    ("database.mysql.ssl", {"key": "hunter22"}),
    ("queue.redis.redisOptions", {"password": "hunter22"}),
    ("queue.redis.redisOptions", "hunter22"),
]


@pytest.mark.parametrize(("source", "key", "written", "_"), in_each_source([(*row, {}) for row in SECRETS]))
def test_no_error_about_a_name_of_soketi_shows_a_secret(source: str, key: str, written: Any, _: object) -> None:
    with pytest.raises(ConfigError) as caught:
        read(source, {key: written})
    assert "hunter22" not in str(caught.value)
