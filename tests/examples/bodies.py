"""Requests without a body or with an incomplete one."""

import socket
from urllib.parse import urlsplit

from tests.clients.programs import PATIENCE


def post_slowly(url: str, **headers: str) -> int:
    """Send a request with only the first byte of its body, and return the status, or 0 without a response.

    The server must close the connection.
    """
    at = urlsplit(url)
    lines = {"Host": at.netloc, "Content-Length": "100", **{name.replace("_", "-"): headers[name] for name in headers}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((at.hostname, at.port), PATIENCE) as connection:
        connection.sendall(f"POST {at.path} HTTP/1.1\r\n{head}\r\n{{".encode())
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    return int(answer.split()[1]) if answer else 0
