"""Reports of progress that never hold a job up, and never make it fail."""

import logging
import threading
from time import monotonic
from types import TracebackType
from typing import Self

from .realtime import FAULTS, PROGRESS, client, reason

INTERVAL = 0.25
"""Seconds between two reports: more than four a second help nobody."""

REPEAT_AFTER = 5.0
"""Seconds after which the same is told again, for a realtime server that was started anew has an empty cache."""

LONGEST_WAIT = 2.0
"""Seconds that the end of a job waits for a report which is on its way."""

log = logging.getLogger(__name__)


class Reporter:
    """Tells how far a job is: the latest that it was given, from a thread of its own.

    What came in between is left out. While the realtime server is away nothing piles up, and the latest goes out once
    it is back.
    """

    def __init__(self, job_id: str) -> None:
        self._channel = PROGRESS + job_id
        self._latest: dict[str, int] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(LONGEST_WAIT)

    def report(self, done: int, total: int) -> None:
        """Say how far the job is. Returns at once."""
        self._latest = {"done": done, "total": total}

    def _tell(self) -> None:
        told, told_at = None, 0.0
        while not self._ended.wait(INTERVAL):
            latest = self._latest
            if latest is None or (latest == told and monotonic() - told_at < REPEAT_AFTER):
                continue
            try:
                client.trigger(self._channel, "progress", latest)
            except FAULTS as fault:
                log.info("Progress could not be told: %s", reason(fault))  # the next turn tries again
            else:
                told, told_at = latest, monotonic()
