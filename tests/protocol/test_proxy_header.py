"""The PROXY header: both versions, in pieces, and malformed."""

import random
import struct
from ipaddress import ip_address

import pytest

from soketpy.protocol.proxy_header import LONGEST_V1, LONGEST_V2, V2, BadProxyHeader, ProxyHeader, parse

LONG = "ffff:" * 7 + "ffff"


def v2(source: str = "203.0.113.9", *, command: int = 0x21, family: int | None = None, more: bytes = b"") -> bytes:
    """A header of version 2 with this source."""
    ip = ip_address(source)
    addresses = ip.packed + ip.packed + struct.pack("!HH", 51234, 6001) + more
    family = (0x11 if ip.version == 4 else 0x21) if family is None else family
    return V2 + bytes([command, family]) + struct.pack("!H", len(addresses)) + addresses


VALID = {
    b"PROXY TCP4 203.0.113.9 10.0.0.1 51234 6001\r\n": "203.0.113.9",
    b"PROXY TCP6 2001:db8::1 ::1 51234 6001\r\n": "2001:db8::1",
    b"PROXY TCP6 ::ffff:203.0.113.9 ::1 0 65535\r\n": "203.0.113.9",
    f"PROXY TCP6 {LONG} {LONG} 65535 65535\r\n".encode(): LONG,
    b"PROXY UNKNOWN\r\n": None,
    f"PROXY UNKNOWN {LONG} {LONG} 65535 65535\r\n".encode(): None,
    v2(): "203.0.113.9",
    v2("2001:db8::1"): "2001:db8::1",
    v2("::ffff:203.0.113.9"): "203.0.113.9",
    v2(more=b"\x04\x00\x03abc" + b"\x20" * 200): "203.0.113.9",
    v2(command=0x20): None,
    v2(family=0): None,
    v2(family=0x31, more=b"\0" * 204): None,
    V2 + b"\x20\0\0\0": None,
}


@pytest.mark.parametrize("header", VALID)
def test_a_header_names_the_client_and_ends_before_the_request(header: bytes) -> None:
    for rest in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 20):
        assert parse(header + rest) == ProxyHeader(VALID[header], len(header))


def extension(kind: int, value: bytes) -> bytes:
    """Return an extension (TLV) of version 2."""
    return bytes([kind]) + struct.pack("!H", len(value)) + value


BY_TLS = b"\x01\0\0\0\0"


@pytest.mark.parametrize(
    ("extensions", "tls"),
    [
        (extension(0x20, BY_TLS), True),
        (extension(0x20, BY_TLS + extension(0x21, b"TLSv1.3")), True),
        (extension(0x04, b"abc") + extension(0x20, b"\x07\0\0\0\0"), True),
        (extension(0x20, b"\x06\0\0\0\0"), False),
        (extension(0x04, extension(0x20, BY_TLS)), False),
        (extension(0x20, b"\x01"), False),
        (extension(0x20, BY_TLS)[:-1], False),
        (b"\x20\xff\xff\x01", False),
        (b"\x20\0", False),
        (b"", False),
    ],
)
def test_an_extension_says_that_the_client_uses_tls(extensions: bytes, tls: bool) -> None:
    for source in ("203.0.113.9", "2001:db8::1"):
        header = v2(source, more=extensions)
        assert parse(header) == ProxyHeader(source, len(header), tls)
    local = v2(command=0x20, more=extensions)
    assert parse(local) == ProxyHeader(None, len(local))


@pytest.mark.parametrize("header", VALID)
def test_every_begin_of_a_header_waits_for_the_rest(header: bytes) -> None:
    for size in range(1, len(header)):
        assert parse(header[:size]) is None


@pytest.mark.parametrize(
    "received",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXX",
        b"proxy TCP4 203.0.113.9 10.0.0.1 51234 6001\r\n",
        b"\r\n\r\n\0\r\nQUIX",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY TCP5 203.0.113.9 10.0.0.1 51234 6001\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 51234\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 51234 6001 1\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 51234 65536\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 -1 6001\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 \xb2 6001\r\n",
        b"PROXY TCP4 203.0.113.300 10.0.0.1 51234 6001\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 51234 6001\r\n",
        b"PROXY TCP6 203.0.113.9 10.0.0.1 51234 6001\r\n",
        b"PROXY TCP6 fe80::1%a\tb ::1 51234 6001\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1  51234 6001\r\n",
        b"PROXY UNKNOWN " + b"x" * LONGEST_V1,
        b"PROXY TCP4 " + b"1" * 10_000,
        v2(command=0x11),
        v2(command=0x22),
        v2(family=0x21),
        V2 + b"\x21\x11\0\x0b" + b"\0" * 11,
        V2 + b"\x21\x11" + struct.pack("!H", LONGEST_V2 - 15),
    ],
)
def test_a_malformed_header_is_refused(received: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        parse(received)


def test_any_bytes_are_a_header_or_refused_or_waited_for() -> None:
    chance = random.Random(15)
    for _ in range(20_000):
        header = bytearray(chance.choice(list(VALID)))
        for _ in range(chance.randrange(4)):
            header[chance.randrange(len(header))] = chance.randrange(256)
        received = bytes(header[: chance.randrange(1, len(header) + 1)])
        try:
            found = parse(received)
        except BadProxyHeader:
            continue
        assert found is None or found.size <= len(received)
        assert found is None or found.client is None or str(ip_address(found.client)) == found.client


def test_a_header_that_never_ends_is_refused_within_its_bounds() -> None:
    assert parse(b"PROXY UNKNOWN" + b" " * (LONGEST_V1 - 14)) is None
    assert parse(V2 + b"\x21\x11" + struct.pack("!H", LONGEST_V2 - 16) + b"\0" * (LONGEST_V2 - 17)) is None
