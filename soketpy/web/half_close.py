"""The end of one side of a TCP connection: the server writes nothing more, and still reads."""

import asyncio
from contextlib import suppress


def end_writing(transport: asyncio.Transport) -> None:
    """End the server's side, if the transport can end one side alone. Never raises.

    A client may have reset the connection. asyncio then raises ENOTCONN, and reports the reset in its next iteration.
    """
    if transport.can_write_eof():
        with suppress(OSError):
            transport.write_eof()
