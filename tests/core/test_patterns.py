"""Regular expressions of filters: RE2 matches them, and nothing else does."""

import pickle
import subprocess
import sys

import pytest
import re2

from soketpy import Filter
from soketpy.core.patterns import LONGEST, compile_pattern, pattern_problem

# Patterns that take a backtracking engine exponential time, and a text for each.
CATASTROPHIC = [(r"(a+)+$", "a" * 150 + "!"), (r"^(a|aa)+$", "a" * 150 + "!"), (r"(x+x+)+y", "x" * 200)]
FOUND = [
    ("room-[0-9]+", "presence-room-12", True),
    ("^room-[0-9]+", "presence-room-12", False),
    ("room-[0-9]+$", "presence-room-12b", False),
    (r"^private-user-\d{1,6}$", "private-user-42", True),
    ("(?i)ROOM", "room", True),
    ("^(chat|room)-", "chat-1", True),
    (r"^\p{L}+$", "room", True),
    (r"\.", "a-b", False),
]


@pytest.mark.parametrize(("pattern", "channel", "expected"), FOUND)
def test_a_pattern_is_searched_in_the_whole_name(pattern: str, channel: str, expected: bool) -> None:
    assert Filter(channel_name_matches=pattern).passes(channel) is expected


@pytest.mark.parametrize(("pattern", "text"), CATASTROPHIC)
def test_a_pattern_that_is_exponential_elsewhere_is_matched_by_re2(pattern: str, text: str) -> None:
    search = compile_pattern(pattern)
    assert type(search.__self__) is re2._Regexp  # type: ignore[attr-defined]
    assert not search(text)


def test_all_conditions_must_hold() -> None:
    given = Filter(channel_name_starts_with="a", channel_name_ends_with="z", channel_name_matches="m")
    passing = [name for name in ("amz", "az", "am", "mz") if given.passes(name)]
    assert passing == ["amz"]
    assert given.passes("")


def test_a_filter_with_a_pattern_reaches_another_process() -> None:
    given = Filter(channel_name_matches="^a")
    again = pickle.loads(pickle.dumps(given))
    assert again == given
    assert again.passes("a")
    assert not again.passes("b")


BAD = [
    ("[", "is not a regular expression of RE2: missing ]: ["),
    ("(", "is not a regular expression of RE2: missing ): ("),
    (r"(a)\1", r"is not a regular expression of RE2: invalid escape sequence: \1"),
    ("(?=a)", "is not a regular expression of RE2: invalid perl operator: (?="),
    ("a{1001}", "is not a regular expression of RE2: invalid repetition size: {1001}"),
    (r"(\pL{50}){2}", "is not a regular expression of RE2: pattern too large - compile failed"),
    ("a" * (LONGEST + 1), f"has more than {LONGEST} characters"),
]


@pytest.mark.parametrize(("pattern", "said"), BAD)
def test_a_bad_pattern_is_refused_with_the_reason_and_without_output(
    pattern: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert pattern_problem(pattern) == said
    assert capfd.readouterr() == ("", "")


def test_without_the_library_a_pattern_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    said = r"^Filter\.channel_name_matches: '\^a' needs the library RE2: pip install google-re2$"
    with pytest.raises(ValueError, match=said):
        Filter(channel_name_matches="^a")


def test_the_library_is_imported_only_for_a_pattern() -> None:
    program = (
        "import sys; from soketpy import Filter; Filter(channel_name_starts_with='a').passes('b'); "
        "assert 're2' not in sys.modules; Filter(channel_name_matches='a'); assert 're2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
