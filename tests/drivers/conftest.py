"""Servers for the tests of all queues and registries."""

from collections.abc import Iterator

import pytest

from tests.aws import Moto, moto
from tests.databases import MariaDb, Postgres


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[Moto]:
    """Run moto's server for all tests of this process. Only a test lets time pass for the messages of SQS."""
    with moto("fake") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Run a PostgreSQL for all tests of this process. Each test has databases of its own."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """Run a MariaDB for all tests of this process. Each test has databases of its own."""
    with MariaDb() as server:
        yield server
