"""The one error of the configuration, and the guess at what was meant."""

from collections.abc import Iterable

_LONGEST_GUESSED = 80


class ConfigError(ValueError):
    """A configuration that is not understood. Its text is one line: the place, the setting and what is wrong there."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def guess(written: str, known: Iterable[str]) -> str:
    """``"; did you mean …?"`` where one of the known names is close to what was written, else nothing."""
    from difflib import get_close_matches  # here, since no configuration without a mistake needs it

    if len(written) > _LONGEST_GUESSED:
        return ""
    by_plain: dict[str, str] = {}
    for name in known:
        by_plain.setdefault(name.lower(), name)
    close = get_close_matches(written.lower(), list(by_plain), n=1, cutoff=0.6)
    return f"; did you mean {by_plain[close[0]]}?" if close else ""


def quote(written: str, longest: int = 60) -> str:
    """A text as it can stand in a one-line message: its control characters escaped, its length bounded."""
    shown = written if len(written) <= longest else written[:longest] + "…"
    return shown if shown.isprintable() and shown.strip() == shown and shown else repr(shown)
