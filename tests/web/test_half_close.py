"""The server ends its side of a connection that the client has reset."""

import asyncio
import socket
import struct

from soketpy.web.half_close import end_writing
from tests.patience import PATIENCE


async def test_ending_a_connection_that_the_client_has_reset_raises_nothing() -> None:
    returned, ended = asyncio.Event(), asyncio.Event()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            end_writing(transport)
            returned.set()  # an exception would end in the log of asyncio

        def connection_lost(self, fault: Exception | None) -> None:
            ended.set()

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    async with server:
        client = socket.create_connection(server.sockets[0].getsockname())
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
    assert returned.is_set()
