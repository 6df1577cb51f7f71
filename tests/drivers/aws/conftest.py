"""Servers of AWS for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.aws import Functions, functions, moto


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Run moto's server for all tests of this process."""
    with moto() as server:
        yield server.url


@pytest.fixture
async def lambdas() -> AsyncIterator[Functions]:
    """Run a server of Lambda functions."""
    async with functions() as served:
        yield served
