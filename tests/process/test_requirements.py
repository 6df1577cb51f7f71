"""The requirements of a configuration on the machine, as ``soketpy check-config`` reports them."""

from pathlib import Path

import pytest

from soketpy.cli import main


@pytest.mark.parametrize("driver", ["postgres", "mysql"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "ca.pem cannot be read: No such file or directory"), ("no", "there is no certificate (PEM) in ca.pem")],
)
def test_authorities_of_a_database_that_do_not_work_are_named_with_the_line_of_the_setting(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    driver: str,
    content: str | None,
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("ca.pem").write_text(content)
    Path("soketpy.yaml").write_text(f"registry: {{driver: {driver}}}\n{driver}:\n  tls: verify-full\n  ca: ca.pem\n")
    assert main(["check-config", "soketpy.yaml"]) == 2
    assert capsys.readouterr().err == f"soketpy check-config: error: soketpy.yaml:4: {driver}.ca: {problem}\n"


def test_a_missing_directory_of_apps_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("soketpy.yaml").write_text("registry: {driver: sqlite}\nsqlite:\n  path: none/apps.db\n")
    for command in (["check-config", "soketpy.yaml"], ["start", "--config", "soketpy.yaml"]):
        assert main(command) == 2
        error = f"soketpy {command[0]}: error: soketpy.yaml:3: sqlite.path: there is no directory none\n"
        assert capsys.readouterr().err == error
