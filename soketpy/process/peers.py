"""The proxies that a server trusts, from its settings."""

from soketpy.config import Settings
from soketpy.protocol.forwarded import Networks
from soketpy.web.peers import Peers


def peers_of(settings: Settings) -> Peers:
    """Return the object that finds the addresses of clients behind the proxies of the settings."""
    return Peers(Networks(settings.proxies), standard=settings.proxy_headers == "forwarded")
