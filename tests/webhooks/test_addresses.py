"""The addresses that webhooks may not reach if private addresses are blocked."""

import pytest

from soketpy.webhooks.addresses import is_public

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
    "2002:101:101::1",
]

PRIVATE = [
    ("loopback", "127.0.0.1"),
    ("loopback", "127.255.255.254"),
    ("loopback", "::1"),
    ("private", "10.0.0.1"),
    ("private", "172.16.0.1"),
    ("private", "172.31.255.255"),
    ("private", "192.168.1.1"),
    ("unique local", "fc00::1"),
    ("unique local", "fdff::1"),
    ("link-local", "169.254.0.1"),
    ("link-local", "fe80::1"),
    ("link-local with a zone", "fe80::1%eth0"),
    ("global with a zone", "2606:4700:4700::1111%1"),
    ("site-local", "fec0::1"),
    ("multicast", "224.0.0.1"),
    ("multicast", "239.255.255.255"),
    ("multicast", "ff02::1"),
    ("broadcast", "255.255.255.255"),
    ("reserved", "240.0.0.1"),
    ("unspecified", "0.0.0.0"),
    ("unspecified", "0.1.2.3"),
    ("unspecified", "::"),
    ("carrier-grade NAT", "100.64.0.1"),
    ("carrier-grade NAT", "100.127.255.255"),
    ("benchmarks", "198.18.0.1"),
    ("documentation", "192.0.2.1"),
    ("documentation", "198.51.100.1"),
    ("documentation", "203.0.113.1"),
    ("documentation", "2001:db8::1"),
    ("documentation", "3fff::1"),
    ("6to4 relay", "192.88.99.1"),
    ("metadata of AWS, Google and Azure", "169.254.169.254"),
    ("metadata of AWS over IPv6", "fd00:ec2::254"),
    ("metadata of Alibaba", "100.100.100.200"),
    ("metadata of Oracle", "192.0.0.192"),
    ("host agent of Azure", "168.63.129.16"),
    ("IPv4-mapped", "::ffff:127.0.0.1"),
    ("IPv4-mapped", "::ffff:a00:1"),
    ("IPv4-translated", "::ffff:0:10.0.0.1"),
    ("IPv4-compatible", "::127.0.0.1"),
    ("IPv4-compatible", "::1.1.1.1"),
    ("NAT64", "64:ff9b::10.0.0.1"),
    ("NAT64", "64:ff9b::a9fe:a9fe"),
    ("NAT64 of a local network", "64:ff9b:1::1.1.1.1"),
    ("6to4", "2002:7f00:1::1"),
    ("6to4", "2002:a9fe:a9fe::"),
    ("Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ("discard", "100::1"),
    ("segment routing", "5f00::1"),
    ("unassigned", "4000::1"),
    ("decimal", "2130706433"),
    ("hexadecimal", "0x7f.1"),
    ("hexadecimal", "0x7f000001"),
    ("octal", "0177.0.0.1"),
    ("octal, and otherwise public", "01.1.1.1"),
    ("short", "127.1"),
    ("other digits", "١.١.١.١"),
    ("a name", "localhost"),
    ("a space", " 1.1.1.1"),
    ("nothing", ""),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_server_on_the_internet_may_be_reached(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(("kind", "address"), PRIVATE)
def test_a_private_or_special_address_is_blocked(kind: str, address: str) -> None:
    assert not is_public(address)
