"""Warnings about valid settings of history."""

from pathlib import Path

import pytest

from soketpy.config import load
from soketpy.config.cautions import cautions

PRIVATE = "The stored events of channels with history are lost at each restart"
ONE = "history: [{channels: news}]"


def cautions_of(tmp_path: Path, app: str, rest: str = "") -> list[str]:
    file = tmp_path / "c.yaml"
    file.write_text(f"host: 127.0.0.1\n{rest}\napps:\n  - {{id: a, key: k, secret: s, {app}}}\n")
    return [each.replace(f"{tmp_path}/", "") for each in cautions(load(str(file), {}, {}))]


@pytest.mark.parametrize(
    ("app", "rest", "warned"),
    [
        (ONE, "workers: 2", True),
        (ONE, "workers: 1", False),
        (ONE, "workers: 2\ncluster: redis", False),
        ("client_events: true", "workers: 2", False),
    ],
)
def test_logs_that_a_restart_of_private_workers_loses_have_a_warning(
    tmp_path: Path, app: str, rest: str, warned: bool
) -> None:
    found = cautions_of(tmp_path, app, rest)
    assert [each.startswith(PRIVATE) and each.endswith("(app a)") for each in found] == [True] * warned


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("{channels: '*'}, {channels: private-*}", "the rule private-* is never used: move it in front of the rule *"),
        (
            "{channels: room-*}, {channels: room-1}",
            "the rule room-1 is never used: move it in front of the rule room-*",
        ),
        ("{channels: a*z}, {channels: ab*yz}", "the rule ab*yz is never used: move it in front of the rule a*z"),
        ("{channels: private-*}, {channels: '*'}", None),
        ("{channels: room}, {channels: room*}", None),
        ("{channels: ab*}, {channels: 'a*b'}", None),
        ("{channels: 'aa*aa'}, {channels: aaa}", None),
        ("{channels: a, rewind: 6, events: 5}", "rewind (6) of a is more than its events (5)"),
        ("{channels: a, rewind: 5, events: 5}", None),
    ],
)
def test_a_rule_that_is_not_followed_as_written_has_a_warning(tmp_path: Path, rules: str, said: str | None) -> None:
    expected = [] if said is None else [f"c.yaml:4: history: {said} (app a)"]
    assert cautions_of(tmp_path, f"history: [{rules}]") == expected


def test_a_rule_for_channels_of_users_has_a_warning(tmp_path: Path) -> None:
    said = "c.yaml:4: history: the rule #server-to-user-1 has no effect: channels of users have no history (app a)"
    assert cautions_of(tmp_path, "history: [{channels: '#server-to-user-1'}]") == [said]


@pytest.mark.parametrize(
    ("rest", "warned"),
    [("{app_mib: 300}", True), ("{app_mib: 256}", False), ("{mib: 10}", False), ("{mib: 10, app_mib: 11}", True)],
)
def test_a_limit_of_an_app_above_that_of_all_apps_has_a_warning(tmp_path: Path, rest: str, warned: bool) -> None:
    found = cautions_of(tmp_path, ONE, f"history: {rest}")
    assert [each.startswith("c.yaml:2: history.app_mib: ") for each in found] == [True] * warned
    assert all("cannot be reached, since history.mib is" in each for each in found)
