"""Pages in Chromium, which tests use like a person: by the roles and names of the elements."""

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.clients.javascript import Script

DESKTOP = (1100, 760)
PHONE = (390, 780)


class Page:
    """One tab. Its methods find elements by ARIA role and accessible name, as a screen reader does.

    A name that ends in "…" matches every name with this beginning.
    """

    def __init__(self, script: Script, name: str, url: str, size: tuple[int, int], dark: bool) -> None:
        self._script = script
        self._name = name
        self._closed = False
        self._ask("open", url=url, width=size[0], height=size[1], dark=dark)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, operation: str, **args: object) -> Any:
        return self._script.ask(operation, {"page": self._name, **args})

    def text_before(self, id: str) -> str:
        """Return the text that CSS shows before the content of an element, for example in an empty list."""
        text: str = self.evaluate(f"getComputedStyle(document.getElementById('{id}'), '::before').content")
        return "" if text == "none" else text.strip('"')

    def click(self, role: str, name: str) -> None:
        """Wait for an element and click it."""
        self._ask("click", role=role, name=name)

    def fill(self, role: str, name: str, text: str) -> None:
        """Put a text into a field."""
        self._ask("fill", role=role, name=name, text=text)

    def type(self, role: str, name: str, text: str) -> None:
        """Type a text into a field, key by key."""
        self._ask("type", role=role, name=name, text=text)

    def move(self, x: float, y: float) -> None:
        """Move the mouse to a position in pixels from the upper left corner."""
        self._ask("move", x=x, y=y)

    def press(self, key: str) -> None:
        """Press a key."""
        self._ask("press", key=key)

    def see(self, role: str, name: str, text: str) -> None:
        """Wait until an element shows a text."""
        self._ask("see", role=role, name=name, text=text)

    def miss(self, role: str, name: str, text: str) -> None:
        """Wait until an element does not show a text any more."""
        self._ask("miss", role=role, name=name, text=text)

    def count(self, role: str, name: str, text: str) -> int:
        """Return the number of times that an element shows a text now."""
        found: int = self._ask("count", role=role, name=name, text=text)
        return found

    def value(self, role: str, name: str) -> str:
        """Return the current text of a field."""
        value: str = self._ask("value", role=role, name=name)
        return value

    def hold(self, role: str, name: str, text: str) -> None:
        """Wait until a field has a text."""
        self._ask("hold", role=role, name=name, text=text)

    def until(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        self._ask("until", script=script)

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self._ask("evaluate", script=script)

    def contrasts(self) -> dict[str, float]:
        """Return the contrast of each visible text with its background."""
        found: dict[str, float] = self._ask("contrasts")
        return found

    def screenshot(self, path: Path) -> None:
        """Write a PNG of the visible page."""
        self._ask("screenshot", path=str(path))

    def close(self) -> None:
        """Close the tab. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._ask("close")


class Browser:
    """Chromium with an empty profile."""

    def __init__(self, executable: str, profile: Path) -> None:
        self._script = Script("pages.mjs", executable, str(profile))
        self._names = map(str, itertools.count())

    def open(self, url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
        """Open a new tab."""
        return Page(self._script, next(self._names), url, size, dark)

    def end(self) -> None:
        """Close the browser."""
        with suppress(BrokenPipeError):
            self._script.end()
