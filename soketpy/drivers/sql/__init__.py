"""Registries of apps in SQL databases: SQLite, PostgreSQL, and MySQL or MariaDB."""
