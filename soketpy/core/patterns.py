"""Regular expressions for the names of channels, matched by RE2.

RE2 compares in a time that is linear in the length of the text, whatever the pattern is: no pattern is slow for some
texts, as patterns with backtracking are. The library is imported only if there is a pattern.
"""

from collections.abc import Callable

LONGEST = 1000
"""Characters that a pattern may have."""

MEMORY = 64 * 1024
"""Bytes that a compiled pattern may use. A pattern with two or three Unicode classes fits."""


class BadPattern(ValueError):
    """A pattern that cannot be used. The text is the end of a sentence that begins with the pattern."""


def compile_pattern(pattern: str) -> Callable[[str], object]:
    """Return a function that searches the pattern anywhere in a text. The result is true if the pattern was found.

    Raise BadPattern for a text that is not a pattern, for one that is too large, and if RE2 is not installed.
    """
    if len(pattern) > LONGEST:
        raise BadPattern(f"has more than {LONGEST} characters")
    try:
        import re2  # imported late, because most webhooks have no pattern
    except ImportError:
        raise BadPattern("needs the library RE2: pip install google-re2") from None
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    try:
        found: Callable[[str], object] = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise BadPattern(f"is not a regular expression of RE2: {reason}") from None
    return found


def pattern_problem(pattern: str) -> str | None:
    """Return what is wrong with a pattern, as the end of a sentence, or None."""
    try:
        compile_pattern(pattern)
    except BadPattern as bad:
        return str(bad)
    return None
