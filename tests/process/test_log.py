"""The formats of the log, for people and for machines."""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator

import pytest

from soketpy.process.log import configure, log_unhandled


@pytest.fixture(autouse=True)
def the_log_of_the_tests() -> Iterator[None]:
    """Restore the log after the test."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    root.handlers = []
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
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


def test_json_has_the_fields_of_a_line_and_text_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"event": "redis_lost", "host": "redis-1:6379", "partition": "soketpy:0", "reason": OSError("closed")}
    for format in ("json", "text"):
        configure("info", format)
        logging.getLogger("soketpy").info("Redis at %(host)s is unavailable (%(partition)s): %(reason)s", values)
    line, text = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields["message"] == "Redis at redis-1:6379 is unavailable (soketpy:0): closed"
    assert list(fields)[-3:] == ["event", "host", "reason"]
    assert (fields["event"], fields["host"], fields["reason"]) == ("redis_lost", "redis-1:6379", "closed")
    assert text.endswith("INFO    soketpy: Redis at redis-1:6379 is unavailable (soketpy:0): closed")


def test_json_has_no_field_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("soketpy").info("Refused", {"event": "request_refused", "app": None, "status": 400})
    fields = json.loads(capsys.readouterr().err)
    assert "app" not in fields
    assert fields["status"] == 400


def test_a_traceback_and_a_line_of_a_library_have_events_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("soketpy").error("%s failed", "It", exc_info=ValueError("why"))
    logging.getLogger("asyncio").warning("%s is slow", "it")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["message"]) for line in lines] == [("failure", "It failed"), ("other", "it is slow")]


def test_the_exception_that_ends_the_process_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    fault = ValueError("why")
    sys.excepthook(ValueError, fault, None)
    [line] = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert (fields["event"], fields["level"]) == ("failure", "critical")
    assert (fields["message"], fields["exception"]) == ("The process ends: ValueError", "ValueError: why")


class FailsAtItsEnd:
    """An object whose finalizer fails."""

    def __del__(self) -> None:
        raise ValueError("why")


@pytest.mark.usefixtures("contained")
def test_faults_that_nothing_can_catch_are_lines_of_the_log_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log_unhandled()
    FailsAtItsEnd()
    thread = threading.Thread(target=int, args=("why",))
    thread.start()
    thread.join()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("failure", "error")] * 2
    assert all(line["exception"].rpartition("\n")[2].startswith("ValueError: ") for line in lines)


def test_each_line_of_a_worker_has_its_process_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", pid=4711)
    logging.getLogger("soketpy").info("Stopped", {"event": "stopped"})
    assert json.loads(capsys.readouterr().err)["pid"] == 4711


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
