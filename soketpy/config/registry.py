"""The settings of registries: which database has the apps, how to connect to it, and the admin API."""

from dataclasses import dataclass

from soketpy.config.addresses import HOST, LAST_PORT, host_problem, listening_problem
from soketpy.core.aws_options import REGION, AwsOptions
from soketpy.core.fields import setting

CONFIG = "config"
"""The registry whose apps are those of the configuration."""

DRIVERS = (CONFIG, "sqlite", "postgres", "mysql", "dynamodb")
YEAR = 365 * 86_400
SHORTEST_TOKEN = 16
"""Least characters of a token of the admin API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The registry of apps, and the cache in front of its database."""

    driver: str = setting(
        CONFIG,
        "Where the apps are. config: in this configuration, under apps. Others: in a database with a group of its own.",
        choices=DRIVERS,
    )
    table: str = setting(
        "apps",
        "Table of the apps in the database.",
        pattern=r"[A-Za-z0-9_.$-]{1,255}",
        like="a name of letters, digits and _.$-",
    )
    cache_seconds: float = setting(
        30,
        "Seconds for which a process keeps an app that it has read. A change in the database applies within this time.",
        least=1,
        most=YEAR,
    )
    unknown_seconds: float = setting(
        5, "Seconds for which a process remembers that an id or a key is unknown.", least=1, most=YEAR
    )
    cache_size: int = setting(10_000, "Most apps, and as many unknown ids and keys, that one process keeps.")
    start_timeout: float = setting(
        30, "Seconds to wait for the database at the start. Then the server ends with exit code 1."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqlite:
    """The file of apps for registry.driver: sqlite."""

    path: str = setting("soketpy-apps.db", "The file of the apps, on a local disk. Created at the first use.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlServer:
    """The connection to a database server. ``repr`` does not show the password."""

    host: str = setting("127.0.0.1", "Address of the database server.", check_text=host_problem, **HOST)
    port: int = setting(5432, "Port of the database server.", most=LAST_PORT)
    username: str = setting("soketpy", "User of the database.")
    password: str | None = setting(None, "Password of the user, if it has one.", secret=True)
    database: str = setting("soketpy", "Name of the database.")
    tls: str = setting(
        "disable",
        "disable: no TLS. require: TLS, any certificate. verify-full: TLS; certificate and host name are verified.",
        choices=("disable", "require", "verify-full"),
    )
    ca: str | None = setting(None, "Certificate authorities for verify-full (PEM file); null for those of the system.")
    pool_size: int = setting(5, "Most connections of one process.", most=1000)
    statement_timeout: float = setting(5, "Seconds in which a connection opens, or a statement ends.", most=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres(SqlServer):
    """The PostgreSQL database for registry.driver: postgres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mysql(SqlServer):
    """The MySQL or MariaDB database for registry.driver: mysql."""

    port: int = setting(3306, "Port of the database server.", most=LAST_PORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamodb(AwsOptions):
    """The DynamoDB of registry.driver: dynamodb, and the options of its client."""

    region: str | None = setting(None, "Region of the table; null for us-east-1.", **REGION)
    request_timeout: float = setting(5, "Seconds in which DynamoDB must answer.", most=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """The admin API. ``repr`` does not show the tokens."""

    enabled: bool = setting(False, "Serve the admin API, which reads and changes apps, on a separate port.")
    host: str | tuple[str, ...] = setting(
        "127.0.0.1", "Address of the admin port, or a list of addresses.", check_text=listening_problem, **HOST
    )
    port: int = setting(6002, "The admin port; 0 for any free one.", least=0, most=LAST_PORT)
    tokens: tuple[str, ...] = setting(
        (),
        f"Tokens, one of which each call must have (Authorization: Bearer). At least {SHORTEST_TOKEN} characters each.",
        secret=True,
        pattern=rf"[A-Za-z0-9._~+/-]{{{SHORTEST_TOKEN},512}}=*",
        like=f"at least {SHORTEST_TOKEN} characters of A-Z, a-z, 0-9 and -._~+/",
    )
