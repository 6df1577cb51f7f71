"""The choice of the cluster driver by the settings. A driver is imported only if it is used."""

from collections.abc import Callable
from functools import partial

from soketpy.config import Settings
from soketpy.config.addresses import hosts
from soketpy.core.ports import Cluster
from soketpy.drivers.local.cluster import LocalCluster
from soketpy.process.webhooks import LocalWebhooks


def cluster_of(settings: Settings, clock: Callable[[], float], webhooks: LocalWebhooks) -> Cluster:
    """Return the cluster that connects this node to the other nodes. ``webhooks`` are those of a cluster of one.

    Raise ConfigError if its driver is not installed.
    """
    if settings.cluster == "local":
        return LocalCluster(
            clock,
            cache_ttl=settings.cache_ttl,
            cached_events=settings.bounds.cached_events,
            events=webhooks.collector,
            transitions=webhooks.transitions,
        )
    check_redis_driver(settings, "cluster")
    from soketpy.drivers.redis import cluster, connect

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
    return cluster.RedisCluster(
        partial(connect.connector, address),
        given.prefix,
        partitions=given.partitions,
        cache_ttl=settings.cache_ttl,
        lease=given.lease,
        start_timeout=given.start_timeout,
        advises=settings.advises,
    )


def check_redis_driver(settings: Settings, path: str) -> None:
    """Raise ConfigError if the libraries of the Redis driver are missing. The setting at ``path`` needs them."""
    try:
        import soketpy.drivers.redis.cluster
        import soketpy.drivers.redis.connect  # noqa: F401
    except ImportError as fault:
        needs = "several workers need" if path == "workers" else "redis needs"
        raise settings.mistake(path, f"{needs} {fault.name}: pip install hiredis msgpack") from None
