"""The mistakes of one configuration. One reading finds all of them, so that a writer can correct them together."""

from types import TracebackType

from soketpy.config.errors import ConfigError

ANY = "*"
"""In place of a group: a mistake after which nothing is known about any group, such as an unknown variable."""

MOST = 100
"""Most mistakes that are kept, because a file may be of another kind altogether."""


class Problems:
    """The mistakes that were found, in the order of reading, each once.

    ``unsure`` has the groups (the dotted path, "" for the top) in which a value is missing because of a mistake. The
    rules between the settings of such a group are not checked: they would report a consequence of the mistake.
    """

    def __init__(self) -> None:
        self.found: list[ConfigError] = []
        self.unsure: set[str] = set()

    def noted(self, group: str = ANY) -> "Noted":
        """Keep the mistakes that the block raises, and continue after the block."""
        return Noted(self, group)

    def add(self, error: ConfigError) -> None:
        """Keep the mistakes of an error."""
        known = {str(each) for each in self.found}
        self.found += [each for each in error.each() if str(each) not in known][: MOST - len(self.found)]

    def join(self, others: "Problems") -> None:
        """Keep the mistakes of another source too."""
        self.unsure |= others.unsure
        for error in others.found:
            self.add(error)

    def check(self) -> None:
        """Raise ConfigError with all mistakes, if there are any."""
        if self.found:
            raise ConfigError.of_several(self.found)

    def is_sure(self, *groups: str) -> bool:
        """Return whether the values of these groups are known."""
        return ANY not in self.unsure and self.unsure.isdisjoint(groups)


class Noted:
    """The block of ``Problems.noted``. A class is faster than a generator, and large files have thousands of blocks."""

    __slots__ = ("_group", "_problems")

    def __init__(self, problems: Problems, group: str) -> None:
        self._problems = problems
        self._group = group

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        """Keep a ConfigError, and let other exceptions pass."""
        if not isinstance(error, ConfigError):
            return False
        self._problems.unsure.add(self._group)
        self._problems.add(error)
        return True
