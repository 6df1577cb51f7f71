"""The reloads of the configuration, counted for the metrics."""

import time


class Reloads:
    """The number of reloads by result. ``last`` is the Unix time of the last one that was applied, or of the start."""

    def __init__(self) -> None:
        self.applied = self.refused = 0
        self.last = time.time()

    def note(self, *, applied: bool) -> None:
        """Count a reload."""
        if applied:
            self.applied += 1
            self.last = time.time()
        else:
            self.refused += 1
