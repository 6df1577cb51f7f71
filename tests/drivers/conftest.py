"""Servers for the tests of all queues."""

from collections.abc import Iterator

import pytest

from tests.aws import Moto, moto


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[Moto]:
    """Run moto's server for all tests of this process. Only a test lets time pass for the messages of SQS."""
    with moto("fake") as server:
        yield server
