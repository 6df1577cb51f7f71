"""The first version: the apps with soketi's columns and our own, and their further keys."""

import sqlalchemy as sa
from alembic import context, op

from soketpy.drivers.sql.tables import Names

revision = "0001"
down_revision = None

CHANGED = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    id text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('soketpy_apps', TG_ARGV[0]);
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        EXECUTE format('SELECT ($1).%I', TG_ARGV[1]) INTO id USING OLD;
        PERFORM pg_notify('soketpy_apps', TG_ARGV[0] || ' ' || id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE format('SELECT ($1).%I', TG_ARGV[1]) INTO id USING NEW;
        PERFORM pg_notify('soketpy_apps', TG_ARGV[0] || ' ' || id);
    END IF;
    RETURN NULL;
END
$body$
"""


def upgrade() -> None:
    """Create both tables. In MySQL, a table may exist from an attempt that ended early."""
    names = context.config.attributes["names"]
    dialect = op.get_bind().dialect.name
    exact = sa.String(255)
    exact = exact.with_variant(sa.String(255, "utf8mb4_bin"), "mysql", "mariadb")
    exact = exact.with_variant(sa.String(255, "C"), "postgresql")
    op.create_table(
        names.apps,
        sa.Column("id", exact, primary_key=True),
        sa.Column("key", exact, nullable=False, unique=True),
        sa.Column("secret", exact, nullable=False),
        sa.Column("max_connections", sa.Integer),
        sa.Column("enable_client_messages", sa.SmallInteger),
        sa.Column("enabled", sa.SmallInteger),
        sa.Column("max_backend_events_per_sec", sa.Integer),
        sa.Column("max_client_events_per_sec", sa.Integer),
        sa.Column("max_read_req_per_sec", sa.Integer),
        sa.Column("webhooks", sa.JSON),
        sa.Column("max_presence_members_per_channel", sa.Integer),
        sa.Column("max_presence_member_size_in_kb", sa.Double),
        sa.Column("max_channel_name_length", sa.Integer),
        sa.Column("max_event_channels_at_once", sa.Integer),
        sa.Column("max_event_name_length", sa.Integer),
        sa.Column("max_event_payload_in_kb", sa.Double),
        sa.Column("max_event_batch_size", sa.Integer),
        sa.Column("enable_user_authentication", sa.SmallInteger),
        sa.Column("allowed_origins", sa.JSON),
        sa.Column("subscription_count_events", sa.SmallInteger),
        sa.Column("watchlists", sa.SmallInteger),
        sa.Column("numeric_ids", sa.SmallInteger),
        sa.Column("tls_only", sa.SmallInteger),
        sa.Column("close_connections_of_removed_keys", sa.SmallInteger),
        sa.Column("max_connects_per_second", sa.Integer),
        sa.Column("max_total_client_events_per_second", sa.Integer),
        sa.Column("max_total_subscribes_per_second", sa.Integer),
        sa.Column("max_subscribes_per_second", sa.Integer),
        sa.Column("max_subscriptions_per_connection", sa.Integer),
        sa.Column("max_user_id_length", sa.Integer),
        sa.Column("max_watchlist_size", sa.Integer),
        schema=names.schema,
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_table(
        names.keys,
        sa.Column("key", exact, primary_key=True),
        sa.Column("app_id", exact, nullable=False),
        sa.Column("secret", exact, nullable=False),
        sa.Column("ends_at", sa.Double),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["app_id"], [".".join(filter(None, (names.schema, names.apps, "id")))], ondelete="CASCADE"
        ),
        schema=names.schema,
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    if dialect not in ("mysql", "mariadb"):  # MySQL creates this index for the foreign key
        op.create_index(f"{names.keys}_app_id", names.keys, ["app_id"], schema=names.schema)
    if dialect == "postgresql":
        _notify(names)


def _notify(names: Names) -> None:
    """Create the triggers that notify the processes of soketpy of each change, also of a change with plain SQL."""
    quote = op.get_bind().dialect.identifier_preparer.quote
    schema = "" if names.schema is None else f"{quote(names.schema)}."
    function = schema + quote(f"{names.apps}_changed")
    op.execute(CHANGED.format(function=function))
    given = names.apps.replace("'", "''")
    for table, column in ((names.apps, "id"), (names.keys, "app_id")):
        for events, each in (("INSERT OR UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            name = quote(f"{table}_{each.lower()}_changed")
            op.execute(
                f"CREATE TRIGGER {name} AFTER {events} ON {schema}{quote(table)}"
                f" FOR EACH {each} EXECUTE FUNCTION {function}('{given}', '{column}')"
            )
