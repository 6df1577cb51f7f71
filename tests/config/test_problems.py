"""All mistakes of a configuration are found in one reading, and none that is only a consequence of another."""

from pathlib import Path

import pytest

from soketpy import ConfigError
from soketpy.cli import main
from soketpy.config import load
from soketpy.config.problems import ANY, MOST, Problems


def mistakes(tmp_path: Path, content: str | None, **environ: str) -> list[str]:
    """Return all mistakes, without the path of the file."""
    file = tmp_path / "c.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(None if content is None else str(file), environ, {})
    return [str(each).replace(f"{tmp_path}/", "") for each in caught.value.each()]


EVERYWHERE = """\
prot: 1
port: abc
metrics: {enabled: maybe, port: 70000}
redis: {sentinels: ["a:1"], cluster_nodes: ["b:2"]}
app_defaults: {nope: 1}
apps:
  - {id: a, key: k}
  - {id: b, kee: k2, secret: s}
  - {id: a, key: k3, secret: s, webhooks: [{url: "ftp://x", event_types: [nope]}, {event_types: []}]}
  - {key: z}
  - 5
  - {id: c, keys: [{key: x}, {key: y, secret: s, more: 1}]}
"""

FOUND = """\
c.yaml:1: prot: no such setting; did you mean port?
c.yaml:2: port: must be a whole number from 0 to 65535, not 'abc'
c.yaml:3: metrics.enabled: must be true or false, not 'maybe'
c.yaml:3: metrics.port: must be a whole number from 0 to 65535, not 70000
c.yaml:5: app_defaults.nope: no such setting
c.yaml:8: apps[1].kee: no such setting of an app; did you mean key?
c.yaml:9: apps[2].webhooks[0].url: must be an http:// or https:// URL with a host
c.yaml:9: apps[2].webhooks[0].event_types[0]: must be channel_occupied, channel_vacated, member_added, member_removed,
c.yaml:9: apps[2].webhooks[1].event_types: must have at least one event: without one, the webhook sends nothing
c.yaml:11: apps[4]: must be a table with an id, a key and a secret, not a number
c.yaml:12: apps[5].keys[0].secret: missing
c.yaml:12: apps[5].keys[1].more: no such setting of a key
SOKETPY_WORKERS: must be a whole number of 1 or more or auto, not 'many'
c.yaml:7: apps[0].secret: missing
c.yaml:9: apps[2].id: 'a' is already given at c.yaml:7
c.yaml:10: apps[3].secret: missing
c.yaml:10: apps[3].id: missing
c.yaml:4: redis.sentinels: given next to redis.cluster_nodes (c.yaml:4); use one of both
"""


def test_every_mistake_of_every_source_is_found(tmp_path: Path) -> None:
    found = mistakes(tmp_path, EVERYWHERE, SOKETPY_WORKERS="many")
    assert len(found) == len(FOUND.splitlines())
    for each, expected in zip(found, FOUND.splitlines(), strict=True):
        assert each.startswith(expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tls: {cret: x, key: y}", ["c.yaml:1: tls.cret: no such setting; did you mean cert?"]),
        ("apps: [{id: a, key: k, secert: s}]", ["c.yaml:1: apps[0].secert: no such setting of an app; did you mean"]),
        ("apps: [{id: [], key: k, secret: s}]", ["c.yaml:1: apps[0].id: must be text"]),
        ("metrics: {port: x, enabled: true}\nport: 9601", ["c.yaml:1: metrics.port: must be a whole number"]),
        ("admin: {enabled: true, token: x}", ["c.yaml:1: admin.token: no such setting; did you mean tokens?"]),
        ("redis: {unix_socket: /s, sentinels: [x]}", ["c.yaml:1: redis.sentinels[0]: must be an address"]),
        ("registry: {driver: nope}\nadmin: {enabled: true}", ["c.yaml:1: registry.driver: must be config"]),
        ("appManager.driver: nope\nadapter.redis.clusterMode: true", ["c.yaml:1: appManager.driver: there is no nope"]),
    ],
)
def test_the_consequences_of_a_mistake_are_not_reported(tmp_path: Path, content: str, said: list[str]) -> None:
    found = mistakes(tmp_path, content)
    assert len(found) == len(said), found
    assert all(each.startswith(expected) for each, expected in zip(found, said, strict=True)), found


