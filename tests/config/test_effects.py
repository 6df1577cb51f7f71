"""Valid settings without effect next to others: a warning names their position."""

from collections.abc import Callable
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import load

ONE = "apps: [{{id: a, key: k, secret: s, {}}}]\n"
MANY = f"apps: [{', '.join(f'{{id: a{at}, key: k{at}, secret: s}}' for at in range(7))}]\n"
UNREACHED = "cannot be reached, since bounds.message_size_in_kb is"
REQUEST = "cannot be reached, since bounds.request_size_in_mb is"
SLOW = "a slow client is closed with 4100 when it gets one"
LOCAL = "has no effect while cluster is local"
WARNINGS = [
    ("redis: {host: redis-1}\n", ["config.yaml:1: redis.host: " + LOCAL]),
    (
        "redis:\n  host: redis-1\n  password: p\n",
        ["config.yaml:2: redis.host: " + LOCAL, "config.yaml:3: redis.password: " + LOCAL],
    ),
    ("rate_limits: {when_unavailable: refuse}\n", ["config.yaml:1: rate_limits.when_unavailable: " + LOCAL]),
    ("redis: {lease: 5}\n", ["config.yaml:1: redis.lease: " + LOCAL]),
    ("redis: {lease: 5}\nworkers: 2\n", []),
    ("redis: {host: 127.0.0.1, prefix: soketpy}\n", []),
    ("cluster: redis\nredis: {host: redis-1, username: u, password: p, tls: true, db: 3}\n", []),
    (
        "cluster: redis\nredis: {host: redis-1, port: 1, sentinels: ['a:1'], sentinel_master: m}\n",
        [f"config.yaml:2: redis.{name}: has no effect next to redis.sentinels" for name in ("host", "port")],
    ),
    (
        "cluster: redis\nredis: {sentinel_master: m, sentinel_password: p}\n",
        ["config.yaml:2: redis.sentinel_master: has no effect without redis.sentinels"],
    ),
    (
        "cluster: redis\nredis: {username: u}\n",
        ["config.yaml:2: redis.username: has no effect without redis.password"],
    ),
    (
        "cluster: redis\nredis: {unix_socket: /run/r, tls: true}\n",
        ["config.yaml:2: redis.tls: has no effect next to redis.unix_socket"],
    ),
    (
        "cluster: redis\nbounds: {cached_events: 5}\n",
        [
            "config.yaml:2: bounds.cached_events: has no effect while cluster is redis, "
            "which keeps the events of cache channels"
        ],
    ),
    ("webhooks: {path: w.db}\n", []),
    (
        "webhooks: {path: w.db, queue: memory}\n",
        ["config.yaml:1: webhooks.path: has no effect while webhooks.queue is memory"],
    ),
    (
        "sqs: {region: eu-central-1}\n",
        ["config.yaml:1: sqs.region: has no effect while webhooks.queue is not sqs"],
    ),
    (
        "workers: 2\nwebhooks: {path: w.db}\n",
        ["config.yaml:2: webhooks.path: has no effect in a cluster, whose Redis has the queue of webhooks"],
    ),
    (
        "history: {mib: 5}\n",
        ["config.yaml:1: history.mib: has no effect while no app has history"],
    ),
    ("history: {mib: 5, app_mib: 5}\n" + ONE.format("history: [{channels: a}]"), []),
    (
        "history: {path: h.db, store: memory}\n" + ONE.format("history: [{channels: a}]"),
        ["config.yaml:1: history.path: has no effect while history.store is memory"],
    ),
    ("history: {path: h.db}\n" + ONE.format("history: [{channels: a}]"), []),
    (
        "workers: 2\nhistory: {path: h.db}\n" + ONE.format("history: [{channels: a}]"),
        ["config.yaml:2: history.path: has no effect in a cluster, whose Redis has the logs"],
    ),
    (
        "workers: 2\nhistory: {mib: 5}\n" + ONE.format("history: [{channels: a}]"),
        ["config.yaml:2: history.mib: has no effect in a cluster, whose Redis has the logs"],
    ),
    ("metrics: {port: 9000}\n", ["config.yaml:1: metrics.port: has no effect while metrics.enabled is false"]),
    ("metrics: {port: 9000, enabled: true}\n", []),
    (
        "host: '::1'\nport: 7000\nunix_socket: /run/s\n",
        [f"config.yaml:{at}: {name}: has no effect next to unix_socket" for at, name in ((1, "host"), (2, "port"))],
    ),
    (
        "timeouts: {authorization: 5}\n",
        ["config.yaml:1: timeouts.authorization: has no effect while no app has authorized_connections"],
    ),
    ("timeouts: {worker: 5}\n", ["config.yaml:1: timeouts.worker: has no effect while workers is 1"]),
    ("timeouts: {worker: 5}\nworkers: 2\n", []),
    ("timeouts: {authorization: 5}\n" + ONE.format("authorized_connections: true"), []),
    (
        ONE.format("max_presence_member_size_in_kb: 300"),
        [f"config.yaml:1: max_presence_member_size_in_kb (300) {UNREACHED} 256 (app a)"],
    ),
    (
        "bounds: {request_size_in_mb: 0.5}\n" + ONE.format("max_event_payload_in_kb: 513"),
        [f"config.yaml:2: max_event_payload_in_kb (513) {REQUEST} 0.5 (app a)"],
    ),
    (ONE.format("max_event_payload_in_kb: 300"), []),
    (
        ONE.format("max_event_payload_in_kb: 300, client_events: true"),
        [f"config.yaml:1: max_event_payload_in_kb (300) {UNREACHED} 256 (app a)"],
    ),
    (
        ONE.format("max_event_payload_in_kb: 2000"),
        [f"config.yaml:1: max_event_payload_in_kb (2000) is more than bounds.unread_in_kb (1024): {SLOW} (app a)"],
    ),
    (
        "app_defaults: {max_event_payload_in_kb: 100000000}\nbounds: {request_size_in_mb: 99999999}\n" + MANY,
        [
            "config.yaml:1: max_event_payload_in_kb (100000000) is more than bounds.unread_in_kb (1024): "
            f"{SLOW} (apps a0, a1, a2, a3, a4 and 2 more)"
        ],
    ),
    (
        "bounds: {unread_in_kb: 0.25}\n" + MANY.replace("secret: s", "secret: s, max_event_payload_in_kb: 30", 1),
        [
            "config.yaml:2: max_event_payload_in_kb (30 to 100) is more than bounds.unread_in_kb (0.25): "
            f"{SLOW} (apps a0, a1, a2, a3, a4 and 2 more)"
        ],
    ),
    (
        "bounds: {unread_in_kb: 50}\n",
        [f"config.yaml:1: max_event_payload_in_kb (100) is more than bounds.unread_in_kb (50): {SLOW} (app 1)"],
    ),
]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    monkeypatch.chdir(tmp_path)

    def write(content: str) -> str:
        Path("config.yaml").write_text(content)
        return "config.yaml"

    return write


@pytest.mark.parametrize(("content", "warnings"), WARNINGS)
def test_a_setting_without_effect_is_named_with_its_position(
    write: Callable[[str], str], content: str, warnings: list[str]
) -> None:
    assert list(load(write(content), {}, {}).warnings) == warnings


def test_a_variable_without_effect_is_named() -> None:
    environ = {"SOKETPY_METRICS_PORT": "9000", "SOKETI_DB_REDIS_HOST": "redis-1"}
    assert set(load(None, environ, {}).warnings) == {
        "SOKETPY_METRICS_PORT: has no effect while metrics.enabled is false",
        f"SOKETI_DB_REDIS_HOST: {LOCAL}",
    }


def test_the_sample_has_no_warnings() -> None:
    sample = Path(__file__).parents[2] / "config" / "soketpy.yaml"
    assert load(str(sample), {}, {}).warnings == ()


def test_check_config_prints_the_warnings(write: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", write("redis: {host: redis-1}\n")]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"warning: config.yaml:1: redis.host: {LOCAL}"
