"""The state that all connections of one server share."""

from dataclasses import dataclass, field
from typing import Protocol

from soketpy.core.apps import Apps
from soketpy.core.node import Node
from soketpy.web.deadlines import Deadlines
from soketpy.web.http_connections import HttpConnections
from soketpy.web.peers import Peers


class Client(Protocol):
    """A client that can be refused: a connection, or a handshake that waits for other nodes."""

    def refuse(self, code: int, reason: str) -> None:
        """Close the client with this code. Never raises."""


@dataclass(slots=True)
class ServerState:
    """Objects, limits and counters of a server. Timeouts are in seconds, sizes in bytes."""

    node: Node
    apps: Apps
    deadlines: Deadlines
    activity_timeout: float = 120
    pong_timeout: float = 30
    authorization_timeout: float = 30
    message_size: int = 256 * 1024
    unread_size: int = 1024 * 1024
    strict_protocol: bool = False
    port_is_shared: bool = False  # other processes accept the clients that come while this server drains
    draining: bool = False
    closing: int = 0  # WebSockets whose close frame waits for an answer
    entering: dict[object, Client] = field(default_factory=dict)  # handshakes that wait for other nodes, by WebSocket
    http: HttpConnections = field(default_factory=HttpConnections)
    peers: Peers = field(default_factory=Peers)

    def clients(self) -> list[Client]:
        """Return all clients that can be refused."""
        return [*self.entering.values(), *self.node.every_connection()]
