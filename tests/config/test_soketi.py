"""soketi's variables and files have the same meaning in soketpy."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soketpy.config import ConfigError, Settings, load
from soketpy.config.settings import DEFAULT_APP, Log
from soketpy.config.soketi.names import VARIABLES
from soketpy.core.apps import App, Key

Write = Callable[[object], str]

# The settings of a configuration that uses any of soketi's names.
OF_SOKETI = Settings(apps=(replace(DEFAULT_APP, id="app-id", numeric_ids=True),), app_defaults={"numeric_ids": True})

# variable, a value, the setting (a path in Settings or a field of the first app), and the expected value
WITH_EFFECT: list[tuple[str, str, str, Any]] = [
    ("CHANNEL_CACHE_TTL", "60", "cache_ttl", 60),
    ("CHANNEL_LIMITS_MAX_NAME_LENGTH", "50", "app.max_channel_name_length", 50),
    ("DB_REDIS_DB", "3", "redis.db", 3),
    ("DB_REDIS_HOST", "redis.internal", "redis.host", "redis.internal"),
    ("DB_REDIS_KEY_PREFIX", "chat", "redis.prefix", "chat"),
    ("ADAPTER_REDIS_PREFIX", "chat", "redis.prefix", "chat"),
    ("DB_REDIS_PASSWORD", "hidden", "redis.password", "hidden"),
    ("DB_REDIS_PORT", "6380", "redis.port", 6380),
    ("DB_REDIS_USERNAME", "chat", "redis.username", "chat"),
    ("ADAPTER_DRIVER", "Redis", "cluster", "redis"),
    ("DB_REDIS_INSTANCE_NAME", "chat", "redis.sentinel_master", "chat"),
    ("DB_REDIS_SENTINELS", '[{"host": "a", "port": 1}, {"host": "::1"}]', "redis.sentinels", ("a:1", "[::1]:26379")),
    ("DB_REDIS_SENTINELS", "a:1,b:2", "redis.sentinels", ("a:1", "b:2")),
    ("DB_REDIS_CLUSTER_NODES", '[{"host": "a", "port": 1}, {"host": "b"}]', "redis.cluster_nodes", ("a:1", "b:6379")),
    ("DB_REDIS_SENTINEL_PASSWORD", "hidden", "redis.sentinel_password", "hidden"),
    ("DEBUG", "true", "log.level", "debug"),
    ("DEBUG", "0", "log.level", "info"),
    ("DEFAULT_APP_ENABLED", "false", "app.enabled", False),
    ("DEFAULT_APP_ENABLE_CLIENT_MESSAGES", "true", "app.client_events", True),
    ("DEFAULT_APP_ID", "1", "app.id", "1"),
    ("DEFAULT_APP_ID", '"quoted"', "app.id", "quoted"),
    ("DEFAULT_APP_KEY", "k", "app.key", "k"),
    ("DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", "100", "app.max_backend_events_per_second", 100),
    ("DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC", "-1", "app.max_client_events_per_second", None),
    ("DEFAULT_APP_MAX_CONNS", "100", "app.max_connections", 100),
    ("DEFAULT_APP_MAX_CONNS", "0", "app.max_connections", None),
    ("DEFAULT_APP_MAX_READ_REQ_PER_SEC", "10", "app.max_read_requests_per_second", 10),
    ("DEFAULT_APP_SECRET", "s", "app.keys", (Key("app-key", "s"),)),
    ("DEFAULT_APP_USER_AUTHENTICATION", "1", "app.authorized_connections", True),
    ("DEFAULT_APP_WEBHOOKS", "[]", "app.webhooks", ()),
    ("EVENT_MAX_BATCH_SIZE", "20", "app.max_event_batch_size", 20),
    ("EVENT_MAX_CHANNELS_AT_ONCE", "7", "app.max_event_channels_at_once", 7),
    ("EVENT_MAX_NAME_LENGTH", "8", "app.max_event_name_length", 8),
    ("HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", "62.5", "bounds.memory_percent", 62.5),
    ("PRESENCE_MAX_MEMBER_SIZE", "0.25", "app.max_presence_member_size_in_kb", 0.25),
    ("EVENT_MAX_SIZE_IN_KB", ".5", "app.max_event_payload_in_kb", 0.5),
    ("EVENT_MAX_SIZE_IN_KB", "0.5", "app.max_event_payload_in_kb", 0.5),
    ("HOST", "127.0.0.1", "host", "127.0.0.1"),
    ("HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD", "50", "bounds.memory_percent", 50),
    ("METRICS_ENABLED", "true", "metrics.enabled", True),
    ("METRICS_HOST", "::1", "metrics.host", "::1"),
    ("METRICS_PROMETHEUS_PREFIX", "x_", "metrics.prefix", "x_"),
    ("METRICS_SERVER_PORT", "9000", "metrics.port", 9000),
    ("PATH_PREFIX", "/ws", "path_prefix", "/ws"),
    ("PORT", "7000", "port", 7000),
    ("PRESENCE_MAX_MEMBERS", "5", "app.max_presence_members_per_channel", 5),
    ("PRESENCE_MAX_MEMBER_SIZE", "10", "app.max_presence_member_size_in_kb", 10),
    ("QUEUE_DRIVER", "redis", "webhooks.queue", "auto"),
    ("QUEUE_DRIVER", "sqs", "webhooks.queue", "sqs"),
    ("QUEUE_SQS_CLIENT_OPTIONS", '{"credentials":{"accessKeyId":"k","secretAccessKey":"s"}}', "sqs.access_key_id", "k"),
    ("QUEUE_SQS_CLIENT_OPTIONS", '{"region":"eu-west-1"}', "sqs.region", "eu-west-1"),
    ("QUEUE_SQS_ENDPOINT", "http://localhost:4566", "sqs.endpoint", "http://localhost:4566"),
    ("QUEUE_SQS_REGION", "eu-west-1", "sqs.region", "eu-west-1"),
    (
        "QUEUE_SQS_URL",
        "https://sqs.eu-west-1.amazonaws.com/1/q.fifo",
        "sqs.url",
        "https://sqs.eu-west-1.amazonaws.com/1/q.fifo",
    ),
    ("SHUTDOWN_GRACE_PERIOD", "1500", "timeouts.shutdown", 1.5),
    ("SSL_CA", "", "tls.ca", None),
    ("SSL_CERT", "c.pem", "tls.cert", "c.pem"),
    ("SSL_KEY", "k.pem", "tls.key", "k.pem"),
    ("SSL_PASS", "123", "tls.passphrase", "123"),
    ("USER_AUTHENTICATION_TIMEOUT", "10000", "timeouts.authorization", 10),
    ("WEBHOOKS_BATCHING", "true", "webhooks.batching", True),
    ("WEBHOOKS_BATCHING", "0", "webhooks.batching", False),
    ("WEBHOOKS_BATCHING_DURATION", "250", "webhooks.batch_duration", 0.25),
]
# the value of each choice that this version has, and the further values of soketi
CHOICES = {
    "ADAPTER_DRIVER": ("local", ["cluster", "nats"]),
    "APP_MANAGER_DRIVER": ("array", []),
    "CACHE_DRIVER": ("redis", []),
    "METRICS_DRIVER": ("prometheus", []),
    "MODE": ("full", ["worker"]),
    "QUEUE_DRIVER": ("sync", []),
    "RATE_LIMITER_DRIVER": ("redis", ["cluster"]),
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(content: object) -> str:
        Path("config.json").write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return "config.json"

    return write


def value(settings: Settings, path: str) -> Any:
    found: Any = settings.apps[0] if path.startswith("app.") else settings
    for name in path.removeprefix("app.").split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("name", "text", "path", "expected"), WITH_EFFECT)
def test_a_variable_has_the_same_meaning_as_in_soketi(name: str, text: str, path: str, expected: Any) -> None:
    tls = {"SOKETI_SSL_CERT": "x", "SOKETI_SSL_KEY": "y"} if name.startswith("SSL_") else {}
    settings = load(None, {**tls, f"SOKETI_{name}": text}, {})
    assert value(settings, path) == expected
    assert settings.ignored == ()


KEYS, TOPICS = "SOKETI_DB_REDIS_KEY_PREFIX", "SOKETI_ADAPTER_REDIS_PREFIX"
PREFIXES: list[tuple[dict[str, object], dict[str, str], str]] = [
    ({}, {KEYS: "keys:", TOPICS: "topics"}, "keys:topics"),
    ({"adapter.redis.prefix": "topics", "database.redis.keyPrefix": "keys:"}, {}, "keys:topics"),
    ({"adapter.redis.prefix": "topics"}, {KEYS: "keys:"}, "keys:topics"),
    ({"database.redis.keyPrefix": "keys:"}, {TOPICS: "topics"}, "keys:topics"),
    ({"database.redis.keyPrefix": "of-the-file", "adapter.redis.prefix": "topics"}, {KEYS: "keys:"}, "keys:topics"),
    ({"database.redis.keyPrefix": "keys:", "adapter.redis.prefix": "of-the-file"}, {TOPICS: "topics"}, "keys:topics"),
    ({"database.redis.keyPrefix": "keys:", "adapter.redis.prefix": ""}, {TOPICS: ""}, "keys:"),
    ({"adapter.redis.prefix": "topics"}, {KEYS: "keys:", "SOKETPY_REDIS_PREFIX": "ours"}, "ours"),
    ({"redis": {"prefix": "of-the-file"}}, {TOPICS: "topics"}, "topics"),
    ({"redis": {"prefix": "of-the-file"}}, {}, "of-the-file"),
]


@pytest.mark.parametrize(("file", "environ", "prefix"), PREFIXES)
def test_clusters_that_differ_in_the_prefix_of_keys_or_of_topics_stay_apart(
    write: Write, file: dict[str, object], environ: dict[str, str], prefix: str
) -> None:
    assert load(write(file), environ, {}).redis.prefix == prefix


OURS = "SOKETPY_APP_DEFAULTS_NUMERIC_IDS"
NUMERIC_IDS: list[tuple[dict[str, object] | None, dict[str, str], bool]] = [
    (None, {}, False),
    ({}, {}, False),
    ({"port": 1}, {}, False),  # a name that both have
    ({"apps": [{"id": "1", "key": "k", "secret": "s"}]}, {}, False),
    ({"debug": False}, {}, True),
    ({"appManager.array.apps": [{"id": "1", "key": "k", "secret": "s"}]}, {}, True),
    ({"port": 1}, {"SOKETI_DEBUG": "0"}, True),
    (None, {"SOKETI_DEFAULT_APP_ID": "1"}, True),
    (None, {"SOKETI_DEFAULT_APP_ID": ""}, False),  # soketi skips an empty variable
    (None, {"SOKETI_DEBUG": "0", OURS: "false"}, False),
    ({"debug": False}, {OURS: "0"}, False),
    (None, {OURS: "1"}, True),
    ({"app_defaults": {"numeric_ids": False}}, {"SOKETI_DEBUG": "0"}, False),
    ({"apps": [{"id": "1", "key": "k", "secret": "s", "numeric_ids": False}]}, {"SOKETI_DEBUG": "0"}, False),
    ({"apps": [{"id": "1", "key": "k", "secret": "s", "numeric_ids": True}]}, {}, True),
]


@pytest.mark.parametrize(("file", "environ", "kept"), NUMERIC_IDS)
def test_numeric_ids_are_on_with_soketis_names_unless_a_setting_says_otherwise(
    write: Write, file: dict[str, object] | None, environ: dict[str, str], kept: bool
) -> None:
    settings = load(None if file is None else write(file), environ, {})
    assert [app.numeric_ids for app in settings.apps] == [kept]


IDS_OF_THE_DEFAULT_APP: list[tuple[dict[str, object] | None, dict[str, str], list[str]]] = [
    (None, {}, ["1"]),
    ({"debug": False}, {}, ["app-id"]),
    (None, {"SOKETI_DEFAULT_APP_KEY": "k"}, ["app-id"]),
    (None, {"SOKETI_DEFAULT_APP_ID": "x"}, ["x"]),
    (None, {"SOKETI_DEBUG": "0", "SOKETPY_APP_ID": "x"}, ["x"]),
    ({"apps": [{"id": "x", "key": "k", "secret": "s"}]}, {"SOKETI_DEBUG": "0"}, ["x"]),
    ({"apps": []}, {"SOKETI_DEBUG": "0"}, []),
    (None, {"SOKETI_APP_MANAGER_DRIVER": "mysql"}, []),
    ({"registry": {"driver": "sqlite"}}, {"SOKETI_DEBUG": "0"}, []),
]


@pytest.mark.parametrize(("file", "environ", "ids"), IDS_OF_THE_DEFAULT_APP)
def test_the_default_app_has_the_id_of_soketis_with_soketis_names(
    write: Write, file: dict[str, object] | None, environ: dict[str, str], ids: list[str]
) -> None:
    assert [app.id for app in load(None if file is None else write(file), environ, {}).apps] == ids


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_an_empty_variable_is_none(name: str) -> None:
    assert load(None, {name: ""}, {}) == Settings()


@pytest.mark.parametrize("name", CHOICES)
def test_the_driver_of_this_version_may_be_named(name: str) -> None:
    assert load(None, {f"SOKETI_{name}": CHOICES[name][0]}, {}) == OF_SOKETI


@pytest.mark.parametrize(
    ("name", "later"),
    [(name, later) for name, (_, more) in CHOICES.items() for later in more],
)
def test_a_driver_that_is_not_built_yet_is_refused_plainly(name: str, later: str) -> None:
    with pytest.raises(ConfigError, match=f"^SOKETI_{name}: {later} is not built yet in soketpy .this version has: "):
        load(None, {f"SOKETI_{name}": later}, {})


NESTED = {
    "debug": True,
    "port": "7000",
    "metrics": {"enabled": True, "driver": "prometheus", "prometheus": {"prefix": "p_"}},
    "cors": {"origin": ["https://a"], "allowedHeaders": ["X-A"]},
    "httpApi": {"requestLimitInMb": "5"},
    "eventLimits": {"maxPayloadInKb": 10},
    "ssl": {"certPath": "", "keyPath": ""},
    "appManager": {
        "driver": "array",
        "array": {
            "apps": [
                {"id": 1, "key": "k", "secret": "s", "maxEventPayloadInKb": "20", "webhooks": []},
                {"AppId": "b", "AppKey": "l", "AppSecret": "t", "enable_client_messages": 1, "MaxConnections": "-1"},
            ]
        },
    },
    "database": {"redis": {"host": "redis", "sentinels": [{"host": "a"}]}},
}


def flat(table: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in table.items():
        found |= flat(each, f"{prefix}{name}.") if isinstance(each, dict) else {prefix + name: each}
    return found


@pytest.mark.parametrize(
    "content",
    [NESTED, flat(NESTED), {**NESTED, "metrics": {}, **flat({"metrics": NESTED["metrics"]})}],
    ids=["nested", "dotted", "mixed"],
)
def test_a_file_may_be_nested_dotted_or_both(write: Write, content: object) -> None:
    settings = load(write(content), {}, {})
    assert settings.log == Log(level="debug")
    assert (settings.port, settings.metrics.enabled, settings.metrics.prefix) == (7000, True, "p_")
    assert (settings.cors.origins, settings.cors.headers) == (("https://a",), ("X-A",))
    assert settings.bounds.request_size_in_mb == 5
    assert settings.apps == (
        App(id="1", keys=(Key("k", "s"),), max_event_payload_in_kb=20, numeric_ids=True),
        App(id="b", keys=(Key("l", "t"),), client_events=True, max_event_payload_in_kb=10, numeric_ids=True),
    )
    assert settings.redis.host == "redis"
    assert settings.redis.sentinels == ("a:26379",)
    assert settings.ignored == ()


@pytest.mark.parametrize("size", [0.5, "0.5"])
def test_the_limit_of_a_request_may_be_a_fraction(write: Write, size: object) -> None:
    assert load(write({"httpApi.requestLimitInMb": size}), {}, {}).bounds.request_size_in_mb == 0.5


def test_a_dotted_app_changes_the_default_app(write: Write) -> None:
    path = write({"appManager.array.apps.0.id": "x", "appManager.array.apps.0.maxConnections": 3})
    keys = (Key("app-key", "app-secret"),)
    assert load(path, {}, {}).apps == (App(id="x", keys=keys, max_connections=3, numeric_ids=True),)


def test_a_second_dotted_app_stands_next_to_the_default_app(write: Write) -> None:
    app = {"id": "b", "key": "k", "secret": "s"}
    path = write({f"appManager.array.apps.1.{name}": text for name, text in app.items()})
    assert [app.id for app in load(path, {}, {}).apps] == ["app-id", "b"]


def test_yaml_may_hold_soketis_names_too(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("adapter.driver: local\nshutdownGracePeriod: 500\n")
    assert load(str(path), {}, {}).timeouts.shutdown == 0.5


def test_names_that_both_have_mean_the_same(write: Write) -> None:
    path = write({"host": "::1", "port": 1, "metrics": {"enabled": True, "port": 2}, "cors": {"credentials": False}})
    settings = load(path, {}, {})
    assert (settings.host, settings.port, settings.metrics.port, settings.cors.credentials) == ("::1", 1, 2, False)


MIXED = "debug is a name of soketi's, and bounds (config.json:1) is one of soketpy's; a file has names of one kind"
FILES: list[tuple[object, str]] = [
    ('{"debug": true,\n "prot": 1}', "2: prot: no such setting in soketi; did you mean port?"),
    ('{"metrics.prot": 1}', "1: metrics.prot: no such setting in soketi; did you mean metrics.port?"),
    ('{"metrics.port": "x"}', "1: metrics.port: must be a whole number from 0 to 65535, not 'x'"),
    ('{"metrics.port": 1,\n "metrics": {"port": 1}}', "2: metrics.port: given twice, first at config.json:1"),
    (
        '{"adapter": {\n"driver": "nats"}}',
        "2: adapter.driver: nats is not built yet in soketpy (this version has: local, redis)",
    ),
    (
        '{"adapter.driver": "carrier-pigeon"}',
        "1: adapter.driver: there is no carrier-pigeon (this version has: local, redis)",
    ),
    ('{"ssl.certPath": "c"}', "1: ssl.certPath: has no effect without ssl.keyPath"),
    ('{"ssl": {"passphrase": "c"}}', "1: ssl.passphrase: has no effect without ssl.keyPath"),
    ('{"debug": "maybe"}', "1: debug: must be true or false, not 'maybe'"),
    (
        '{"debug": true, "cors": {"methods": ["GET",\n"a b"]}}',
        "2: cors.methods.1: must be one method such as POST, not 'a b'",
    ),
    (
        '{"cors": {"origin": ["https://a.com/x"]}}',
        "1: cors.origin.0: 'https://a.com/x' matches no origin: an origin has no path: leave out / and what belongs to "
        "it (write for example https://example.com, example.com, *.example.com or localhost:3000)",
    ),
    ('{"adapter": 5}', "1: adapter: must be a table, not a number"),
    ('{"cors.origin": 5}', "1: cors.origin: must be a list, not a number"),
    ('{"shutdownGracePeriod": -1}', "1: shutdownGracePeriod: must be a number of 0 or more, not -0.001"),
    ('{"shutdownGracePeriod": "soon"}', "1: shutdownGracePeriod: must be a number of 0 or more, not 'soon'"),
    ('{"appManager.array.apps": 5}', "1: appManager.array.apps: must be a list, not a number"),
    ('{"appManager.array.apps": [5]}', "1: appManager.array.apps.0: must be a table, not a number"),
    ('{"appManager.array.apps": [{"id": "a", "key": "k"}]}', "1: appManager.array.apps.0.secret: missing"),
    (
        '{"appManager.array.apps.x.id": "a"}',
        "1: appManager.array.apps.x.id: must have the number of an app after 'apps'",
    ),
    ('{"appManager.array.apps.5.id": "a"}', "1: appManager.array.apps.5: there is no app before it"),
    (
        '{"appManager.array.apps.0.maxConn": 1}',
        "1: appManager.array.apps.0.maxConn: no such field of an app in soketi; did you mean maxConnections?",
    ),
    (
        '{"appManager.array.apps.0.maxConnections": "many"}',
        "1: appManager.array.apps.0.maxConnections: must be a whole number of 1 or more, "
        "or null for no limit, not 'many'",
    ),
    ('{"webhooks.batching.enabled": "maybe"}', "1: webhooks.batching.enabled: must be true or false, not 'maybe'"),
    ('{"webhooks.batching": true,\n "debug": true}', "1: webhooks.batching: must be a table, not true or false"),
    (
        '{"webhooks": {"batching": true},\n "debug": true}',
        f"2: {MIXED.replace('bounds', 'webhooks.batching')}: write log.level instead of debug",
    ),
    (
        '{"webhooks": {"batching": {"enabled": true}},\n "bounds": {}}',
        "1: webhooks.batching.enabled is a name of soketi's, and bounds (config.json:2) is one of soketpy's; a file "
        "has names of one kind: write webhooks.batching instead of webhooks.batching.enabled",
    ),
    (
        '{"database.redis.keyPrefix": "a",\n "adapter.redis.prefix": true}',
        "2: adapter.redis.prefix: must be some text without braces and spaces, not true or false; put it in quotes",
    ),
    ('{"ssl": {"certPath": "c"}}', "1: ssl.certPath: has no effect without ssl.keyPath"),
    ('{"debug": true, "bounds": {}}', f"1: {MIXED}: write log.level instead of debug"),
]


@pytest.mark.parametrize(("content", "said"), FILES)
def test_an_error_in_soketis_names_uses_soketis_names(write: Write, content: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(content), {}, {})
    assert str(caught.value) == f"config.json:{said}"
