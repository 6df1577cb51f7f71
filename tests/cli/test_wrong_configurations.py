"""Commands with a configuration that is wrong or missing: each mistake is a line."""

from pathlib import Path

import pytest

from soketpy.cli import main


def test_check_config_names_each_file_of_tls_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("tls: {cert: no-cert.pem, key: no-key.pem}\n")
    assert main(["check-config", str(config)]) == 2
    err = capsys.readouterr().err
    for name in ("cert", "key"):
        assert f"tls.{name}: no-{name}.pem cannot be read: No such file or directory\n" in err


def test_check_config_names_each_wrong_item_of_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("redis:\n  sentinels:\n  - a\n  - b:26379\n  - 5\nhost: [a, '*', '-/']\n")
    assert main(["check-config", str(config)]) == 2
    err = capsys.readouterr().err
    for where in (":3: redis.sentinels[0]: ", ":5: redis.sentinels[2]: ", ":6: host[1]: ", ":6: host[2]: "):
        assert where in err
    assert err.count("\n") == 4


def test_webhooks_without_a_configuration_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["webhooks", "list"]) == 1
    err = capsys.readouterr().err
    assert "this command found no configuration, so it looked at the queue of the defaults: give --config" in err
    assert err.count("\n") == 1
