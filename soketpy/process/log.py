"""The log: to standard error, as text for people or as one JSON object a line for machines."""

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType

from soketpy.core.containment import contain
from soketpy.core.log_fields import FIELDS
from soketpy.process.log_output import LineOutput

TEXT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"
TIME = "%Y-%m-%dT%H:%M:%S"

# Control characters but tab and line feed, separators of lines, changes of the direction of text, and surrogates,
# which no encoding can write. Some of them control a terminal, and a client could forge or hide text with others.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class TextFormatter(logging.Formatter):
    """A line for people, in UTC.

    Only the first line of a record is not indented, so that text from a client cannot look like a record.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(TEXT, TIME)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line and the indented traceback of a failure. Unsafe characters are escaped."""
        return _UNSAFE.sub(_escaped, super().format(record).replace("\n", "\n  "))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without a traceback. Line ends in it are escaped."""
        return super().formatMessage(record).replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC, RFC 3339), level, logger, message, the fields of the line, and its failure.

    The ``event`` of a line without fields is ``failure`` with a traceback, and ``other`` without one.
    """

    def __init__(self, pid: int | None = None) -> None:
        """Write ``pid`` in every line. It is the number of a worker, whose lines mix with those of others."""
        super().__init__()
        self._fields = {} if pid is None else {"pid": pid}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
        }
        values = record.args if isinstance(record.args, Mapping) else {}
        line["event"] = "failure" if record.exc_info else "other"
        line |= {name: values[name] for name in FIELDS if values.get(name) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return _UNSAFE.sub(_json_escaped, json.dumps(line, ensure_ascii=False, default=str))


def configure(level: str = "info", format: str = "text", *, pid: int | None = None) -> None:
    """Log records of this level (debug, info, warning or error) and above, as ``text`` or ``json``.

    With ``pid``, the number of a worker, each line of JSON has it.
    """
    output = _output()
    output.setFormatter(JsonFormatter(pid) if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[output], force=True)
    logging.captureWarnings(True)
    if format == "json":
        sys.excepthook = _log_uncaught
    # The records of these libraries may contain signed requests, session tokens, or values of statements.
    for library in (
        "aiobotocore",
        "aiosqlite",
        "alembic",
        "asyncmy",
        "asyncpg",
        "botocore",
        "opentelemetry",
        "sqlalchemy",
        "urllib3",
    ):
        logging.getLogger(library).setLevel(logging.CRITICAL)


def _output() -> logging.Handler:
    """Return the handler for standard error, which has no descriptor if it is closed, or replaced by a test."""
    try:
        sys.stderr.flush()
        return LineOutput(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return logging.StreamHandler(sys.stderr)


def _log_uncaught(kind: type[BaseException], fault: BaseException, traceback: TracebackType | None) -> None:
    """Log the exception that ends the process. Python would print several lines."""
    logging.getLogger("soketpy").critical("The process ends: %s", kind.__name__, exc_info=(kind, fault, traceback))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _json_escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def log_unhandled() -> None:
    """Log what Python would write to standard error itself. Such a write blocks if nobody reads standard error."""
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda found: _contain(found.exc_value, "A fault in %s", found.object)
    threading.excepthook = lambda found: _contain(found.exc_value, "A fault in %s", found.thread)


def _contain(fault: BaseException | None, text: str, place: object) -> None:
    if isinstance(fault, Exception):
        contain(logging.getLogger("soketpy"), fault, text, place)


def quantity(number: int, what: str) -> str:
    """Return a number with its noun: ``1 app``, ``2 apps``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
