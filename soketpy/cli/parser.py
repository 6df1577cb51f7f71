"""The parser of the command line: errors of one line, with the name that the caller probably meant."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

REQUIRED = "the following arguments are required"
"""The start of argparse's error about arguments that are missing."""


class Parser(argparse.ArgumentParser):
    """A parser with errors of one line, and with examples that keep their line breaks."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self.set_defaults(parser=self)  # the parser of the innermost command, for its errors
        self._given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and remember the words for the errors."""
        self._given = () if args is None else tuple(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print a mistake in the call, and end with exit code 2.

        If arguments are missing because an option is unknown, such as ``trigger --hots a b``, name the option.
        """
        if message.startswith(REQUIRED):
            unknown = [word for word in self._given if word.startswith("--") and not self._knows(word)]
            message = self._about(unknown[:1]) if unknown else message
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)\n")

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Print the arguments that no command takes, and end with exit code 2."""
        self.error(self._about(unknown))

    def _about(self, unknown: Sequence[str]) -> str:
        """Return the message about unknown arguments, with a guess for the first option."""
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        return f"unrecognized arguments: {' '.join(unknown)}{_guess(options[0], self._long()) if options else ''}"

    def _long(self) -> list[str]:
        """Return the options that begin with two dashes."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]

    def _knows(self, word: str) -> bool:
        return word == "--" or word.partition("=")[0] in self._long()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an unknown command, with the commands as a list only if none is similar."""
        if isinstance(action.choices, dict) and value not in action.choices:
            what = _guess(str(value), action.choices) or f"; the commands are {', '.join(action.choices)}"
            self.error(f"there is no command {_quoted(str(value))}{what}")
        super()._check_value(action, value)


def _guess(written: str, known: Iterable[str]) -> str:
    """Return a question such as "; did you mean --port?", or an empty text."""
    from soketpy.config.errors import closest

    names = {name.lstrip("-"): name for name in known}
    found = closest(written.lstrip("-"), names)
    return "" if found is None else f"; did you mean {names[found]}?"


def _quoted(text: str) -> str:
    from soketpy.config.errors import quote

    return repr(text) if quote(text) == text else quote(text)
