"""Warnings and notes about valid settings, for the log and for ``soketpy check-config``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import load
from soketpy.config.cautions import cautions, notes
from tests.authority import Authority

APP = "apps: [{id: a, key: k, secret: s}]\n"
OPEN = "The port is open to every network without TLS"
ADMIN = "The admin port has no TLS and is open to every network"
TOKENS = "registry: {driver: sqlite}\nadmin: {enabled: true, tokens: [a-token-of-the-tests], host: 0.0.0.0}\n"


def cautions_of(tmp_path: Path, content: str) -> list[str]:
    file = tmp_path / "c.yaml"
    file.write_text(content)
    return list(cautions(load(str(file), {}, {})))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (APP, [OPEN]),
        (APP + 'host: "::"', [OPEN]),
        (APP + "host: [127.0.0.1, 0.0.0.0]", [OPEN]),
        (APP + "host: 127.0.0.1", []),
        (APP + "host: example.com", []),
        (APP + "unix_socket: /run/s", []),
        (APP + "proxies: [10.0.0.0/8]", []),
        (APP + "host: h\napp_defaults: {tls_only: true}", ["Every client can claim to use TLS, by X-Forwarded-Prot"]),
        (APP + "unix_socket: /run/s\napp_defaults: {tls_only: true}", []),
        (APP + "host: h\nproxies: [10.0.0.0/8]\napp_defaults: {tls_only: true}", []),
        (APP + "host: h\ntls: {cert: c, key: k}\napp_defaults: {tls_only: true}", []),
        (APP + "proxies: [10.0.0.0/8, 0.0.0.0/0]", ["Every client can choose its address"]),
        (APP + "host: h\nproxy_protocol: true", ["Every client can choose its address"]),
        (APP + "host: h\nproxy_protocol: true\nproxies: [10.0.0.0/8]", []),
        (APP + "unix_socket: /run/s\nproxy_protocol: true", []),
        (APP + "tls: {cert: c, key: k}", []),
        ("host: localhost", ["The default secret is publicly known"]),
        ("host: 127.0.0.1\napps: [{id: a, key: k, secret: app-secret}]", ["The default secret is publicly known"]),
        ("host: 127.0.0.1\n" + TOKENS, [ADMIN]),
        (APP + "host: 127.0.0.1\nbounds: {max_connections: 10}\napp_defaults: {max_connections: 10}", []),
        (
            APP + "host: 127.0.0.1\nbounds: {max_connections: 10}\napp_defaults: {max_connections: 11}",
            ["c.yaml:4: max_connections (11) cannot be reached, since bounds.max_connections is 10 (app a)"],
        ),
        (APP + "host: h\nworkers: 2\nbounds: {max_connections: 10}\napp_defaults: {max_connections: 11}", []),
    ],
)
def test_unsafe_and_contradicting_settings_have_a_warning(tmp_path: Path, content: str, said: list[str]) -> None:
    found = [each.replace(f"{tmp_path}/", "") for each in cautions_of(tmp_path, content)]
    assert len(found) == len(said), found
    assert all(each.startswith(expected) for each, expected in zip(found, said, strict=True)), found


@pytest.mark.parametrize(("timeouts", "seconds"), [("shutdown: 5", None), ("shutdown: 20", 60), ("drain: 15", 41)])
def test_a_long_stop_has_a_note_with_the_seconds_that_it_may_take(
    tmp_path: Path, timeouts: str, seconds: int | None
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"timeouts: {{{timeouts}}}")
    found = [each.partition(",")[0] for each in notes(load(str(file), {}, {}))]
    assert found == ([] if seconds is None else [f"A stop may take {seconds} s"])


@pytest.mark.parametrize(
    ("days", "said"), [(-10, "expired at 20"), (3, "expires soon, at 20"), (8, None)], ids=["expired", "soon", "valid"]
)
def test_a_certificate_that_has_expired_or_expires_soon_has_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], days: int, said: str | None
) -> None:
    ends = datetime.now(UTC).replace(tzinfo=None) + timedelta(days)
    cert, key = Authority("A").issue(tmp_path, ends=ends)
    file = tmp_path / "c.yaml"
    file.write_text(APP + f"tls: {{cert: {cert}, key: {key}}}\n")
    assert main(["check-config", str(file)]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert [line.startswith(f"warning: The certificate in {cert} {said}") for line in warnings] == [True] * bool(said)


def test_more_connections_than_open_files_have_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(APP + "host: 127.0.0.1\nbounds: {max_connections: 9000000000000}\n")
    assert main(["check-config", str(file)]) == 0
    assert "by the limit of open files here; bounds.max_connections is 9000000000000\n" in capsys.readouterr().out


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1", 0), ("0.0.0.0", 1)])
def test_with_strict_a_warning_is_a_failure(tmp_path: Path, host: str, code: int) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(APP + f"host: {host}\n")
    assert main(["check-config", "--strict", str(file)]) == code
    assert main(["check-config", str(file)]) == 0
