"""Options that soketi passes to its libraries as they are: of the client of SQS, and of connections to databases.

Each reader yields soketpy's settings and their values, and raises ConfigError for an option that soketpy does not have.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from soketpy.config.errors import quote_name
from soketpy.config.soketi.names import BY_PATH, PREFIX
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.webhooks import client_options
from soketpy.core.aws_options import AwsOptions
from soketpy.core.fields import fields_of, kind

REDIS = "database.redis"
_VERIFIES = "rejectUnauthorized"
Reader = Callable[[ConfigNode, Position, str], Iterator[tuple[str, object]]]
"""A function of the options, their position and soketi's name for them."""


def sqs_options(node: ConfigNode, position: Position, path: str) -> Iterator[tuple[str, object]]:
    """Yield the settings of the client of SQS."""
    found = client_options(replace(node, position=position, name_position=None), path)
    for name in fields_of(AwsOptions):
        if (value := getattr(found, name)) is not None:
            yield f"sqs.{name}", value


def redis_options(node: ConfigNode, position: Position, path: str) -> Iterator[tuple[str, object]]:
    """Yield whether to use TLS. soketpy has one connection to Redis, and one place for the other options."""
    for name, each in _table(node, position, path).items():
        if name == "redisOptions":  # of a client of a Redis Cluster
            yield from redis_options(each, position, path)
            continue
        if name != "tls":
            place = BY_PATH.get(f"{REDIS}.{name}")
            instead = f"use {place.path} ({PREFIX}{place.variable})" if place else "leave it out"
            raise position.error(path, f"soketpy does not read {quote_name(name)} from these options: {instead}")
        yield from redis_tls(each, position, path)


def redis_tls(node: ConfigNode, position: Position, path: str) -> Iterator[tuple[str, object]]:
    """Yield whether to use TLS with Redis."""
    verifies = _verifies(node, position, path)
    if verifies is False:
        problem = f"{_VERIFIES} is false, but soketpy verifies the certificate of Redis: leave {_VERIFIES} out"
        raise position.error(path, problem)
    yield "redis.tls", bool(verifies)


def database_tls(database: str, node: ConfigNode, position: Position, path: str) -> Iterator[tuple[str, object]]:
    """Yield the kind of TLS with a database server."""
    verifies = _verifies(node, position, path, f": use {database}.tls and {database}.ca of soketpy")
    yield f"{database}.tls", "disable" if verifies is None else "verify-full" if verifies else "require"


READERS: Mapping[str, Reader] = {
    "queue.sqs.clientOptions": sqs_options,
    "adapter.redis.redisPubOptions": redis_options,
    "adapter.redis.redisSubOptions": redis_options,
    "cache.redis.redisOptions": redis_options,
    "queue.redis.redisOptions": redis_options,
    "rateLimiter.redis.redisOptions": redis_options,
    f"{REDIS}.tls": redis_tls,
    "database.mysql.ssl": partial(database_tls, "mysql"),
    "database.postgres.ssl": partial(database_tls, "postgres"),
}
"""The reader of each name whose value is a table of options."""


def _verifies(node: ConfigNode, position: Position, path: str, instead: str = "") -> bool | None:
    """Return whether TLS verifies the certificate, or None for no TLS. The library's default is to verify."""
    if node.value is None or isinstance(node.value, bool):
        return True if node.value else None
    table = _table(node, position, path)
    for name in table:
        if name != _VERIFIES:
            raise position.error(path, f"soketpy has no option {quote_name(name)} of TLS{instead or ': leave it out'}")
    value = table[_VERIFIES].value if table else True
    if not isinstance(value, bool):
        raise position.error(path, f"{_VERIFIES} must be true or false")
    return value


def _table(node: ConfigNode, position: Position, path: str) -> dict[str, ConfigNode]:
    if not isinstance(node.value, dict):
        raise position.error(path, f"must be a table, not {kind(node.value)}")
    return node.value
