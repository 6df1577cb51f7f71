"""The client of a request behind proxies: only what a trusted proxy has written counts."""

import pytest

from soketpy.protocol.forwarded import (
    LONGEST,
    MOST_HOPS,
    UNIX_PEER,
    Hop,
    Networks,
    Sender,
    client_of,
    forwarded,
    network_problem,
    x_forwarded,
)

TRUSTED = Networks(["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8"])


def x(value: str, scheme: str = "") -> list[Hop]:
    """The senders of a request with these values of X-Forwarded-For and X-Forwarded-Proto."""
    return x_forwarded({"x-forwarded-for": value, "x-forwarded-proto": scheme})


@pytest.mark.parametrize(
    ("peer", "value", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.7, 10.0.0.8", "10.0.0.7"),
        # What the client wrote itself is on the left.
        ("10.0.0.1", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, not an address, 203.0.113.9", "203.0.113.9"),
        # The peer is no proxy.
        ("203.0.113.5", "6.6.6.6", "203.0.113.5"),
        ("203.0.113.5", "6.6.6.6, 10.0.0.1", "203.0.113.5"),
        ("an unknown address", "6.6.6.6", "an unknown address"),
        (UNIX_PEER, "6.6.6.6", UNIX_PEER),
        # The proxy names no address.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, unknown", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6,", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, ,10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", "6.6.6.6\n, 300.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "fe80::1%eth0", "10.0.0.1"),
        ("10.0.0.1", "01.02.03.04", "10.0.0.1"),
        # Forms of addresses.
        ("10.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:51234", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, ::ffff:10.0.0.7", "203.0.113.9"),
        ("::1", "2001:db8::1, fd00::5", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_is_no_proxy(peer: str, value: str, client: str) -> None:
    assert client_of(peer, x(value), TRUSTED).address == client


@pytest.mark.parametrize(
    ("value", "schemes", "scheme"),
    [
        ("203.0.113.9", "https", "https"),
        ("203.0.113.9", "HTTPS", "https"),
        ("203.0.113.9, 10.0.0.7", "https, http", "https"),
        ("6.6.6.6, 203.0.113.9", "https, http", "http"),
        ("203.0.113.9, 10.0.0.7", "https", "https"),
        # The client has added a scheme, and no address: the nearest proxy wrote the last one.
        ("203.0.113.9", "https, http", "http"),
        ("203.0.113.9", "", None),
        ("", "https", "https"),
        ("", "https, http", "http"),
    ],
)
def test_the_scheme_is_what_the_proxy_says_about_the_client(value: str, schemes: str, scheme: str | None) -> None:
    assert client_of("10.0.0.1", x(value, schemes), TRUSTED).scheme == scheme
    assert client_of("203.0.113.5", x(value, schemes), TRUSTED).scheme is None


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.9", Sender("203.0.113.9")),
        ("For=203.0.113.9;Proto=HTTPS;by=10.0.0.1", Sender("203.0.113.9", "https")),
        ('for="203.0.113.9:4711" ; proto=http', Sender("203.0.113.9", "http")),
        ('for="[2001:db8:cafe::17]:4711";proto=https', Sender("2001:db8:cafe::17", "https")),
        ('for="[2001:db8:cafe::17]", for=10.0.0.7', Sender("2001:db8:cafe::17")),
        ("for=203.0.113.9;proto=https, for=10.0.0.7;proto=http", Sender("203.0.113.9", "https")),
        ("for=6.6.6.6;proto=https, for=203.0.113.9;proto=http", Sender("203.0.113.9", "http")),
        ('for="203.0.113.\\9"', Sender("203.0.113.9")),
        ("for=unknown;proto=https", Sender("10.0.0.1", "https")),
        ("for=6.6.6.6, for=_hidden", Sender("10.0.0.1")),
        ('for="_hidden:_port"', Sender("10.0.0.1")),
        ("proto=https", Sender("10.0.0.1", "https")),
        # The client cannot swallow what the proxy appends.
        ('for="6.6.6.6, for=203.0.113.9', Sender("203.0.113.9")),
        ('for=6.6.6.6;x="\\, for=203.0.113.9', Sender("203.0.113.9")),
        ("garbage, for=203.0.113.9", Sender("203.0.113.9")),
        ("garbage, for=10.0.0.7", Sender("10.0.0.7")),
        # A comma in a quoted string does not separate.
        ('for=203.0.113.9;ext="a, for=6.6.6.6;b=c"', Sender("203.0.113.9")),
        ("", Sender("10.0.0.1")),
        ("   ", Sender("10.0.0.1")),
        ("for=203.0.113.9,", Sender("10.0.0.1")),
        ("for=", Sender("10.0.0.1")),
        ("for=6.6.6.6 proto=https", Sender("10.0.0.1")),
    ],
)
def test_the_standard_header_names_the_client(value: str, client: Sender) -> None:
    assert client_of("10.0.0.1", forwarded({"forwarded": value}), TRUSTED) == client


def test_each_header_is_ignored_by_the_reader_of_the_other() -> None:
    assert forwarded({"x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https"}) == []
    assert client_of("10.0.0.1", x_forwarded({"forwarded": "for=6.6.6.6;proto=https"}), TRUSTED) == Sender("10.0.0.1")


@pytest.mark.parametrize(
    "begin", ["1.2.3.4, ", 'for="[2001:db8::1]",', "for=1.2.3.4;a=b, ", ',a=",a="', '"', ",", "\\"]
)
def test_a_header_of_16_kib_is_read_from_its_end_only(begin: str) -> None:
    filled = begin * (16_384 // len(begin))
    assert len(filled) > LONGEST
    for hops in (x(filled + ", 203.0.113.9"), forwarded({"forwarded": filled + ", for=203.0.113.9"})):
        assert len(hops) <= MOST_HOPS
        assert hops[-1].address == "203.0.113.9"


def test_the_peers_of_a_unix_socket_are_trusted_by_their_own_word() -> None:
    networks = Networks(["unix"])
    assert networks
    assert client_of(UNIX_PEER, x("203.0.113.9"), networks).address == "203.0.113.9"
    assert client_of("10.0.0.1", x("203.0.113.9"), networks).address == "10.0.0.1"
    assert not Networks()
    assert not Networks(["0.0.0.0/0", "::/0"]).has(UNIX_PEER)


def test_many_addresses_are_answered_and_not_all_remembered() -> None:
    networks = Networks(["10.0.0.0/8"])
    for number in range(1000):
        assert networks.has(f"10.0.{number // 256}.{number % 256}")
        assert not networks.has(f"11.0.{number // 256}.{number % 256}")
    assert len(networks._known) <= MOST_HOPS


@pytest.mark.parametrize("text", ["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8", "unix", "0.0.0.0/0", "FD00::0/8"])
def test_a_network_is_valid(text: str) -> None:
    assert network_problem(text) is None
    Networks([text])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("proxy.example.com", "is not a network such as 10.0.0.0/8, an address or unix"),
        ("10.0.0.0/33", "is not a network such as 10.0.0.0/8, an address or unix"),
        ("10.0.0.1:80", "is not a network such as 10.0.0.0/8, an address or unix"),
        ("", "is not a network such as 10.0.0.0/8, an address or unix"),
        ("fe80::1%eth0", "has the scope of a link: leave out %eth0"),
        ("10.0.0.1/8", "has bits after its prefix: write 10.0.0.0/8"),
        ("fd00::1/8", "has bits after its prefix: write fd00::/8"),
        ("::ffff:10.0.0.0/104", "is an IPv4 network in the form of IPv6: write it as IPv4"),
    ],
)
def test_a_network_is_refused_with_what_to_write(text: str, problem: str) -> None:
    assert network_problem(text) == problem
