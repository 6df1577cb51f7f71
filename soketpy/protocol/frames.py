"""WebSocket frames (RFC 6455, version 13): an encoder for the server's frames and a strict reader for the clients'.

aiohttp's compiled reader is faster, but it accepts frames without a mask, which section 5.1 forbids, and it uses many
times the memory per connection. ``benchmarks/frames.py`` measures both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum


class Opcode(IntEnum):
    """Frame types (RFC 6455, section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Close codes of the WebSocket layer itself (RFC 6455, section 7.4.1)."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011


# 1004, 1005, 1006 and 1015 are never sent in a frame; 3000-4999 are for libraries and applications.
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})

_CONTROL_LIMIT = 125
_CONTINUATION, _TEXT, _CLOSE = int(Opcode.CONTINUATION), int(Opcode.TEXT), int(Opcode.CLOSE)
_KNOWN = frozenset(int(code) for code in Opcode)

# The result of a reader for a frame that does not complete its message.
_UNFINISHED = (_CONTINUATION, b"")


class FrameError(Exception):
    """A violation of RFC 6455 by the client: the connection must be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame of the client. ``code`` is 1005 if the frame has none."""

    code: int
    reason: str


def encode(opcode: int, payload: bytes) -> bytes:
    """Return one complete, unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126, size >> 8, size & 0xFF)) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def encode_close(code: int, reason: str) -> bytes:
    """Return a close frame. The reason is cut to 123 bytes, the most that fit."""
    text = reason.encode()[: _CONTROL_LIMIT - 2].decode("utf-8", "ignore").encode()
    return encode(Opcode.CLOSE, code.to_bytes(2, "big") + text)


def parse_close(payload: bytes) -> Close:
    """Decode the body of a close frame. Raises FrameError for a body that section 5.5.1 or 7.4 forbids."""
    if not payload:
        return Close(CloseCode.NO_STATUS, "")
    if len(payload) == 1:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "A close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if code not in _CLOSE_CODES and not 3000 <= code < 5000:
        raise FrameError(CloseCode.PROTOCOL_ERROR, f"The close code {code} is not one to send")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise FrameError(CloseCode.INVALID_TEXT, "The close reason is not UTF-8") from None


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Return the payload XOR the repeated mask (section 5.3), computed on large integers."""
    size = len(payload)
    key = mask * (size // 4) + mask[: size % 4]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


class FrameReader:
    """Decodes the bytes of one client. Buffers at most one message of ``limit`` bytes and one frame header.

    ``feed`` yields an ``(opcode, payload)`` pair for each frame, in order. TEXT and BINARY are complete and unmasked;
    TEXT is valid UTF-8. CLOSE, PING and PONG are unchanged. A frame that does not complete its message yields an empty
    CONTINUATION, so that the caller can count every frame. After a FrameError, ``feed`` must not be called again.
    """

    __slots__ = ("_buffer", "_kind", "_limit", "_message", "_wanted")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer: bytes | bytearray = b""  # the start of an incomplete frame
        self._wanted = 2  # bytes that the buffer needs before the next attempt
        self._message: bytearray | None = None  # the fragments so far
        self._kind = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Add received bytes and yield the completed frames. Exhaust the iterator before the next call.

        Raises FrameError for a violation, after all earlier messages: the result does not depend on how the network
        splits the bytes.
        """
        if self._buffer:
            if type(self._buffer) is bytes:
                self._buffer = bytearray(self._buffer)
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return
            data = bytes(self._buffer)
        position, end = 0, len(data)
        self._wanted = 2
        while end - position >= 2:
            first, second = data[position], data[position + 1]
            fault = _fault(first, second, self._message is not None)
            if fault is not None:
                raise FrameError(CloseCode.PROTOCOL_ERROR, fault)
            size = second & 0x7F
            start = position + 6
            if size > _CONTROL_LIMIT:
                wide = 2 if size == 126 else 8
                start += wide
                if end < start:
                    self._wanted = start - position
                    break
                size = int.from_bytes(data[position + 2 : position + 2 + wide], "big")
            self._check_size(first, size)
            if end < start + size:
                self._wanted = start + size - position
                break
            position = start + size
            yield self._take(first, unmask(data[start:position], data[start - 4 : start]))
        self._buffer = data[position:]

    def _check_size(self, first: int, size: int) -> None:
        """Raise FrameError for a message over the limit, before its bytes are buffered."""
        if size >> 63:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "The highest bit of a length must be 0")
        held = len(self._message) if self._message is not None else 0
        if held + size > self._limit and first & 0x0F < _CLOSE:
            raise FrameError(CloseCode.TOO_BIG, f"A message may have {self._limit} bytes at most")

    def _take(self, first: int, payload: bytes) -> tuple[int, bytes]:
        """Return the message that a complete frame is or completes, or _UNFINISHED."""
        opcode, last = first & 0x0F, first & 0x80
        if opcode >= _CLOSE:
            return opcode, payload
        if opcode == _CONTINUATION:
            assert self._message is not None  # noqa: S101 - _fault has checked this
            self._message += payload
            if not last:
                return _UNFINISHED
            opcode, payload = self._kind, bytes(self._message)
            self._message = None
        elif not last:
            self._kind = opcode
            self._message = bytearray(payload)
            return _UNFINISHED
        if opcode == _TEXT and not payload.isascii():
            _check_utf8(payload)
        return opcode, payload


def _fault(first: int, second: int, fragmented: bool) -> str | None:
    """Return the rule of sections 5.1 to 5.5 that the first two bytes of a frame break, or None."""
    opcode = first & 0x0F
    if first & 0x70:
        return "Reserved bits are set, but no extension was agreed"
    if opcode not in _KNOWN:
        return f"The opcode {opcode} is reserved"
    if not second & 0x80:
        return "A frame of a client must be masked"
    if opcode >= _CLOSE:
        if not first & 0x80:
            return "A control frame must not be fragmented"
        if second & 0x7F > _CONTROL_LIMIT:
            return "A control frame may have 125 bytes at most"
    elif opcode == _CONTINUATION:
        if not fragmented:
            return "A continuation of no message"
    elif fragmented:
        return "A new message before the last was finished"
    return None


def _check_utf8(payload: bytes) -> None:
    """Raise FrameError if a complete text message is not UTF-8 (section 8.1)."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise FrameError(CloseCode.INVALID_TEXT, "A text message must be UTF-8") from None
