"""Every log line has an event and a row in the table of docs/operations.md, and every row has a log line."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from soketpy.core.log_fields import FIELDS

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "soketpy").rglob("*.py"))
LEVELS = ("info", "warning", "error")
LOGS = (ROOT / "docs/operations.md").read_text().split("\n## Logs\n")[1].split("\n## ")[0]

SEVERAL_TEXTS = {"configuration_note", "configuration_warning", "failure", "start_failed"}
"""Events of lines that consist of a text from elsewhere. The table has a row for each of these texts."""


@dataclass(frozen=True, slots=True)
class Line:
    """One call of a logger. ``text`` and ``event`` are None if they are known only when the line is logged."""

    level: str
    text: str | None
    event: str | None
    values: frozenset[str] | None

    @property
    def shape(self) -> str:
        """The text with … for everything that differs; just … for a text from elsewhere."""
        return "…" if self.text is None else shape(self.text)


def shape(text: str) -> str:
    """A line with … for everything that differs."""
    return re.sub(r"(?:%(?:\(\w+\))?[-\d.]*[a-z]|…)+", "…", text)


def rows() -> list[tuple[str, str, str]]:
    """Level, line and event of every row of the table."""
    return re.findall(rf"^\| ({'|'.join(LEVELS)}) \| `(.+?)` \| `(\w+)` \|", LOGS, flags=re.M)


def name_of(path: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def text_of(argument: ast.expr, path: Path) -> str | None:
    """The text that an argument names; None for one that is known only when it is logged."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    if isinstance(argument, ast.Name):
        found = getattr(importlib.import_module(name_of(path)), argument.id, None)
        return found if isinstance(found, str) else None
    return None


def logger_method(node: ast.expr) -> str | None:
    """The method of a logger that an expression is."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and re.search(r"\b\w*log$", node.value.id):
        return node.attr
    return None


def lines_of(path: Path) -> Iterator[Line]:
    """The lines that a module logs without a traceback."""
    module = importlib.import_module(name_of(path)) if path.name != "__main__.py" else None
    for value in vars(module).values() if hasattr(module, "log") else ():
        if isinstance(value, str) and re.fullmatch(r".*%\(\w+\)[sdg].*", value):  # some function logs it
            yield Line("info", value, None, None)
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or any(keyword.arg == "exc_info" for keyword in node.keywords):
            continue
        function, arguments = node.func, node.args
        if arguments and logger_method(arguments[0]) in LEVELS:  # partial(log.warning, TEXT)
            function, arguments = arguments[0], arguments[1:]
        method = logger_method(function)
        if method == "log":  # the level is info or, in a flood, debug
            method, arguments = "info", arguments[1:]
        if method in LEVELS and arguments:
            yield Line(method, text_of(arguments[0], path), *fields_of(arguments[1:]))


def fields_of(arguments: list[ast.expr]) -> tuple[str | None, frozenset[str] | None]:
    """The event and the names of the values in the dict of a line."""
    if len(arguments) != 1 or not isinstance(arguments[0], ast.Dict):
        return None, None
    fields = {
        key.value: value
        for key, value in zip(arguments[0].keys, arguments[0].values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    event = fields.get("event")
    names = frozenset(fields)
    return (str(event.value) if isinstance(event, ast.Constant) else None), names


def placeholders(line: Line) -> set[str]:
    """The names of the values that a text has."""
    return set(re.findall(r"%\((\w+)\)", line.text or ""))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_that_a_module_logs_has_a_row_with_its_level_and_event(path: Path) -> None:
    found = rows()
    for line in lines_of(path):
        if re.search("[A-Za-z]", line.shape) or path.name == "rest.py":
            known = [event for level, text, event in found if (level, text) == (line.level, line.shape)]
            assert known, f"add a row for {line} to the table in docs/operations.md, section Logs"
            assert line.event in (None, *known), f"the row of {line} has another event"
        elif line.event is not None:
            assert line.event in {event for _, _, event in found}, f"add a row with the event of {line}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_has_an_event_and_the_values_of_its_text(path: Path) -> None:
    for line in lines_of(path):
        if line.values is None:
            assert line.text is not None, f"{line}: log a text with a dict, as core/log_fields.py shows"
            assert path.name == "http_connections.py", f"{line}: log a text with a dict, as core/log_fields.py shows"
            continue
        assert "event" in line.values, f"{line} has no event"
        assert re.fullmatch("[a-z][a-z0-9_]*", line.event or "none"), f"{line}: an event is in snake_case"
        if line.text is not None:
            assert placeholders(line) <= line.values, f"{line}: the dict lacks values of the text"
            unused = line.values - placeholders(line) - set(FIELDS)
            assert not unused, f"{line}: {unused} are neither in the text nor in FIELDS"


def test_no_event_has_two_texts() -> None:
    found = {line for path in MODULES for line in lines_of(path) if line.event not in (None, *SEVERAL_TEXTS)}
    shapes: dict[str | None, set[str]] = {}
    for line in found:
        shapes.setdefault(line.event, set()).add(line.shape)
    assert {event: texts for event, texts in shapes.items() if len(texts) > 1} == {}
    events = [event for _, _, event in rows() if event not in SEVERAL_TEXTS]
    assert sorted(events) == sorted(set(events))


def test_the_lines_of_the_code_are_found() -> None:
    found = {(line.level, line.shape, line.event) for path in MODULES for line in lines_of(path)}
    assert len(found) > 60
    assert ("info", "Stopped", "stopped") in found
    alone = "SIGUSR2 renews workers, and this server has only one process: restart it instead"
    assert ("warning", alone, "no_workers") in found
    assert any("bounds.max_http_connections" in text for _, text, _ in found)


def test_every_row_is_a_line_of_the_code() -> None:
    texts = [
        shape(node.value)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for _, line, _ in rows():
        for piece in re.split("…", line):
            assert any(piece.strip(" :") in text for text in texts), f"{line}: the code has no {piece!r}"
    assert len(rows()) == len({row[:2] for row in rows()})


def test_no_row_lacks_its_event() -> None:
    assert len(rows()) == len(re.findall(rf"^\| (?:{'|'.join(LEVELS)}) \|", LOGS, flags=re.M))


def test_the_documentation_has_every_field() -> None:
    documented = re.findall(r"^\| `(\w+)` \| ", LOGS, flags=re.M)
    assert documented == list(FIELDS)
