"""The second version: a column for the channels with history."""

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column. In MySQL, it may exist from an attempt that ended early."""
    names = context.config.attributes["names"]
    present = sa.inspect(op.get_bind()).get_columns(names.apps, schema=names.schema)
    if not any(each["name"] == "history" for each in present):
        op.add_column(names.apps, sa.Column("history", sa.JSON), schema=names.schema)
