"""The choice of the cluster driver by the settings. A driver is imported only if it is used."""

from collections.abc import Callable

from soketpy.config import Settings
from soketpy.core.apps import Apps
from soketpy.core.ports import Cluster
from soketpy.core.steps import Later
from soketpy.drivers.local.cluster import LocalCluster
from soketpy.process.histories import MIB, check_history, history_of
from soketpy.process.queues import check_queue, kind_of, queue_of
from soketpy.process.redis_address import connector_of
from soketpy.process.webhooks import LocalWebhooks, Webhooks, webhook_types
from soketpy.registry.cache import CachedApps
from soketpy.webhooks.callback import Callback


def cluster_of(
    settings: Settings, apps: Apps, clock: Callable[[], float], later: Later, callback: Callback | None = None
) -> tuple[Cluster, Webhooks]:
    """Return the cluster that connects this node to the other nodes, and the webhooks of this node.

    ``callback`` gets the events of webhooks in this program. Over Redis it gets those of the partitions that this node
    holds.

    Raise ConfigError if a driver is not installed, and for a queue of webhooks or a store of
    history that the cluster does not have.
    """
    check_queue(settings)
    check_history(settings)
    if settings.cluster == "local":
        webhooks = LocalWebhooks(settings, apps, later, callback)
        local = LocalCluster(
            clock,
            cache_ttl=settings.cache_ttl,
            cached_events=settings.bounds.cached_events,
            events=webhooks.collector,
            transitions=webhooks.transitions,
            history=history_of(settings),
            idempotency_window=settings.history.idempotency_window,
        )
        return local, webhooks
    check_redis_driver(settings, "cluster")
    from soketpy.drivers.redis import app_changes, cluster
    from soketpy.process.cluster_webhooks import ClusterWebhooks

    given = settings.redis
    over_redis = cluster.RedisCluster(
        connector_of(settings),
        given.prefix,
        partitions=given.partitions,
        cache_ttl=settings.cache_ttl,
        history_size=int(settings.history.app_mib * MIB),
        idempotency_window=settings.history.idempotency_window,
        lease=given.lease,
        start_timeout=given.start_timeout,
        advises=settings.advises,
        announces=settings.announces,
        webhook_types=webhook_types(apps),
        grace=settings.webhooks.grace,
    )
    if isinstance(apps, CachedApps):
        app_changes.listen(over_redis, apps.invalidate)
    queue = None if kind_of(settings) == "redis" else queue_of(settings)
    return over_redis, ClusterWebhooks(settings, apps, over_redis, queue, callback)


def check_redis_driver(settings: Settings, path: str) -> None:
    """Raise ConfigError if the libraries of the Redis driver are missing. The setting at ``path`` needs them."""
    try:
        import soketpy.drivers.redis.cluster
        import soketpy.drivers.redis.connect  # noqa: F401
    except ImportError as fault:
        needs = "several workers need" if path == "workers" else "redis needs"
        raise settings.mistake(path, f"{needs} {fault.name}: pip install hiredis msgpack") from None
