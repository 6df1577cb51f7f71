"""Raw clients on one thread, which can connect all at once, stop reading, stop answering, and leave.

No function waits for a single client. The caller runs the crowd for some time and then reads the state of each client.
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
"""The opening of a client that connects and never sends anything."""

PER_ADDRESS = 10_000
"""The number of clients per source address, which has about 28,000 ports."""

_READ = 256 * 1024
_RESET = struct.pack("ii", 1, 0)


def handshake(key: str = "app-key") -> bytes:
    """Return the opening of a client that asks for a WebSocket of an app."""
    return (
        f"GET /app/{key}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(opcode: int, payload: bytes) -> bytes:
    """Return one frame of a client with a mask of zeros, which does not change the payload."""
    whole = frames.encode(opcode, payload)
    head = whole[: len(whole) - len(payload)]
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:] + bytes(4) + payload


class Client:
    """One client and its state. A time is 0 until its event has happened.

    ``code`` is the code of the server's close frame.
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
    def ready(self) -> bool:
        """True if the client is connected and subscribed to all its channels, and the server has not closed it."""
        return bool(self.greeted_at) and not self.channels and not self.code and not self.ended_at


class Crowd:
    """Clients of one port of the loopback address. As a context manager, it disconnects all of them at the end."""

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
        """Connect ``count`` clients at once. After the greeting, each subscribes to the channels."""
        wanted = tuple(channels)
        clients = [Client(opening, wanted) for _ in range(count)]
        for client in clients:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A reset leaves no port in TIME_WAIT.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.socket.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            client.socket.bind((f"127.0.0.{1 + self._dialled // PER_ADDRESS % 200}", 0))
            client.socket.connect_ex(("127.0.0.1", self.port))
            self._dialled += 1
            self._clients[client.socket.fileno()] = client
            self._poller.register(client.socket, select.EPOLLOUT)
        return clients

    def run(self, seconds: float) -> None:
        """Serve the clients for so many seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for number, _ in self._poller.poll(left):
                if number in self._clients:
                    self._serve(self._clients[number])

    def until(self, done: Callable[[], bool], patience: float) -> bool:
        """Serve the clients until ``done`` is true, for at most ``patience`` seconds. Return the last ``done``."""
        end = time.monotonic() + patience
        while not done() and time.monotonic() < end:
            self.run(0.02)
        return done()

    def stop_reading(self, client: Client) -> None:
        """Stop reading the data of a client."""
        self._poller.unregister(client.socket)

    def read_on(self, client: Client) -> None:
        """Read the data of a client again, to its end."""
        self._poller.register(client.socket, select.EPOLLIN)

    def drop(self, clients: Iterable[Client]) -> None:
        """Disconnect clients with a TCP reset."""
        for client in clients:
            self._end(client)

    def leave(self, clients: list[Client], patience: float = 10) -> None:
        """Close clients as RFC 6455 demands, and return when the server has closed all of them."""
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
        """Read all whole frames, and store the rest."""
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
        """Handle one frame by its first 100 bytes. Never answer a ping."""
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
