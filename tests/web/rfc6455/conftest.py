"""Raw connections to a server of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import StartServer
from tests.web.rfc6455.wire import Echo, Exchange, Wire


@pytest.fixture
async def exchange(start_server: StartServer) -> AsyncIterator[Exchange]:
    """Starts a server with the first connection, and ends all connections."""
    exchange = Exchange(start_server)
    yield exchange
    await exchange.hang_up()


@pytest.fixture
async def wire(exchange: Exchange) -> Wire:
    """Return a WebSocket whose greeting has been read."""
    return await exchange.connect()


@pytest.fixture
async def echo(exchange: Exchange) -> Echo:
    """Return a sender, and a receiver to whom its client events go."""
    return await exchange.echo()
