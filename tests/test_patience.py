"""The waits of tests end at one common limit, and no test measures time."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import patience
from tests.patience import attempts, until, wait_until

TESTS = Path(__file__).parent
SOURCES = sorted(path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)

READ_A_CLOCK = {"patience.py", "slow.py", "clients/chaos.py", "clients/javascript.py", "clients/programs.py"}
"""Files that compare times: with the patience of all tests, and with the end of a hog."""


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.0)


@pytest.mark.usefixtures("no_patience")
async def test_a_condition_that_never_holds_ends_the_wait() -> None:
    async def never() -> bool:
        return False

    for condition in (never, lambda: False):
        with pytest.raises(TimeoutError):
            await until(condition)
    with pytest.raises(TimeoutError, match="did not happen within 0 s"):
        wait_until(lambda: False, pause=lambda _: None)
    with pytest.raises(TimeoutError):
        for _ in attempts():
            pass


async def test_a_condition_is_asked_again_until_it_holds() -> None:
    answers = iter([0, "", None, [1]])
    await until(lambda: next(answers))

    async def later() -> object:
        return next(asked)

    asked = iter([False, True])
    await until(later)
    again = iter([False, True])
    wait_until(lambda: next(again))
    assert [list(each) for each in (answers, asked, again)] == [[], [], []]


# The rules


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_number(value: ast.AST | None) -> bool:
    return (
        isinstance(value, ast.Constant) and isinstance(value.value, int | float) and not isinstance(value.value, bool)
    )


def polls(loop: ast.While) -> bool:
    """Return whether a loop asks again and again. A loop that reads to the end of a stream does not."""
    reads = isinstance(loop.test, ast.NamedExpr)
    sleeps = any(isinstance(node, ast.Call) and name_of(node) == "sleep" for node in ast.walk(loop))
    lacks = isinstance(loop.test, ast.UnaryOp) and isinstance(loop.test.op, ast.Not)
    return sleeps or lacks or (not reads and any(isinstance(node, ast.Await) for node in ast.walk(loop)))


def bounded(path: Path) -> set[ast.AST]:
    """Return the nodes inside of ``async with asyncio.timeout(...)``."""
    return {
        inner
        for node in nodes(path)
        if isinstance(node, ast.AsyncWith) and "asyncio.timeout(" in ast.unparse(node.items[0])
        for inner in ast.walk(node)
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_poll_is_bounded(path: Path) -> None:
    within = {ast.dump(node, include_attributes=True) for node in bounded(path) if isinstance(node, ast.While)}
    loops = [node for node in nodes(path) if isinstance(node, ast.While) and polls(node)]
    free = [node.lineno for node in loops if ast.dump(node, include_attributes=True) not in within]
    if path.name not in ("slow.py", "chaos.py"):  # chaos lasts as long as its command says
        assert not free, f"lines {free}: use until, wait_until or attempts of tests/patience.py"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_limit_of_time_is_a_number_of_its_own(path: Path) -> None:
    limits = []
    for node in nodes(path):
        if isinstance(node, ast.Call):
            given = [each.value for each in node.keywords if each.arg in ("timeout", "open_timeout", "ping_timeout")]
            given += node.args if ast.unparse(node.func) in ("asyncio.timeout", "asyncio.wait_for") else []
            limits += [node.lineno for each in given if is_number(each)]
    assert not limits, f"lines {limits}: use PATIENCE of tests/patience.py"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_has_a_time_limit_or_a_clock_of_its_own(path: Path) -> None:
    name, text = str(path.relative_to(TESTS)), path.read_text()
    if path != Path(__file__) and not name.startswith("examples/"):
        assert "mark.timeout" not in text, "a limit of a test would be the one beside CPU hogs too"
        clocks = {"monotonic", "perf_counter"}
        used = {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)} & clocks
        used |= {node.id for node in nodes(path) if isinstance(node, ast.Name)} & clocks
        assert not used or name in READ_A_CLOCK, "no result may depend on how long something took"
