"""The tables of the logs of channels with history, and of the tabs that read them."""

from soketpy.core.ports import HistoryUnavailable
from soketpy.drivers.sqlite.file import Format

_TABLES = (
    # `first` is the serial of the oldest event, `last` that of the newest one, also if it was dropped. `oldest` is the
    # time of the oldest event. `used` orders the logs by their newest event.
    "CREATE TABLE logs (number INTEGER PRIMARY KEY, app TEXT NOT NULL, channel TEXT NOT NULL, epoch TEXT NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL, size INTEGER NOT NULL, oldest INTEGER NOT NULL,"
    " until REAL NOT NULL, used INTEGER NOT NULL)",
    # Texts of clients are blobs, because they may have halves of surrogate pairs, which SQLite does not store as text.
    "CREATE TABLE events (log INTEGER NOT NULL, serial INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    " size INTEGER NOT NULL, exclude TEXT, user BLOB, numeric INTEGER NOT NULL, name BLOB NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY (log, serial)) WITHOUT ROWID",
    "CREATE TABLE keys (number INTEGER PRIMARY KEY, app TEXT NOT NULL, channel TEXT NOT NULL, key TEXT NOT NULL,"
    " until REAL NOT NULL, digest TEXT NOT NULL)",
    "CREATE UNIQUE INDEX keys_by_name ON keys (app, channel, key)",
    "CREATE TABLE tabs (number INTEGER PRIMARY KEY, app TEXT NOT NULL, tab TEXT NOT NULL, owner TEXT NOT NULL,"
    " saved REAL NOT NULL, state BLOB)",
    "CREATE UNIQUE INDEX tabs_by_name ON tabs (app, tab)",
)

LOGS = Format(
    application=0x736F6B68,  # the bytes "sokh"
    version=1,
    schema=_TABLES,
    contents="stored events",
    unavailable=HistoryUnavailable,
)
