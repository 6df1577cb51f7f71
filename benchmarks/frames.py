"""FrameReader compared with aiohttp's compiled WebSocketReader: CPU per frame, and memory per connection.

Run it on an idle machine: ``python benchmarks/frames.py``. Each figure is the best of five rounds. Both readers get one
whole masked text frame at a time, and the messages are dropped. The memory of aiohttp's reader includes its queue,
because the reader does not work without it.
"""

import asyncio
import time
import tracemalloc
from collections.abc import Callable

from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol

from soketpy.protocol import frames
from soketpy.protocol.frames import FrameReader, Opcode

SIZES = (30, 120, 1_000, 10_000, 60_000, 250_000)
LIMIT = 256 * 1024
ROUNDS = 5
BYTES_A_ROUND = 20_000_000
MOST_FRAMES = 50_000
CONNECTIONS = 1_000
MASK = b"\x37\xfa\x21\x3d"

Feed = Callable[[bytes], object]


def client_frame(payload: bytes) -> bytes:
    """Return one masked text frame, as a client sends it."""
    whole = frames.encode(Opcode.TEXT, payload)
    head = whole[: len(whole) - len(payload)]
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:] + MASK + frames.unmask(payload, MASK)


def ours() -> Feed:
    """Return a function that feeds our reader, as the server does."""
    reader = FrameReader(LIMIT)

    def feed(data: bytes) -> None:
        for _ in reader.feed(data):
            pass

    return feed


class Sink(WebSocketDataQueue):
    """A queue that drops all messages."""

    def feed_data(self, data: object, size: int = 0) -> None:
        """Drop a message."""


def theirs() -> Feed:
    """Return a function that feeds aiohttp's reader."""
    loop = asyncio.get_running_loop()
    reader = WebSocketReader(Sink(BaseProtocol(loop), 1 << 16, loop=loop), LIMIT, False, False)
    return reader.feed_data


def seconds_a_frame(make: Callable[[], Feed], size: int) -> float:
    """Return the CPU seconds per frame with a payload of ``size`` bytes."""
    data, count = client_frame(b"x" * size), min(MOST_FRAMES, BYTES_A_ROUND // size)
    best = float("inf")
    for _ in range(ROUNDS):
        feed = make()
        start = time.process_time()
        for _ in range(count):
            feed(data)
        best = min(best, (time.process_time() - start) / count)
    return best


def bytes_a_connection(make: Callable[[], object]) -> float:
    """Return the memory per idle reader, in bytes."""
    kept = [make()]
    tracemalloc.start()
    kept += [make() for _ in range(CONNECTIONS)]
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / CONNECTIONS


async def main() -> None:
    """Print the table."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)

    def reader_and_queue() -> object:
        queue = WebSocketDataQueue(protocol, 1 << 16, loop=loop)
        return queue, WebSocketReader(queue, LIMIT, False, False)

    print(f"{'':>22}{'FrameReader':>14}{'aiohttp':>14}   ({WebSocketReader.__module__})")
    for size in SIZES:
        mine, other = seconds_a_frame(ours, size) * 1e6, seconds_a_frame(theirs, size) * 1e6
        print(f"{size:>9} bytes a frame{mine:>11.2f} µs{other:>11.2f} µs")
    mine, other = bytes_a_connection(lambda: FrameReader(LIMIT)), bytes_a_connection(reader_and_queue)
    print(f"{'memory per connection':>22}{mine:>12.0f} B{other:>12.0f} B")


if __name__ == "__main__":
    asyncio.run(main())
