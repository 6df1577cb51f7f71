"""Progress reports that never delay a job and never make it fail."""

import logging
import threading
from time import monotonic
from types import TracebackType
from typing import Self

from .realtime import FAULTS, PROGRESS, client, reason

INTERVAL = 0.25
"""The time between two reports, in seconds: at most four reports per second."""

REPEAT_AFTER = 5.0
"""The time after which a report is repeated, in seconds: a restarted realtime server has an empty cache."""

LONGEST_WAIT = 2.0
"""The time that the end of a job waits for a report in flight, in seconds."""

log = logging.getLogger(__name__)


class Reporter:
    """Sends the latest progress of a job, from a thread of its own.

    It skips older values. While the realtime server is down, no reports queue up; when it is back, the latest one is
    sent.
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
        """Set the progress of the job. Returns at once."""
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
                log.info("Progress could not be sent: %s", reason(fault))  # the next iteration tries again
            else:
                told, told_at = latest, monotonic()
