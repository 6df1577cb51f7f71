"""The error for a wrong configuration, and the guess which name the writer meant."""

import re
from collections.abc import Iterable, Sequence

from soketpy.core.quoting import HIDDEN_NAME, may_be_shown

_LONGEST_GUESSED = 80
_ALIKE = 0.6
_WORD = re.compile(r"[^._]+")


class ConfigError(ValueError):
    """A wrong configuration. The text is one line: the position, the setting and the problem.

    An error of several mistakes has the text of the first one; ``others`` are the further ones.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.others: tuple[ConfigError, ...] = ()

    @classmethod
    def of_several(cls, errors: "Sequence[ConfigError]") -> "ConfigError":
        """Return one error for several mistakes, of which there is at least one."""
        first = cls(str(errors[0]))
        first.others = tuple(errors[1:])
        return first

    def each(self) -> "tuple[ConfigError, ...]":
        """Return the mistakes, each as an error of its own."""
        return (ConfigError(str(self)), *self.others) if self.others else (self,)

    def in_one_line(self) -> str:
        """Return the first mistake, and how many more there are."""
        if not self.others:
            return str(self)
        more = f"{len(self.others)} more mistake{'s' if len(self.others) > 1 else ''}"
        return f"{self} (and {more}: `soketpy check-config` shows all)"


def guess(written: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ``"; did you mean …?"`` if a known name is close to the written one, else an empty text.

    ``prefix`` is put in front of the name in the question. Neither ``written`` nor ``known`` contain it.
    """
    found = closest(written, known)
    return "" if found is None else f"; did you mean {prefix}{found}?"


def closest(written: str, known: Iterable[str]) -> str | None:
    """Return the known name with all the words of the written one, or else the most similar one, or None."""
    if len(written) > _LONGEST_GUESSED:
        return None
    names = list(known)
    if found := with_all_words(written, names):
        return found
    alike = max(names, key=lambda name: _likeness(written, name), default=None)
    return alike if alike is not None and _likeness(written, alike) >= _ALIKE else None


def _likeness(written: str, name: str) -> float:
    """Return how alike two names are, from 0 to 1. First words that both share are not compared."""
    from difflib import SequenceMatcher  # imported late, because a configuration without mistakes does not need it

    ours, theirs = _WORD.findall(written.lower()), _WORD.findall(name.lower())
    while len(ours) > 1 and len(theirs) > 1 and ours[0] == theirs[0]:
        ours, theirs = ours[1:], theirs[1:]
    return SequenceMatcher(None, "_".join(ours), "_".join(theirs)).ratio()


def with_all_words(written: str, known: Iterable[str]) -> str | None:
    """Return the shortest known name that has all words of the written one and fewer others, such as METRICS_PORT.

    Return None if there is no such name, or if the written name has only one word.
    """
    words = set(_WORD.findall(written.lower()))
    found = [
        name
        for name in known
        if len(words) > 1 and words <= (has := set(_WORD.findall(name.lower()))) and len(has) < 2 * len(words)
    ]
    return min(found, key=len, default=None)


def quote_name(written: str) -> str:
    """Return the name of a setting for an error. A name that may contain a secret is not shown."""
    return quote(written) if may_be_shown(written) else HIDDEN_NAME


def quote(written: str, longest: int = 60) -> str:
    """Return a text for a one-line message: control characters are escaped, and a long text is cut."""
    shown = written if len(written) <= longest else written[:longest] + "…"
    return shown if shown.isprintable() and shown.strip() == shown and shown else repr(shown)
