"""The environment of the migrations: Alembic runs this module for each upgrade."""

from alembic import context


def run() -> None:
    """Run the migrations in the transaction of the caller."""
    given = context.config.attributes
    names = given["names"]
    context.configure(
        connection=given["connection"],
        version_table=names.version,
        version_table_schema=names.schema,
        transactional_ddl=True,
    )
    context.run_migrations()


if __name__ == "env_py":  # Alembic gives this name to the module
    run()
