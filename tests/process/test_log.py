"""The formats of the log, for people and for machines."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from soketpy.process.log import configure


@pytest.fixture(autouse=True)
def the_log_of_the_tests() -> Iterator[None]:
    """Restore the log after the test."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    root.handlers = []
    yield
    root.level, root.handlers = before
    logging.captureWarnings(False)


def test_text_is_one_line_with_time_level_and_logger(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")
    logging.getLogger("soketpy").info("Listening on %s", "here")
    said = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    soketpy: Listening on here\n", said)


def test_json_is_one_object_a_line_failures_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log = logging.getLogger("soketpy")
    log.info("two\nlines")
    try:
        int("why")
    except ValueError:
        log.exception("It failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("info", "soketpy", "two\nlines")
    assert first["time"].endswith("+00:00")
    assert (second["level"], second["message"]) == ("error", "It failed")
    assert second["exception"].endswith("'why'")


UNSAFE = "\x1b[2J\x9b2J\x85\u2028\u202e\ud800"


def test_text_has_no_control_character_but_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")
    logging.getLogger("soketpy").info("first\n\tZürich %s", UNSAFE)
    said = capsys.readouterr().err
    assert said.endswith("first\\n\tZürich \\x1b[2J\\x9b2J\\x85\\u2028\\u202e\\ud800\n")


def test_no_text_of_a_stranger_begins_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    forged = "\n2026-03-01T09:00:00.000Z ERROR soketpy: forged"
    logging.getLogger("soketpy").error("Failed: %s", forged, exc_info=ValueError(forged))
    first, *others = capsys.readouterr().err.splitlines()
    assert first.endswith("Failed: \\n2026-03-01T09:00:00.000Z ERROR soketpy: forged")
    assert len(others) == 2
    assert all(line.startswith("  ") for line in others)


def test_json_has_no_control_character_and_is_read_back_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("soketpy").info("Zürich %s", UNSAFE)
    [line] = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "Zürich" in line
    assert json.loads(line)["message"] == f"Zürich {UNSAFE}"


def test_a_line_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning")
    logging.getLogger("soketpy").info("not this")
    logging.getLogger("soketpy").warning("but this")
    assert capsys.readouterr().err.endswith("soketpy: but this\n")
