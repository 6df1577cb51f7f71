"""The one error of the configuration, and the guess at what was meant."""

import re
from collections.abc import Iterable, Sequence

_LONGEST_GUESSED = 80
_ALIKE = 0.6
_WORD = re.compile(r"[^._]+")


class ConfigError(ValueError):
    """A configuration that is not understood. Its text is one line: the place, the setting and what is wrong there."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def guess(written: str, known: Iterable[str], prefix: str = "") -> str:
    """``"; did you mean …?"`` where one of the known names is close to what was written, else nothing.

    ``prefix`` is in front of the name in the question. It is in neither ``written`` nor ``known``.
    """
    found = closest(written, known)
    return "" if found is None else f"; did you mean {prefix}{found}?"


def either(words: Sequence[str]) -> str:
    """Return the words as a sentence offers them: ``a, b or c``."""
    return " or ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def closest(written: str, known: Iterable[str]) -> str | None:
    """Return the known name with all the words that were written, or else one that is spelt nearly alike, or None."""
    if len(written) > _LONGEST_GUESSED:
        return None
    names = list(known)
    if found := with_all_words(written, names):
        return found
    alike = max(names, key=lambda name: _likeness(written, name), default=None)
    return alike if alike is not None and _likeness(written, alike) >= _ALIKE else None


def _likeness(written: str, name: str) -> float:
    """Return how alike two names are, from 0 to 1, by what follows the words that they begin with together."""
    from difflib import SequenceMatcher  # here, since no configuration without a mistake needs it

    ours, theirs = _WORD.findall(written.lower()), _WORD.findall(name.lower())
    while len(ours) > 1 and len(theirs) > 1 and ours[0] == theirs[0]:
        ours, theirs = ours[1:], theirs[1:]
    return SequenceMatcher(None, "_".join(ours), "_".join(theirs)).ratio()


def with_all_words(written: str, known: Iterable[str]) -> str | None:
    """Return the shortest known name that has all of the words, and fewer others: METRICS_PORT. There must be two."""
    words = set(_WORD.findall(written.lower()))
    found = [
        name
        for name in known
        if len(words) > 1 and words <= (has := set(_WORD.findall(name.lower()))) and len(has) < 2 * len(words)
    ]
    return min(found, key=len, default=None)


def quote(written: str, longest: int = 60) -> str:
    """A text as it can stand in a one-line message: its control characters escaped, its length bounded."""
    shown = written if len(written) <= longest else written[:longest] + "…"
    return shown if shown.isprintable() and shown.strip() == shown and shown else repr(shown)