def test_an_unknown_variable_may_be_any_setting(tmp_path: Path) -> None:
    environ = {"SOKETPY_TLS_KEY": "x", "SOKETPY_TLS_CRET": "y", "SOKETI_NOPE": "1"}
    found = mistakes(tmp_path, "apps: [{id: a, key: k}]", **environ)
    assert [each.partition(":")[0] for each in found] == ["SOKETI_NOPE", "SOKETPY_TLS_CRET"]


def test_a_file_that_cannot_be_read_does_not_hide_the_mistakes_of_variables(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "a: [", SOKETPY_PORT="x", SOKETPY_APP_ID="[]")
    assert found[0].startswith("c.yaml:")
    assert [each.partition(":")[0] for each in found[1:]] == ["SOKETPY_APP_ID", "SOKETPY_PORT"]


def test_a_file_of_soketi_has_all_its_mistakes_too(tmp_path: Path) -> None:
    content = "port: x\nappManager.array.apps:\n- {id: a, kee: 1, secret: s}\n- {id: b, key: k, nope: 1}\ndebugg: 1\n"
    assert [each.rpartition(": ")[0] for each in mistakes(tmp_path, content)] == [
        "c.yaml:1: port",
        "c.yaml:3: appManager.array.apps.0.kee",
        "c.yaml:4: appManager.array.apps.1.nope",
        "c.yaml:5: debugg",
    ]


def test_check_config_prints_a_line_for_each_mistake_and_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOKETPY_LOG_LEVEL", "loud")
    file = tmp_path / "c.yaml"
    file.write_text(
        "cache_ttl: -1\ntls: {cert: /nowhere/c.pem, key: /nowhere/k.pem}\nwebhooks: {ca: /nowhere/ca.pem}\n"
    )
    assert main(["check-config", str(file)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.replace(str(file), "c.yaml").splitlines() == [
        "soketpy check-config: error: c.yaml:1: cache_ttl: must be a number from 0 to 315360000, not -1",
        "soketpy check-config: error: SOKETPY_LOG_LEVEL: must be debug, info, warning or error, not 'loud'",
        "soketpy check-config: error: c.yaml:2: tls.cert: /nowhere/c.pem cannot be read: No such file or directory",
        "soketpy check-config: error: c.yaml:2: tls.key: /nowhere/k.pem cannot be read: No such file or directory",
        "soketpy check-config: error: c.yaml:3: webhooks.ca: /nowhere/ca.pem cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("content", "more"), [("a: 1\nb: 2\n", "1 more mistake"), ("a: 1\nb: 2\nc: 3", "2 more mistakes")]
)
def test_other_commands_print_the_first_mistake_and_the_number_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, more: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(content)
    assert main(["start", "--config", str(file)]) == 2
    said = f"soketpy start: error: {file}:1: a: no such setting (and {more}: `soketpy check-config` shows all)\n"
    assert capsys.readouterr().err == said


def test_the_number_of_mistakes_is_bounded(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, "".join(f"name{number}: 1\n" for number in range(2 * MOST)))) == MOST


def test_other_exceptions_pass() -> None:
    problems = Problems()
    with pytest.raises(KeyError), problems.noted():
        raise KeyError
    assert problems.is_sure(ANY)
    problems.check()


def test_a_secret_is_not_in_any_mistake(tmp_path: Path) -> None:
    content = "redis: {password: [hidden], nope: hidden}\napps: [{id: a, key: k, secret: {x: hidden}, nope: hidden}]\n"
    assert "hidden" not in "".join(mistakes(tmp_path, content, SOKETPY_ADMIN_TOKENS="hidden", SOKETPY_PORT="'x'"))
