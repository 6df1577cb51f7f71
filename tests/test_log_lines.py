"""Every log line has a row in the table of docs/operations.md, and every row has a log line."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "soketpy").rglob("*.py"))
LEVELS = ("info", "warning", "error")


def shape(text: str) -> str:
    """A line with … for everything that differs."""
    return re.sub(r"(?:%[-\d.]*[a-z]|…)+", "…", text)


def rows() -> list[tuple[str, str]]:
    """Level and line of every row of the table."""
    section = (ROOT / "docs/operations.md").read_text().split("\n## Logs\n")[1].split("\n## ")[0]
    return re.findall(rf"^\| ({'|'.join(LEVELS)}) \| `(.+?)` \|", section, flags=re.M)


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


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """Level and shape of the lines that a module logs without a traceback, where the text stands in the code."""
    module = importlib.import_module(name_of(path)) if path.name != "__main__.py" else None
    for value in vars(module).values() if hasattr(module, "log") else ():
        if isinstance(value, str) and re.fullmatch(".*%[sdg].*", value):  # some function logs it
            yield "info", shape(value)
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
            text = text_of(arguments[0], path)
            if text is not None and (re.search("[A-Za-z]", shape(text)) or path.name == "rest.py"):
                yield method, shape(text)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_that_a_module_logs_has_a_row_with_its_level(path: Path) -> None:
    missing = set(lines_of(path)) - set(rows())
    assert not missing, "add a row to the table in docs/operations.md, section Logs"


def test_the_lines_of_the_code_are_found() -> None:
    found = {line for path in MODULES for line in lines_of(path)}
    assert len(found) > 30
    assert ("info", "Stopped") in found
    assert ("warning", "SIGUSR2 renews workers, and this server has only one process: restart it instead") in found
    assert any("bounds.max_http_connections" in line for _, line in found)


def test_every_row_is_a_line_of_the_code() -> None:
    texts = [
        shape(node.value)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for _, line in rows():
        for piece in re.split("…", line):
            assert any(piece.strip(" :") in text for text in texts), f"{line}: the code has no {piece!r}"
    assert len(rows()) == len(set(rows()))
