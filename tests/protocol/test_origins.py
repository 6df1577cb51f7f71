"""Origins and the patterns that match them, and patterns that no origin can match."""

import pickle

import pytest

from soketpy.protocol.origins import BadOrigin, Origins, origin_problem

SEVERAL = "it is more than one origin: write a list with each of them in an item of its own"
MATCHES: list[tuple[str, list[str | None], list[str | None]]] = [
    # pattern, origins that match, origins that do not
    ("*", ["https://example.com", "null", "", None], []),
    # whole origins, in any spelling that means the same
    (
        "https://example.com",
        ["https://example.com", "HTTPS://Example.com", "https://example.com:443"],
        [
            "http://example.com",
            "https://example.com:8443",
            "https://example.com.evil.example",
            "https://www.example.com",
            "https://example.com/path",
            "https://user@example.com",
            "https://example.com:443443",
            "example.com",
            "null",
            "",
            None,
        ],
    ),
    ("https://example.com/", ["https://example.com"], ["http://example.com"]),
    ("https://eXample.COM:443/", ["https://example.com"], ["https://example.com:8443", "http://example.com"]),
    ("http://example.com:80", ["http://example.com"], ["https://example.com", "http://example.com:8080"]),
    ("http://example.com:443", ["http://example.com:443"], ["http://example.com", "https://example.com"]),
    ("https://example.com:08443", ["https://example.com:8443"], ["https://example.com"]),
    ("http://example.com.", ["http://example.com."], ["http://example.com"]),
    ("http://my_host:8080", ["http://my_host:8080"], ["http://my_host"]),
    # a host without a scheme
    ("example.com", ["https://example.com", "http://example.com:3000"], ["https://www.example.com", "null", None]),
    ("example.com", ["capacitor://example.com"], ["https://notexample.com", "https://[", "example.com"]),
    ("localhost:3000", ["http://localhost:3000", "https://localhost:3000"], ["http://localhost", "http://a:3000"]),
    ("LocalHost:*", ["http://localhost:3000", "https://localhost"], ["http://localhost.evil.example"]),
    ("example.com:443", ["https://example.com", "http://example.com:443"], ["http://example.com"]),
    ("example.com:80", ["http://example.com"], ["https://example.com"]),
    ("data:3000", ["http://data:3000"], ["http://data"]),
    # any port
    ("http://localhost:*", ["http://localhost", "http://localhost:3000"], ["https://localhost:3000", "http://a:3000"]),
    # every host under a domain
    (
        "*.example.com",
        ["https://a.example.com", "https://a.b.example.com:3000"],
        ["https://example.com", "https://notexample.com", "https://example.com.evil.example", "https://.example.com"],
    ),
    ("*.example.com:8443", ["https://a.example.com:8443"], ["https://a.example.com"]),
    (
        "https://*.example.com",
        ["https://a.example.com", "https://a.example.com:8443"],
        ["http://a.example.com", "https://example.com"],
    ),
    (
        "https://*.example.com:8443",
        ["https://a.example.com:8443"],
        ["https://a.example.com", "https://example.com:8443", "http://a.example.com:8443"],
    ),
    ("https://*.example.com:443", ["https://a.example.com"], ["https://a.example.com:8443"]),
    ("https://*.example.com:*", ["https://a.example.com:8443"], ["http://a.example.com"]),
    # every host
    ("https://*", ["https://a", "https://b:8443"], ["http://a", "null", None]),
    ("*:3000", ["http://a:3000", "https://b.c:3000"], ["http://a"]),
    # the opaque origin
    ("null", ["null"], ["https://null", "https://example.com", "", None]),
    ("NULL", ["null"], ["https://null"]),
    # addresses
    ("http://127.0.0.1:3000", ["http://127.0.0.1:3000"], ["http://127.0.0.1"]),
    ("127.0.0.1", ["http://127.0.0.1:3000"], ["http://127.0.0.11"]),
    ("http://[::1]:3000", ["http://[::1]:3000"], ["http://[::1]", "http://[::2]:3000"]),
    ("http://[0:0:0:0:0:0:0:1]", ["http://[::1]"], ["https://[::1]"]),
    ("http://[::FFFF:1.2.3.4]", ["http://[::ffff:102:304]"], ["http://1.2.3.4"]),
    ("[2001:DB8::1]", ["https://[2001:db8::1]:8443"], ["https://[2001:db8::2]"]),
    ("[::1]:3000", ["http://[::1]:3000"], ["http://[::1]"]),
    ("::1", ["http://[::1]:3000"], ["http://[::2]", "http://[::1", "http://[1]"]),
    # internationalized hosts, which browsers send in punycode
    ("https://bücher.example", ["https://xn--bcher-kva.example"], ["https://bucher.example"]),
    ("https://BÜCHER.example:8443", ["https://xn--bcher-kva.example:8443"], ["https://xn--bcher-kva.example"]),
    ("faß.de", ["https://xn--fa-hia.de"], ["https://fass.de"]),
    ("https://💩.example", ["https://xn--ls8h.example"], []),
    ("https://例え。テスト", ["https://xn--r8jz45g.xn--zckzah"], []),
    ("*.bücher.example", ["https://a.xn--bcher-kva.example"], ["https://xn--bcher-kva.example"]),
    ("https://xn--bcher-kva.example", ["https://xn--bcher-kva.example"], []),
    # other schemes
    ("capacitor://localhost", ["capacitor://localhost"], ["http://localhost"]),
    ("chrome-extension://abcdef", ["chrome-extension://abcdef"], ["https://abcdef"]),
    ("app://.", ["app://."], ["app://a"]),
    ("file://", ["file://"], ["file://a", "null"]),
]


@pytest.mark.parametrize(("pattern", "matching", "others"), MATCHES, ids=[str(row[0]) for row in MATCHES])
def test_an_origin_matches_a_pattern_or_not(pattern: str, matching: list[str | None], others: list[str | None]) -> None:
    assert origin_problem(pattern) is None
    origins = Origins((pattern,))
    assert [origin for origin in matching if not origins.match(origin)] == []
    assert [origin for origin in others if origins.match(origin)] == []


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("https//typo", "write https:// in front of the host"),
        ("https:/example.com", "write https:// in front of the host"),
        ("http:localhost", "write http:// in front of the host"),
        ("https", "write https:// in front of the host"),
        ("https://", "there is no host in it"),
        ("https://example.com/chat", "an origin has no path: leave out / and what belongs to it"),
        ("https://example.com//", "an origin has no path: leave out / and what belongs to it"),
        ("example.com/", "an origin has no path: leave out / and what belongs to it"),
        ("https://example.com?a", "an origin has no query: leave out ? and what belongs to it"),
        ("https://example.com#a", "an origin has no fragment: leave out # and what belongs to it"),
        ("https://me@example.com", "an origin has no user name: leave out @ and what belongs to it"),
        ("wss://example.com", "the origin is that of the page: write https:// instead of wss://"),
        ("ws://example.com", "the origin is that of the page: write http:// instead of ws://"),
        ("htps://example.com", "the scheme is misspelt: write https:// instead of htps://"),
        ("htpp://localhost:3000", "the scheme is misspelt: write http:// instead of htpp://"),
        ("HTTSP://example.com", "the scheme is misspelt: write https:// instead of httsp://"),
        ("*://example.com", "the part in front of :// is not a scheme such as https; leave it out for any scheme"),
        ("https://example.com ", "an origin has no spaces"),
        ("https://a.example, https://b.example", SEVERAL),
        ("https://a.example,https://b.example", SEVERAL),
        ("https://a.example, b.example", SEVERAL),
        ("a.example,b.example", SEVERAL),
        ("https://a.example https://b.example", "an origin has no spaces"),
        ("data:", 'the origin of a page of data: is written "null"'),
        ("data:text/html,a", SEVERAL),
        ("blob:a", 'the origin of a page of blob: is written "null"'),
        ("about:blank", 'the origin of a page of about: is written "null"'),
        ("file:", "the origin of a page of file: is written file://"),
        ("file:/a", "the origin of a page of file: is written file://"),
        ("https://a..b", "the host is not a host name"),
        ("https://a%2eb", "the host is not a host name"),
        ("example.com:", "the port must be * or a number from 1 to 65535"),
        ("example.com:0", "the port must be * or a number from 1 to 65535"),
        ("example.com:65536", "the port must be * or a number from 1 to 65535"),
        ("example.com:http", "the port must be * or a number from 1 to 65535"),
        ("https://example.com:٣", "the port must be * or a number from 1 to 65535"),
        ("*.127.0.0.1", "an address has no subdomains"),
        ("127.1", "the host is not an IPv4 address of four numbers"),
        ("http://1.2.3.256", "the host is not an IPv4 address of four numbers"),
        ("http://[::1", "an IPv6 address ends with ]"),
        ("http://[::g]", "the host is not an IPv6 address"),
        ("http://[fe80::1%eth0]", "an IPv6 address in an origin has no zone"),
        ("https://a\u2ff0b.example", "the host is not a domain name; write it in punycode (xn--…)"),
        ("*.", "there is no host in it"),
        *(
            (
                pattern,
                "* stands for a host, for the port, or for what is in front of a domain",
            )
            for pattern in ("*example.com", "a.*.com", "*.*.com", "**", "https://exam*")
        ),
    ],
)
def test_a_pattern_that_no_origin_can_match_is_refused(pattern: str, problem: str) -> None:
    assert (origin_problem(pattern) or "").startswith(f"matches no origin: {problem} (write for example ")
    with pytest.raises(BadOrigin):
        Origins(("https://example.com", pattern))


def test_one_of_several_patterns_is_enough() -> None:
    origins = Origins(("a.example", "b.example"))
    assert origins.match("https://b.example")
    assert not origins.match("https://c.example")


def test_no_patterns_match_nothing() -> None:
    assert not Origins(()).match("https://example.com")


@pytest.mark.parametrize(
    ("patterns", "first"),
    [
        ((), None),
        (("*", "example.com", "null"), None),
        (("*.a.com", "https://B.com:443", "https://c.com"), "https://b.com"),
    ],
)
def test_the_first_whole_origin_is_known_as_browsers_write_it(patterns: tuple[str, ...], first: str | None) -> None:
    assert Origins(patterns).first == first


def test_origins_reach_another_process_whole() -> None:
    origins = Origins(("https://example.com", "*.example.org"))
    assert pickle.loads(pickle.dumps(origins)) == origins
