"""Examples with a server that stops and starts again at the same address."""

from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from tests.clients.programs import Balancer
from tests.examples.apps import Started, StartedModule

Start = Callable[[], Started | StartedModule]


class Restartable:
    """An example behind a fixed port."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._app = start()
        self.network = Balancer(self._port())
        self.url = f"http://127.0.0.1:{self.network.port}"

    def _port(self) -> int:
        port = urlsplit(self._app.url).port
        assert port is not None
        return port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._app.end()
        self.network.__exit__()

    def kill(self) -> None:
        """End it as a crash would."""
        self._app.end(kill=True)

    def start_again(self, start: Start | None = None) -> None:
        """Start the example again, or another program instead."""
        self._app = (start or self._start)()
        self.network.behind = self._port()
