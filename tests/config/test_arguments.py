"""The settings that a program gives to ``Server``: the constructor refuses settings that a file could not have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soketpy import App, ConfigError, Key, Server, Settings
from soketpy.config import load
from soketpy.config.settings import Bounds, Cors, Metrics, Redis, Timeouts, Tls
from soketpy.core.url_patterns import SAFE

APP = App(id="1", keys=(Key("k", "s"),))
NUMBER = "must be a whole number from 0 to 65535"
WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"port": "x"}, f"port: {NUMBER}, not 'x'"),
    ({"port": "6001"}, f"port: {NUMBER}, not '6001'"),
    ({"port": None}, f"port: {NUMBER}, not null"),
    ({"port": True}, f"port: {NUMBER}, not true"),
    ({"port": 70_000}, f"port: {NUMBER}, not 70000"),
    ({"host": "http://localhost"}, "host: must be a host name or an address, not a URL"),
    ({"host": ["127.0.0.1", 5]}, "host[1]: must be a host name or an address, not a number; put it in quotes"),
    ({"workers": True}, "workers: must be a whole number of 1 or more or auto, not true"),
    ({"workers": 0}, "workers: a Server is one process; `soketpy start` starts several workers"),
    ({"workers": 2}, "workers: a Server is one process; `soketpy start` starts several workers"),
    ({"apps": [APP, replace(APP, id="a/b")]}, f"apps[1].id: must be text of {SAFE}&, and not . or .., not 'a/b'"),
    (
        {"apps": [App(id="1", keys=(Key("k", "s"), Key("a b", "s")))]},
        f"apps[0].keys[1].key: must be text of {SAFE}, and not . or .., not 'a b'",
    ),
    ({"apps": [App(id="1", keys=(Key("k", "a\0"),))]}, "apps[0].keys[0].secret: must not have control characters"),
    ({"cluster": "raft"}, "cluster: must be local or redis, not 'raft'"),
    ({"path_prefix": None}, "path_prefix: must be a path such as /realtime"),
    ({"timeouts": Timeouts(pong=-1)}, "timeouts.pong: must be a number above 0, not -1"),
    ({"bounds": Bounds(memory_percent=200)}, "bounds.memory_percent: must be a number from 1 to 100, not 200"),
    ({"tls": Tls(cert=5)}, "tls.cert: must be text, or null for none, not a number; put it in quotes"),  # type: ignore[arg-type]
    ({"cors": Cors(origins="*")}, "cors.origins: must be a list, not text"),  # type: ignore[arg-type]
    ({"cors": Cors(origins=("https://a/b",))}, "cors.origins[0]: 'https://a/b' matches no origin"),
    ({"redis": Redis(password=b"hunter2")}, "redis.password must be text, or null for none, not bytes"),  # type: ignore[arg-type]
    ({"tls": Tls(cert="c")}, "tls.cert: has no effect without tls.key"),
    ({"tls": Tls(passphrase="p")}, "tls.passphrase: has no effect without tls.key"),
    (
        {"redis": Redis(sentinels=("a:1",), cluster_nodes=("b:2",))},
        "redis.sentinels: given next to redis.cluster_nodes; use one of both",
    ),
    (
        {"redis": Redis(db=1, cluster_nodes=("b:2",))},
        "redis.cluster_nodes: given next to redis.db; a Redis Cluster has",
    ),
    ({"host": ("a", "a")}, "host[1]: 'a' is given twice"),
    (
        {"port": 7000, "metrics": Metrics(enabled=True, port=7000)},
        "metrics.port: port and metrics.port are both 7000; give them different ports",
    ),
]
WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"prot": 1}, "Server has no setting 'prot'; did you mean port?"),
    ({"qqqqqqqq": 1}, "Server has no setting 'qqqqqqqq'"),
    ({"tls": {"cert": "c"}}, "tls must be a Tls, not dict"),
    ({"tls": None}, "tls must be a Tls, not NoneType"),
    ({"port": [1]}, "port must be a whole number from 0 to 65535, not list"),
    ({"path_prefix": Path("/a")}, "path_prefix must be a path such as /realtime"),
    ({"host": {"a"}}, "host must not have a set in it"),
    ({"apps": APP}, "apps must be a list or tuple of App, not App"),
    ({"apps": [{"id": "1"}]}, "apps must be a list or tuple of App, not of dict"),
    ({"listener": 5}, "listener must be a socket, or a list or tuple of sockets, not int"),
    ({"listener": "x"}, "listener must be a socket, or a list or tuple of sockets, not of str"),
]


@pytest.mark.parametrize(("given", "said"), [*WRONG_VALUES, *WRONG_TYPES])
def test_a_setting_that_a_file_could_not_have_is_refused_by_the_constructor(given: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ConfigError)) as fault:
        Server(**given)
    assert str(fault.value).startswith(said)
    assert isinstance(fault.value, TypeError) is (": " not in said)


@pytest.mark.parametrize("given", ["soketpy.yaml", {"port": 1}, APP])
def test_a_server_takes_settings_only(given: Any) -> None:
    with pytest.raises(TypeError, match=f"^Server takes Settings, not {type(given).__name__}$"):
        Server(given)


def test_settings_are_checked_like_their_overrides() -> None:
    with pytest.raises(ConfigError, match=f"^port: {NUMBER}, not -1$"):
        Server(Settings(port=-1))


def test_a_server_takes_lists_for_tuples() -> None:
    server = Server(host=["127.0.0.1", "::1"], apps=[APP], cors=Cors(origins=["https://a"]))  # type: ignore[arg-type]
    assert (server.settings.host, server.settings.apps) == (("127.0.0.1", "::1"), (APP,))
    assert server.settings.cors.origins == ("https://a",)


def test_settings_that_were_read_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "soketpy.yaml"
    file.write_text("host: ['::1', 'a']\nbounds: {max_connections: -1}\nredis: {host: x, lease: 3}\n")
    settings = load(str(file), {"SOKETI_SHUTDOWN_GRACE_PERIOD": "1500", "SOKETI_SSL_CERT": ""}, {})
    server = Server(settings, port=0)
    assert server.settings == replace(settings, port=0)
    assert server.settings.positions == settings.positions
    assert server.settings.sources == settings.sources


def test_a_limit_of_0_is_for_programs_only() -> None:
    app = replace(APP, max_connections=0, max_event_payload_in_kb=0)
    assert Server(apps=[app]).settings.apps == (app,)


@pytest.mark.parametrize("other", [replace(APP, keys=(Key("l", "s"),)), replace(APP, id="2")])
def test_two_apps_with_one_id_or_key_are_refused_by_the_constructor(other: App) -> None:
    with pytest.raises(ValueError, match=r"^(two apps have the id '1'|the key 'k' is given twice)$"):
        Server(apps=(APP, other))
