"""The connection to Redis by the settings."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from soketpy.config import Settings
from soketpy.config.addresses import hosts

if TYPE_CHECKING:
    from soketpy.drivers.redis.session import Connect


def connector_of(settings: Settings) -> "Callable[[str], Connect]":
    """Return a function that returns how to connect, for the prefix of the keys of a partition."""
    from soketpy.drivers.redis import connect

    given = settings.redis
    address = connect.Address(
        hosts(given.host)[0],
        given.port,
        given.unix_socket,
        given.tls,
        given.db,
        given.username,
        given.password,
        given.sentinels,
        given.sentinel_master,
        given.sentinel_password,
        given.cluster_nodes,
    )
    return partial(connect.connector, address)
