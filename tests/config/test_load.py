"""The sources of settings and their precedence."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soketpy.config import Settings, load
from soketpy.config.settings import DEFAULT_APP, Bounds, Cors, Log, Metrics, Timeouts, Tls
from soketpy.core.apps import App, Key

Write = Callable[..., str]
SECRETS = "{id: a, key: k, secret: s}"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "config.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_nothing_given_is_the_defaults() -> None:
    assert load(None, {}, {}) == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "log:\n", "log: {}\n"])
def test_an_empty_file_is_the_defaults(write: Write, text: str) -> None:
    assert load(write(text), {}, {}) == Settings()


def test_yaml_reaches_every_kind_of_setting(write: Write) -> None:
    path = write(
        "port: 7000\nunix_socket: /run/s\nstrict_protocol: true\ncache_ttl: 1.5\n"
        "log: {level: debug}\ntls: {cert: c.pem, key: k.pem}\n"
        "cors:\n  origins: [https://a.example, https://b.example]\n"
        "metrics: {enabled: true, port: 0}\ntimeouts: {shutdown: 0}\nbounds: {max_connections: 10}\n"
    )
    assert load(path, {}, {}) == Settings(
        port=7000,
        unix_socket="/run/s",
        strict_protocol=True,
        cache_ttl=1.5,
        log=Log(level="debug"),
        tls=Tls(cert="c.pem", key="k.pem"),
        cors=Cors(origins=("https://a.example", "https://b.example")),
        metrics=Metrics(enabled=True, port=0),
        timeouts=Timeouts(shutdown=0),
        bounds=Bounds(max_connections=10),
    )


def test_json_says_the_same_as_yaml(write: Write) -> None:
    values = {"port": 7000, "log": {"level": "debug"}, "cors": {"origins": ["é😀"]}, "apps": []}
    yaml = write("port: 7000\nlog: {level: debug}\ncors: {origins: [é😀]}\napps: []\n")
    expected = load(yaml, {}, {})
    for name in ("config.json", "config", "config.conf"):
        assert load(write(json.dumps(values, indent="\t"), name), {}, {}) == expected


def test_a_byte_order_mark_is_no_part_of_the_file(write: Write) -> None:
    assert load(write("\ufeffport: 1\n"), {}, {}).port == 1


def test_an_app_has_one_key_or_several(write: Write) -> None:
    path = write(
        "apps:\n  - {id: a, key: k, secret: s, client_events: true, max_connections: 5}\n"
        "  - id: b\n    keys: [{key: k1, secret: s1}, {key: k2, secret: s2}]\n    allowed_origins: [https://x]\n"
    )
    assert load(path, {}, {}).apps == (
        App(id="a", keys=(Key("k", "s"),), client_events=True, max_connections=5),
        App(id="b", keys=(Key("k1", "s1"), Key("k2", "s2")), allowed_origins=("https://x",)),
    )


@pytest.mark.parametrize("none", ["null", "-1"])
def test_null_and_minus_one_are_no_limit(write: Write, none: str) -> None:
    path = write(f"bounds: {{max_connections: {none}}}\napps: [{{id: a, key: k, secret: s, max_connections: {none}}}]")
    settings = load(path, {}, {})
    assert settings.bounds.max_connections is None
    assert settings.apps[0].max_connections is None


def test_app_defaults_hold_for_apps_that_say_nothing_else(write: Write) -> None:
    path = write(
        "app_defaults: {client_events: true, max_connections: 7}\n"
        "apps: [{id: a, key: k, secret: s}, {id: b, key: l, secret: s, max_connections: null, client_events: false}]\n"
    )
    first, second = load(path, {}, {}).apps
    assert (first.client_events, first.max_connections) == (True, 7)
    assert (second.client_events, second.max_connections) == (False, None)


def test_app_defaults_hold_for_the_default_app() -> None:
    settings = load(None, {"SOKETPY_APP_DEFAULTS_CLIENT_EVENTS": "true"}, {})
    assert settings.apps == (replace(DEFAULT_APP, client_events=True),)


def test_flags_win_over_variables_over_soketis_variables_over_the_file(write: Write) -> None:
    path, environ, flags = write("port: 1\n"), {"SOKETI_PORT": "2"}, {"port": "4"}
    assert load(path, {}, {}).port == 1
    assert load(path, environ, {}).port == 2
    environ["SOKETPY_PORT"] = "3"
    assert load(path, environ, {}).port == 3
    assert load(path, environ, flags).port == 4
    assert load(path, environ, {"port": 5, "log.level": "debug"}).log.level == "debug"


def test_a_flag_can_take_a_value_away(write: Write) -> None:
    assert load(write("unix_socket: /run/s\n"), {}, {"unix_socket": None}).unix_socket is None


VARIABLES: list[tuple[str, str, Callable[[Settings], Any], Any]] = [
    ("SOKETPY_HOST", "::1", lambda s: s.host, "::1"),
    ("SOKETPY_METRICS_PORT", "0", lambda s: s.metrics.port, 0),
    ("SOKETPY_METRICS_ENABLED", "1", lambda s: s.metrics.enabled, True),
    ("SOKETPY_METRICS_ENABLED", "False", lambda s: s.metrics.enabled, False),
    ("SOKETPY_LOG_ACCESS", "yes", lambda s: s.log.access, True),
    ("SOKETPY_TIMEOUTS_PONG", "0.25", lambda s: s.timeouts.pong, 0.25),
    ("SOKETPY_UNIX_SOCKET", "", lambda s: s.unix_socket, None),
    ("SOKETPY_PATH_PREFIX", "", lambda s: s.path_prefix, ""),
    ("SOKETPY_BOUNDS_MAX_CONNECTIONS", "", lambda s: s.bounds.max_connections, None),
    ("SOKETPY_BOUNDS_MAX_CONNECTIONS", "-1", lambda s: s.bounds.max_connections, None),
    ("SOKETPY_CORS_ORIGINS", "https://a, https://b", lambda s: s.cors.origins, ("https://a", "https://b")),
    ("SOKETPY_CORS_ORIGINS", '["https://a,b"]', lambda s: s.cors.origins, ("https://a,b",)),
    ("SOKETPY_CORS_ORIGINS", "", lambda s: s.cors.origins, ()),
    ("SOKETPY_APPS", "[]", lambda s: s.apps, ()),
    ("SOKETPY_APPS", '[{"id":"a","key":"k","secret":"s"}]', lambda s: s.apps, (App(id="a", keys=(Key("k", "s"),)),)),
    ("SOKETPY_APP_ID", "123", lambda s: s.apps, (replace(DEFAULT_APP, id="123"),)),
    ("SOKETPY_APP_SECRET", "0123", lambda s: s.apps[0].keys, (Key("app-key", "0123"),)),
    ("SOKETPY_APP_MAX_EVENT_PAYLOAD_IN_KB", "0.5", lambda s: s.apps[0].max_event_payload_in_kb, 0.5),
    ("SOKETPY_APP_ALLOWED_ORIGINS", "a,b", lambda s: s.apps[0].allowed_origins, ("a", "b")),
    ("SOKETPY_APP_KEYS", '[{"key":"k","secret":"s"}]', lambda s: s.apps[0].keys, (Key("k", "s"),)),
    ("SOKETPY_CONFIG", "elsewhere.yaml", lambda s: s, Settings()),
    ("PORT", "80", lambda s: s, Settings()),
]


@pytest.mark.parametrize(("name", "text", "read", "expected"), VARIABLES)
def test_a_variable_has_the_type_of_its_setting(
    name: str, text: str, read: Callable[[Settings], Any], expected: Any
) -> None:
    assert read(load(None, {name: text}, {})) == expected


def test_variables_of_the_first_app_leave_the_others_of_the_file(write: Write) -> None:
    path = write("apps: [{id: a, key: k}, {id: b, key: l, secret: s}]\n")
    first, second = load(path, {"SOKETPY_APP_SECRET": "from-outside"}, {}).apps
    assert first == App(id="a", keys=(Key("k", "from-outside"),))
    assert second.id == "b"


def test_a_whole_key_of_the_environment_replaces_the_keys_of_the_file(write: Write) -> None:
    path = write("apps: [{id: a, keys: [{key: k, secret: s}]}]\n")
    environ = {"SOKETPY_APP_KEY": "new", "SOKETPY_APP_SECRET": "t"}
    assert load(path, environ, {}).apps[0].keys == (Key("new", "t"),)


# Kubernetes adds these variables to every container of a namespace with services soketpy, soketpy-metrics and soketi.
SERVICE_LINKS = {
    "SOKETPY_SERVICE_HOST": "10.0.0.1",
    "SOKETPY_SERVICE_PORT": "6001",
    "SOKETPY_SERVICE_PORT_HTTP": "6001",
    "SOKETPY_PORT": "tcp://10.0.0.1:6001",
    "SOKETPY_PORT_6001_TCP": "tcp://10.0.0.1:6001",
    "SOKETPY_PORT_6001_TCP_PROTO": "tcp",
    "SOKETPY_PORT_6001_TCP_PORT": "6001",
    "SOKETPY_PORT_6001_TCP_ADDR": "10.0.0.1",
    "SOKETPY_METRICS_SERVICE_HOST": "10.0.0.2",
    "SOKETPY_METRICS_PORT": "tcp://10.0.0.2:9601",
    "SOKETI_SERVICE_HOST": "10.0.0.3",
    "SOKETI_PORT": "tcp://10.0.0.3:6001",
}


def test_the_variables_that_kubernetes_adds_are_not_ours() -> None:
    assert load(None, SERVICE_LINKS, {}) == Settings()


def test_settings_say_where_they_came_from(write: Write) -> None:
    path = write("port: 1\n")
    environ: Mapping[str, str] = {"SOKETPY_PORT": "2", "SOKETI_HOST": "::", "HOME": "/", "SOKETI_PORT": ""}
    assert load(None, {}, {}).sources == ()
    assert load(path, {"SOKETPY_PORT": "2"}, {}).sources == (path, "1 environment variable")
    assert load(path, environ, {"port": 1}).sources == (path, "2 environment variables", "flags")


SIZES = [
    "bounds.message_size_in_kb",
    "bounds.unread_in_kb",
    "bounds.request_size_in_mb",
    "app_defaults.max_event_payload_in_kb",
    "app_defaults.max_presence_member_size_in_kb",
]


@pytest.mark.parametrize("text", ["1.5", "15e-1", ".5"])
@pytest.mark.parametrize("size", SIZES)
def test_a_size_may_be_a_fraction(write: Write, size: str, text: str) -> None:
    group, _, name = size.partition(".")
    settings = load(write(f"{group}: {{{name}: {text}}}\n"), {}, {})
    of = settings.apps[0] if group == "app_defaults" else settings.bounds
    assert getattr(of, name) == float(text)
    if group == "bounds":
        settings = load(None, {f"SOKETPY_BOUNDS_{name.upper()}": text}, {})
        assert getattr(settings.bounds, name) == float(text)


def test_quotes_in_a_file_are_part_of_a_text(write: Write) -> None:
    path = write("""apps: [{id: a, key: "'k'", secret: '"s"'}]\n""")
    assert load(path, {}, {}).apps[0].keys == (Key("'k'", '"s"'),)
