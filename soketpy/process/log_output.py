"""The output of the log: writes lines to standard error, and never waits for the program that reads the lines.

A pipe that nobody reads becomes full. A write to a full pipe would stop the whole server, so no write may block. Lines
that cannot be written at once wait in a queue of limited size, and a thread writes them. The thread runs only while
lines wait, because a second thread makes the system calls of the event loop slower.
"""

import logging
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

LARGEST_QUEUE = 1024 * 1024
"""Most bytes of lines that wait. A longer line may wait alone."""

EXIT_PATIENCE = 2.0
"""Seconds that the exit of the process waits for the lines that wait."""

LINGER = 1.0
"""Seconds without a waiting line after which the thread ends."""

DROPPED = "%(count)d log lines are missing here: standard error was full or could not be written"


class LineOutput(logging.Handler):
    """A handler that writes to a file descriptor, from any thread.

    If too many lines wait, new lines are dropped until all waiting lines are written. One line then says how many are
    missing. Lines are also dropped and counted if a write fails, because the reader has ended or the disk is full.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._opened = ExitStack()
        self._write_now = nonblocking(descriptor, self._opened)
        self._changed = threading.Condition()
        self._waiting: deque[tuple[bytes, int]] = deque()  # bytes, and how many lines are missing without these bytes
        self._size = 0  # bytes that wait
        self._dropped = 0  # lines since the last line about dropped lines
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or put it into the queue, or drop it. This never blocks."""
        try:
            line, lines = self._encode(record), 1
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            if self._waiting and (self._dropped or self._size + len(line) > LARGEST_QUEUE):
                self._dropped += 1
                return
            if self._dropped:
                line, lines = self._notice() + line, self._dropped + 1
            try:
                if not self._waiting and self._write_now is not None:
                    line = line[self._write_now(line) :]
            except BlockingIOError:
                pass
            except OSError:
                self._dropped += 1
                return
            self._dropped = 0
            if line:
                self._put(line, lines)

    def flush(self) -> None:
        """Wait until all lines are written, at most ``EXIT_PATIENCE`` seconds. Python calls this at the exit."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, EXIT_PATIENCE)

    def close(self) -> None:
        """Close what was opened besides the descriptor. Lines after this are written by the thread."""
        super().close()
        with self._changed:
            self._write_now = None
            self._opened.close()

    def _encode(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(errors="backslashreplace")

    def _notice(self) -> bytes:
        """Return the line about dropped lines. It is not logged as others are, because its place is in this queue."""
        values = ({"event": "log_lines_dropped", "count": self._dropped},)
        return self._encode(
            logging.getLogger("soketpy").makeRecord("soketpy", logging.WARNING, __file__, 0, DROPPED, values, None)
        )

    def _put(self, line: bytes, lines: int) -> None:
        self._waiting.append((line, lines))
        self._size += len(line)
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_waiting, name="log", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the limit of threads, or the end of the interpreter: the next line tries again
                self._thread = None

    def _write_waiting(self) -> None:
        """Write the lines of the queue. This is the thread."""
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, LINGER):
                    self._thread = None
                    return
                line, _ = self._waiting[0]
            written: int | None = None
            with suppress(OSError):
                written = _write_patiently(self._descriptor, line)
            with self._changed:
                self._note(written)

    def _note(self, written: int | None) -> None:
        """Remove the bytes that are written from the queue. After a fault (None), drop all of it."""
        if written is None:
            self._dropped += sum(lines for _, lines in self._waiting)
            self._waiting.clear()
            self._size = 0
        else:
            line, lines = self._waiting.popleft()
            if rest := line[written:]:
                self._waiting.appendleft((rest, lines))
            self._size -= written
            if not self._waiting and self._dropped:
                notice, lines = self._notice(), self._dropped
                self._dropped = 0
                self._put(notice, lines)
        self._changed.notify_all()


def nonblocking(descriptor: int, opened: ExitStack) -> Callable[[bytes], int] | None:
    """Return a function that writes as many bytes as possible now and returns their number, or None.

    The function raises BlockingIOError if no byte can be written. The flag O_NONBLOCK of the descriptor does not
    change, because other processes share the descriptor. A pipe or terminal is opened a second time, which needs Linux
    and the right to write to it. Writes to files and other devices do not wait for a reader. ``opened`` closes what
    is opened.
    """
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(kind):
        import socket  # imported late, because few servers need it, and commands that import this module do not

        connected = opened.enter_context(socket.socket(fileno=os.dup(descriptor)))
        return lambda data: connected.send(data, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(kind) or os.isatty(descriptor):
        try:
            again = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return None
        opened.callback(os.close, again)
        return partial(os.write, again)
    return partial(os.write, descriptor)


def _write_patiently(descriptor: int, data: bytes) -> int:
    """Write some bytes, however long it takes. Return their number."""
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:  # another process has set O_NONBLOCK
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
