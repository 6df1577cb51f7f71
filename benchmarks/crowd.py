"""A crowd of raw clients on one thread: they come all at once, and then read or do not, answer or do not, and leave.

Nothing here waits for a client: whoever uses a crowd lets it take its turns, and looks at what has become of each.
"""

import resource
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable

from soketpy.protocol import frames
from soketpy.protocol.frames import Opcode

NOTHING = b""
"""The opening of a client that connects and never says anything."""

PER_ADDRESS = 10_000
"""Clients from one source address: it has some 28,000 ports."""

_READ = 256 * 1024
_RESET = struct.pack("ii", 1, 0)


def handshake(key: str = "app-key") -> bytes:
    """The opening of a client that wants a WebSocket of an app."""
    return (
        f"GET /app/{key}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(opcode: int, payload: bytes) -> bytes:
    """One frame of a client with a mask of zeros, which leaves the payload as it is."""
    whole = frames.encode(opcode, payload)
    head = whole[: len(whole) - len(payload)]
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:] + bytes(4) + payload


class Client:
    """One client and what has become of it; the times are 0 for what has not come about.

    ``code`` is that of the server's close frame.
    """

    __slots__ = (
        "channels",
        "code",
        "connected",
        "dialled_at",
        "ended_at",
        "greeted_at",
        "name",
        "opening",
        "rest",
        "shaken",
        "socket",
    )

    def __init__(self, opening: bytes, channels: tuple[str, ...]) -> None:
        self.opening = opening
        self.channels = channels
        self.name = channels[0] if channels else ""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.rest = b""
        self.connected = self.shaken = False
        self.dialled_at = time.monotonic()
        self.greeted_at = self.ended_at = 0.0
        self.code = 0

    @property
    def there(self) -> bool:
        """Whether it has been let in, is on all its channels, and the server has not closed it."""
        return bool(self.greeted_at) and not self.channels and not self.code and not self.ended_at


class Crowd:
    """Clients of one port of the loopback address. To be used as a context manager, which ends them all."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._poller = select.epoll()
        self._clients: dict[int, Client] = {}
        self._dialled = 0
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self.drop(list(self._clients.values()))
        self._poller.close()

    def dial(self, count: int, opening: bytes, channels: Iterable[str] = ()) -> list[Client]:
        """Let so many connect at once, who send ``opening`` and, once they are greeted, subscribe to the channels."""
        wanted = tuple(channels)
        clients = [Client(opening, wanted) for _ in range(count)]
        for client in clients:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A reset in the place of a farewell leaves no port in TIME_WAIT.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.socket.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            client.socket.bind((f"127.0.0.{1 + self._dialled // PER_ADDRESS % 200}", 0))
            client.socket.connect_ex(("127.0.0.1", self.port))
            self._dialled += 1
            self._clients[client.socket.fileno()] = client
            self._poller.register(client.socket, select.EPOLLOUT)
        return clients

    def turn(self, seconds: float) -> None:
        """Serve the clients for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for number, _ in self._poller.poll(left):
                if number in self._clients:
                    self._serve(self._clients[number])

    def until(self, done: Callable[[], bool], patience: float) -> bool:
        """Serve the clients until something is true, which is returned, or the patience is at its end."""
        end = time.monotonic() + patience
        while not done() and time.monotonic() < end:
            self.turn(0.02)
        return done()

    def stop_reading(self, client: Client) -> None:
        """Let whatever comes for a client lie."""
        self._poller.unregister(client.socket)

    def read_on(self, client: Client) -> None:
        """Let a client read again, to the end."""
        self._poller.register(client.socket, select.EPOLLIN)

    def drop(self, clients: Iterable[Client]) -> None:
        """Let clients vanish by a reset."""
        for client in clients:
            self._end(client)

    def leave(self, clients: list[Client], patience: float = 10) -> None:
        """Let clients close as RFC 6455 asks them to; return when the server has let them all go."""
        for client in clients:
            self._send(client, masked(Opcode.CLOSE, (1000).to_bytes(2, "big")))
        self.until(lambda: all(client.ended_at for client in clients), patience)

    def _serve(self, client: Client) -> None:
        if not client.connected:
            if client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(client)
                return
            client.connected = True
            self._poller.modify(client.socket, select.EPOLLIN)
            self._send(client, client.opening)
            return
        try:
            data = client.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._hear(client, client.rest + data if client.rest else data)
        else:
            self._end(client)

    def _hear(self, client: Client, data: bytes) -> None:
        """Take all whole frames, and keep what is left."""
        at = 0
        if not client.shaken:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4 or not data.startswith(b"HTTP/1.1 101 "):
                client.rest = data
                return
            client.shaken = True
        while len(data) - at >= 2:
            size, wide = data[at + 1], {126: 2, 127: 8}.get(data[at + 1], 0)
            start = at + 2 + wide
            if wide:
                size = int.from_bytes(data[at + 2 : start], "big")
            if len(data) < start + size:
                break
            self._take(client, data[at] & 15, data[start : start + min(size, 100)])
            at = start + size
        client.rest = data[at:]

    def _take(self, client: Client, opcode: int, start: bytes) -> None:
        """Take one frame, of which the first 100 bytes are enough. Pings are never answered."""
        if opcode == Opcode.CLOSE:
            client.code = int.from_bytes(start[:2], "big")
            self._send(client, masked(Opcode.CLOSE, start[:2]))
        elif opcode == Opcode.TEXT and b"connection_established" in start:
            client.greeted_at = time.monotonic()
            self._send(client, b"".join(map(_subscription, client.channels)))
        elif opcode == Opcode.TEXT and b"subscription_succeeded" in start:
            client.channels = client.channels[1:]

    def _send(self, client: Client, data: bytes) -> None:
        try:
            client.socket.send(data)
        except OSError:
            self._end(client)

    def _end(self, client: Client) -> None:
        if not client.ended_at:
            client.ended_at = time.monotonic()
            del self._clients[client.socket.fileno()]
            client.socket.close()


def _subscription(channel: str) -> bytes:
    return masked(Opcode.TEXT, b'{"event":"pusher:subscribe","data":{"channel":"%s"}}' % channel.encode())
