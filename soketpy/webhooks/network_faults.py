"""The faults of HTTP requests in words: short, and without URLs, whose queries may have secrets."""

import os
import ssl

import aiohttp

LONGEST = 200
"""Characters of an error, at most."""


class BlockedAddress(OSError):
    """The address of a receiver is private, and private addresses are blocked."""

    def __init__(self) -> None:
        super().__init__("the address is private or special, and blocked: see webhooks.private_addresses")


def describe(fault: Exception) -> str:
    """Return a fault of a request in words. No text comes from the receiver or from the URL, except names of hosts."""
    return _words(fault)[:LONGEST]


def is_blocked(fault: Exception) -> bool:
    """Return whether the address of the receiver is private, and private addresses are blocked."""
    return isinstance(fault, aiohttp.ClientConnectorError) and isinstance(fault.os_error, BlockedAddress)


def _words(fault: Exception) -> str:
    match fault:
        case aiohttp.ClientConnectorDNSError():
            return "the name of the host cannot be resolved"
        case aiohttp.ClientConnectorCertificateError(certificate_error=error):
            return f"the TLS certificate is refused: {getattr(error, 'verify_message', '') or _reason(error)}"
        case aiohttp.ClientConnectorSSLError():
            return f"the TLS handshake failed: {_reason(fault.os_error)}"
        case aiohttp.ClientConnectorError():
            return str(fault.os_error) if is_blocked(fault) else f"cannot connect: {_reason(fault.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer"
        case aiohttp.ClientOSError() | OSError():
            return f"the connection was lost: {_reason(fault)}"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP, or its headers are too long"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "the URL is not valid"
    return f"the request failed: {type(fault).__name__}"


def _reason(fault: BaseException) -> str:
    """Return the reason of a fault of the system or of OpenSSL."""
    if isinstance(fault, ssl.SSLError):
        return str(fault.reason or "").replace("_", " ").lower() or "closed by the receiver"
    number = getattr(fault, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else type(fault).__name__
