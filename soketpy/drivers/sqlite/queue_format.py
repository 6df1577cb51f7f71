"""The tables of a queue of webhooks."""

from soketpy.core.webhook_ports import QueueUnavailable
from soketpy.drivers.sqlite.file import Format

_TABLES = (
    # Numbers are never used twice, so the number of a delivery in flight never names another delivery.
    "CREATE TABLE endpoints (id INTEGER PRIMARY KEY, app TEXT NOT NULL, webhook TEXT NOT NULL, target TEXT NOT NULL,"
    " UNIQUE (app, webhook))",
    "CREATE TABLE deliveries (number INTEGER PRIMARY KEY AUTOINCREMENT, endpoint INTEGER NOT NULL, lane TEXT NOT NULL,"
    " due REAL NOT NULL DEFAULT 0, id TEXT NOT NULL, body BLOB NOT NULL, events INTEGER NOT NULL,"
    " created REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '')",
    "CREATE INDEX deliveries_of_lanes ON deliveries (endpoint, lane, number)",
    "CREATE TABLE dead (number INTEGER PRIMARY KEY AUTOINCREMENT, endpoint INTEGER NOT NULL, lane TEXT NOT NULL,"
    " died REAL NOT NULL, reason TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, events INTEGER NOT NULL,"
    " created REAL NOT NULL, attempts INTEGER NOT NULL, error TEXT NOT NULL)",
    "CREATE INDEX dead_of_endpoints ON dead (endpoint, number)",
    "CREATE INDEX dead_by_time ON dead (died)",
    "CREATE TABLE states (state TEXT PRIMARY KEY) WITHOUT ROWID",
)

QUEUE = Format(
    application=0x736F6B65,  # the bytes "soke"
    version=1,
    schema=_TABLES,
    contents="queued webhooks",
    unavailable=QueueUnavailable,
)
