"""One worker, as an object of its parent process."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Sequence

from soketpy.config import Settings
from soketpy.process import worker
from soketpy.process.counting import Latest, Totals

log = logging.getLogger("soketpy.workers")

REPORTED_AFTER = 5.0
"""Seconds without an answer after which a worker is reported. A busy worker that works needs a tenth of a second."""


class WorkerProcess:
    """A worker: a process and, after that process has died, its replacement.

    ``listeners`` are the sockets that the worker accepts connections from. If ``advises`` is true, its first process
    warns of settings that Redis should have. If ``announces`` is true, it logs which nodes join, leave and die.
    """

    def __init__(
        self, listeners: Sequence[socket.socket], totals: Totals, *, advises: bool = False, announces: bool = False
    ) -> None:
        self.listeners = listeners
        self.advises = advises
        self.announces = announces
        self.latest = Latest()  # what the process counts
        self._totals = totals
        self.serves = False
        self.proven = False  # true once it has served: a worker that has never served is not restarted
        self.ready = asyncio.Event()  # set when it serves, or when it has ended without serving
        self.retired = asyncio.Event()  # set when it must stop
        self.gone = asyncio.Event()  # set when it has ended and will not be replaced
        self.fault = "a worker ended before it served"
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._answer: asyncio.Future[None] | None = None  # to the request for counters that is in flight
        self.hung = False  # true if the process is killed because it does not answer
        self.silence = 0.0  # seconds for which the answer has been missing, as ``SilenceWatch`` has counted them

    def __str__(self) -> str:
        """Return the name for the log. It has the process id, because the reader may have to find the process."""
        return "A worker" if self._process is None else f"A worker (process {self._process.pid})"

    @property
    def pid(self) -> int | None:
        """Return the process id, or None before the first process has started."""
        return None if self._process is None else self._process.pid

    async def start(self, private_redis: str | None) -> None:
        """Start a process. It serves when it has received its settings. Raise OSError if no process can be started."""
        ours, theirs = socket.socketpair()
        with theirs:
            shared = [listener.fileno() for listener in self.listeners]
            descriptors = (theirs.fileno(), *shared)
            words = [sys.executable, "-m", "soketpy.process.worker", str(theirs.fileno()), ",".join(map(str, shared))]
            if private_redis is not None:
                words.append(private_redis)
            try:
                self._process = await asyncio.create_subprocess_exec(*words, pass_fds=descriptors)
            except OSError:
                ours.close()
                raise
        self.hung = False
        self.latest = self._totals.open()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._receiving = asyncio.create_task(self._receive(reader))
        if self.retired.is_set():
            self._terminate()  # ``stop`` was called while there was no process

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, value = await worker.receive(reader)
                if kind == worker.COUNTED:
                    self._totals.add(self.latest, value)
                    self._finish_count()
                elif kind == worker.FAILED:
                    self.fault = value
                elif kind == worker.LEAVING:
                    self.serves = False
                    self._finish_count()
                else:
                    self.serves = self.proven = True
                    self.ready.set()
                    log.info("%(worker)s serves", {"event": "worker_ready", "worker": self, "pid": self.pid})
        self.serves = False
        self._finish_count()

    def _finish_count(self) -> None:
        answer, self._answer = self._answer, None
        silence, self.silence = self.silence, 0.0
        if answer is not None and not answer.done():
            answer.set_result(None)
        if silence >= REPORTED_AFTER and self.serves:
            log.info(
                "%(worker)s answers again, after %(seconds)d s",
                {"event": "worker_answers", "worker": self, "pid": self.pid, "seconds": silence},
            )

    @property
    def owes_answer(self) -> bool:
        """Return whether a process that serves has not answered the last request for counters."""
        return self._answer is not None and self.serves and not self.retired.is_set()

    def send(self, kind: str, value: object = None) -> None:
        """Send a message to the process, if there is one."""
        if self._writer is not None and not self._writer.is_closing():
            worker.send(self._writer, kind, value)

    def send_settings(self, settings: Settings) -> None:
        """Send settings to the process, if there is one."""
        if self._writer is not None and not self._writer.is_closing():
            worker.send_settings(self._writer, settings)

    async def count(self) -> None:
        """Update the totals. At most one request is in flight: a caller that comes later waits for the same answer."""
        if self.serves and not self.retired.is_set():  # a worker that drains sends its counters once, at its end
            if self._answer is None:
                self._answer = asyncio.get_running_loop().create_future()
                self.send(worker.COUNT)
            await asyncio.shield(self._answer)

    def stop(self, patience: float) -> None:
        """Let the worker drain and end, without a replacement. Kill it if it still runs after ``patience`` seconds."""
        self.retired.set()
        self.send(worker.LEAVE)
        self._terminate()  # a worker reads messages only after its start
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _terminate(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    @property
    def silent(self) -> bool:
        """Return whether the worker has been reported because it does not answer."""
        return self.silence >= REPORTED_AFTER

    def kill_silent(self) -> None:
        """Kill a worker that does not answer. Another one replaces it."""
        log.error(
            "%(worker)s has not answered for %(seconds)d s (timeouts.worker): killing it",
            {"event": "worker_hung", "worker": self, "pid": self.pid, "seconds": self.silence},
        )
        self.serves, self.hung = False, True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            log.error(
                "%(worker)s has not stopped in time: killing it",
                {"event": "worker_killed", "worker": self, "pid": self.pid},
            )
            self._process.kill()

    async def ended(self) -> int:
        """Wait until the process has ended. Return its exit code."""
        assert self._process is not None and self._writer is not None  # noqa: S101, PT018 - ``start`` has returned
        code = await self._process.wait()
        await self._receiving
        self._writer.close()
        self._totals.close(self.latest)
        return code
