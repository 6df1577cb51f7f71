"""Programs on ports that must be known before they start: another process may take such a port in between."""

from collections.abc import Callable

from tests.clients.programs import Launched, free_port

ATTEMPTS = 5


def launched(count: int, start: Callable[..., Launched]) -> tuple[Launched, list[int]]:
    """Start a program with this many free ports, and again with others while one of them is already in use."""
    for attempt in range(ATTEMPTS):
        ports = [free_port() for _ in range(count)]
        try:
            return start(*ports), ports
        except AssertionError as fault:
            if "already in use" not in str(fault).lower() or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError
