"""Patterns of origins, and the check of an Origin header against them (RFC 6454, Fetch).

A browser writes an origin in one form: lower case, punycode, no default port, no path. Operators write patterns in many
forms. ``Origins`` converts each pattern into the browser's form once, so that the check per connection is cheap.
"""

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address

ANY = "*"
OPAQUE = "null"
"""The Origin header of a page without an origin of its own, such as a sandboxed frame."""

DEFAULT_PORTS = {"http": 80, "https": 443}
SOCKET_SCHEMES = {"ws": "http", "wss": "https"}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s/?#@:\[\]]*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_HOST = re.compile(r"[a-z0-9_,-]+(\.[a-z0-9_,-]+)*\.?")
_OPAQUE_HOST = re.compile(r"[^\s/?#@:\[\]*]+")
_NEARLY_SCHEME = re.compile(r"(https?)([:/]|$)")
_WITHOUT_HOST = re.compile(r"(about|blob|data|file|javascript):")
_PORT = re.compile(r"\*|[0-9]+")
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
LAST_PORT = 65_535
SHAPES = "https://example.com, example.com, *.example.com or localhost:3000"


class BadOrigin(ValueError):
    """A pattern that no Origin header can match. Its text is the reason, without the pattern itself."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern with a variable part. ``scheme`` and ``port`` are None for any value; ``host`` may begin with ``*``."""

    scheme: str | None
    host: str
    port: int | None

    def matches(self, scheme: str, host: str, port: int | None) -> bool:
        if self.scheme not in (None, scheme) or self.port not in (None, port):
            return False
        if self.host == ANY:
            return True
        if self.host.startswith(ANY):
            return len(host) >= len(self.host) and host.endswith(self.host[1:])
        return host == self.host


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins that match a list of patterns. ``first`` is the first pattern without a variable part, if any.

    Raises BadOrigin for a pattern that no origin can match.
    """

    patterns: tuple[str, ...]
    allows_any: bool = field(init=False)
    first: str | None = field(init=False)
    _whole: frozenset[str] = field(init=False, repr=False)
    _open: tuple[_Pattern, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parsed = [_parse(pattern) for pattern in self.patterns if pattern != ANY]
        whole = [each for each in parsed if isinstance(each, str)]
        for name, value in (
            ("allows_any", ANY in self.patterns),
            ("first", next((each for each in whole if each != OPAQUE), None)),
            ("_whole", frozenset(whole)),
            ("_open", tuple(each for each in parsed if isinstance(each, _Pattern))),
        ):
            object.__setattr__(self, name, value)

    def match(self, origin: str | None) -> bool:
        """Return whether an Origin header matches. A client without the header matches only ``*``."""
        if self.allows_any or origin in self._whole:
            return True
        if not origin:
            return False
        found = _ORIGIN.fullmatch(origin.lower())
        if found is None:
            return origin.lower() == OPAQUE and OPAQUE in self._whole
        scheme, host, digits = found.groups()
        if host.startswith("["):
            try:
                host = _ipv6(host[1:-1])
            except BadOrigin:
                return False
        port = int(digits) if digits else DEFAULT_PORTS.get(scheme)
        if _serialize(scheme, host, port) in self._whole:
            return True
        return any(pattern.matches(scheme, host, port) for pattern in self._open)


def origin_problem(pattern: str) -> str | None:
    """Return the reason why no origin can match a pattern, as the end of a sentence; None if one can."""
    try:
        Origins((pattern,))
    except BadOrigin as fault:
        return f"matches no origin: {fault} (write for example {SHAPES})"
    return None


def _parse(written: str) -> "str | _Pattern":
    """Return the origin in the browser's form, or a pattern if it has a variable part."""
    text = written.lower()
    if text == OPAQUE:
        return OPAQUE
    if any(sign.isspace() for sign in text.replace(", ", ",")):
        raise BadOrigin("an origin has no spaces")
    if "," in text and (text.count("://") > 1 or "://" not in text or " " in text):
        raise BadOrigin("it is more than one origin: write a list with each of them in an item of its own")
    scheme, mark, rest = text.partition("://")
    if not mark:
        return _bare(text)
    if not _SCHEME.fullmatch(scheme):
        raise BadOrigin("the part in front of :// is not a scheme such as https; leave it out for any scheme")
    if scheme in SOCKET_SCHEMES:
        raise BadOrigin(f"the origin is that of the page: write {SOCKET_SCHEMES[scheme]}:// instead of {scheme}://")
    if meant := _misspelt(scheme):
        raise BadOrigin(f"the scheme is misspelt: write {meant}:// instead of {scheme}://")
    if not rest.removesuffix("/") and scheme not in DEFAULT_PORTS:
        return f"{scheme}://"  # file://: Chromium sends it for a local page
    host, port = _host_and_port(rest.removesuffix("/"), _OPAQUE_HOST if scheme not in DEFAULT_PORTS else None)
    if port is None and not host.startswith(ANY):
        port = DEFAULT_PORTS.get(scheme)
    elif port is None or port == ANY:
        return _Pattern(scheme, host, None)
    if host.startswith(ANY):
        return _Pattern(scheme, host, _number(port))
    return _serialize(scheme, host, _number(port))


def _misspelt(scheme: str) -> str | None:
    """Return http or https for a scheme with a similar spelling, such as htps; None for any other."""
    if scheme in DEFAULT_PORTS:
        return None
    from difflib import get_close_matches  # imported late: few configurations need it

    if not get_close_matches(scheme, DEFAULT_PORTS, n=1, cutoff=0.75):
        return None
    return "https" if "s" in scheme else "http"


def _bare(text: str) -> _Pattern:
    """Return the pattern of a host without a scheme. It matches any scheme and, without a port, any port."""
    if found := _NEARLY_SCHEME.match(text):
        raise BadOrigin(f"write {found[1]}:// in front of the host")
    if (found := _WITHOUT_HOST.match(text)) and not _PORT.fullmatch(text, found.end()):
        meant = "file://" if found[1] == "file" else '"null"'
        raise BadOrigin(f"the origin of a page of {found[0]} is written {meant}")
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    host, port = _host_and_port(text)
    return _Pattern(None, host, None if port in (None, ANY) else _number(port))


def _host_and_port(text: str, hosts: "re.Pattern[str] | None" = None) -> tuple[str, "str | int | None"]:
    """Split the text after the scheme into host and port. The port is digits, ``*`` or None."""
    for sign, what in (("/", "path"), ("\\", "path"), ("?", "query"), ("#", "fragment"), ("@", "user name")):
        if sign in text:
            raise BadOrigin(f"an origin has no {what}: leave out {sign} and what belongs to it")
    host, mark, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not mark:
        host = text
    elif port != ANY and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= LAST_PORT and len(port) < 6):
        raise BadOrigin(f"the port must be * or a number from 1 to {LAST_PORT}")
    shown = host if hosts is not None and hosts.fullmatch(host) and host.isascii() else _host(host)
    return shown, port if mark else None


def _host(text: str) -> str:
    if text.startswith("["):
        if not text.endswith("]"):
            raise BadOrigin("an IPv6 address ends with ]")
        return _ipv6(text[1:-1])
    if text == ANY:
        return ANY
    domain = text.removeprefix("*.")
    if ANY in domain:
        raise BadOrigin("* stands for a host, for the port, or for what is in front of a domain")
    domain = _ascii(domain)
    if not _HOST.fullmatch(domain):
        raise BadOrigin("there is no host in it" if not domain else "the host is not a host name")
    if _NUMERIC.fullmatch(domain):
        if text.startswith(ANY):
            raise BadOrigin("an address has no subdomains")
        try:
            return str(IPv4Address(domain))
        except AddressValueError:
            raise BadOrigin("the host is not an IPv4 address of four numbers") from None
    return f"*.{domain}" if text.startswith(ANY) else domain


def _ipv6(text: str) -> str:
    """Return an IPv6 address in its one canonical form."""
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise BadOrigin("the host is not an IPv6 address") from None
    if address.scope_id is not None:
        raise BadOrigin("an IPv6 address in an origin has no zone")
    return f"[{address}]"


def _ascii(domain: str) -> str:
    """Return an internationalized domain in punycode, as browsers send it (UTS #46)."""
    if domain.isascii():
        return domain
    import idna  # imported late: few configurations need it

    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
        labels = [each if each.isascii() else f"xn--{each.encode('punycode').decode()}" for each in mapped.split(".")]
    except (idna.IDNAError, UnicodeError):
        raise BadOrigin("the host is not a domain name; write it in punycode (xn--…)") from None
    return ".".join(labels).lower()


def _number(port: "str | int | None") -> int | None:
    return None if port is None else int(port)


def _serialize(scheme: str, host: str, port: int | None) -> str:
    """Return an origin in the form that browsers send."""
    return f"{scheme}://{host}" if port in (None, DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"
