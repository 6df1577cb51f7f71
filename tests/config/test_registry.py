"""The settings of registries, of their databases and of the admin API."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from soketpy import App, Key, Server, Settings
from soketpy.config import ConfigError, load
from soketpy.config.registry import Admin, Dynamodb, Mysql, Postgres, Registry, Sqlite
from soketpy.config.settings import DEFAULT_APP, Metrics

Write = Callable[[str], str]
DATABASES = ["sqlite", "postgres", "mysql", "dynamodb"]
TOKEN = "0123456789abcdef"
DATABASE = "registry: {driver: sqlite}\n"
IN_FILE = Registry(driver="sqlite")
APP = "{id: a, key: k, secret: s}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(content: str) -> str:
        Path("config.yaml").write_text(content)
        return "config.yaml"

    return write


def test_every_group_is_read_from_a_file(write: Write) -> None:
    path = write(
        "registry: {driver: postgres, table: chat.apps, cache_seconds: 60, unknown_seconds: 1.5, cache_size: 5,"
        " start_timeout: 1}\n"
        "sqlite: {path: /var/lib/apps.db}\n"
        "postgres: {host: db, port: 1, username: u, password: p, database: d, tls: verify-full, ca: ca.pem,"
        " pool_size: 2, statement_timeout: 0.5}\n"
        "mysql: {host: '::1', tls: require}\n"
        "dynamodb: {region: eu-central-1, endpoint: 'http://127.0.0.1:8000', request_timeout: 1}\n"
        f"admin: {{enabled: true, host: '::1', port: 0, tokens: [{TOKEN}]}}\n"
    )
    settings = load(path, {}, {})
    assert settings.registry == Registry(
        driver="postgres", table="chat.apps", cache_seconds=60, unknown_seconds=1.5, cache_size=5, start_timeout=1
    )
    assert settings.sqlite == Sqlite(path="/var/lib/apps.db")
    assert settings.postgres == Postgres(
        host="db",
        port=1,
        username="u",
        password="p",
        database="d",
        tls="verify-full",
        ca="ca.pem",
        pool_size=2,
        statement_timeout=0.5,
    )
    assert settings.mysql == Mysql(host="::1", port=3306, tls="require")
    assert settings.dynamodb == Dynamodb(region="eu-central-1", endpoint="http://127.0.0.1:8000", request_timeout=1)
    assert settings.admin == Admin(enabled=True, host="::1", port=0, tokens=(TOKEN,))


@pytest.mark.parametrize("driver", DATABASES)
def test_a_database_has_the_apps_instead_of_the_default_app(driver: str) -> None:
    assert load(None, {"SOKETPY_REGISTRY_DRIVER": driver}, {}).apps == ()


def test_the_apps_of_a_database_have_the_defaults_of_all_apps(write: Write) -> None:
    path = write("registry: {driver: mysql}\napp_defaults: {max_connections: 7, client_events: true}\n")
    assert load(path, {}, {}).app_defaults == {"max_connections": 7, "client_events": True}


GIVEN = "given while registry.driver is mysql ({}), whose database has the apps"
APPS: list[tuple[str, dict[str, str], str]] = [
    (f"registry: {{driver: mysql}}\napps: [{APP}]\n", {}, f"config.yaml:2: apps[0]: {GIVEN.format('config.yaml:1')}"),
    (
        "{}",
        {"SOKETPY_REGISTRY_DRIVER": "mysql", "SOKETPY_APP_KEY": "k"},
        f"SOKETPY_APP_KEY: {GIVEN.format('SOKETPY_REGISTRY_DRIVER')}",
    ),
    (
        "{}",
        {"SOKETPY_REGISTRY_DRIVER": "mysql", "SOKETI_DEFAULT_APP_KEY": "k"},
        f"SOKETI_DEFAULT_APP_KEY: {GIVEN.format('SOKETPY_REGISTRY_DRIVER')}",
    ),
]


@pytest.mark.parametrize(("content", "environ", "said"), APPS)
def test_apps_of_the_configuration_next_to_a_database_are_refused(
    write: Write, content: str, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(content), environ, {})
    assert str(caught.value) == said


@pytest.mark.parametrize("file", ['{"appManager": {"driver": "mysql"}}', "{}"])
def test_soketis_default_app_next_to_soketis_database_has_no_effect(write: Write, file: str) -> None:
    environ = {"SOKETI_DEFAULT_APP_KEY": "k", "SOKETI_DEFAULT_APP_SECRET": "s"}
    environ |= {"SOKETI_APP_MANAGER_DRIVER": "mysql"} if file == "{}" else {}
    path = write(file)
    settings = load(path, environ, {})
    assert settings.apps == ()
    driver = "SOKETI_APP_MANAGER_DRIVER" if file == "{}" else f"{path}:1"
    why = f"has no effect while the apps are in a database ({driver})"
    assert settings.warnings == (f"SOKETI_DEFAULT_APP_KEY: {why}", f"SOKETI_DEFAULT_APP_SECRET: {why}")


def test_soketis_apps_of_a_file_next_to_soketis_database_have_no_effect(write: Write) -> None:
    apps = [{"id": "1", "key": "k", "secret": "s"}]
    path = write(json.dumps({"appManager": {"driver": "mysql", "array": {"apps": apps}}}))
    [warning] = load(path, {}, {}).warnings
    assert warning.startswith(f"{path}:1: appManager.array.apps.0: has no effect while the apps are in a database")


def test_an_empty_list_of_apps_next_to_a_database_is_allowed(write: Write) -> None:
    assert load(write("registry: {driver: mysql}\napps: []\n"), {}, {}).apps == ()


LIKE = "at least 16 characters of A-Z, a-z, 0-9 and -._~+/"
MISTAKES = [
    (
        "registry: {driver: redis}",
        "registry.driver: must be config, sqlite, postgres, mysql or dynamodb, not 'redis'",
    ),
    (
        "registry: {table: 'apps; drop'}",
        "registry.table: must be a name of letters, digits and _.$-, not 'apps; drop'",
    ),
    ("registry: {cache_seconds: 0}", "registry.cache_seconds: must be a number from 1 to 31536000, not 0"),
    ("registry: {unknown_seconds: 0}", "registry.unknown_seconds: must be a number from 1 to 31536000, not 0"),
    ("registry: {cache_size: 0}", "registry.cache_size: must be a whole number of 1 or more, not 0"),
    ("postgres: {tls: on}", "postgres.tls: must be disable, require or verify-full, not 'on'"),
    (
        "postgres: {host: 'db:5432'}",
        "postgres.host: 'db:5432' has a port in it: leave out :5432, since the port is a setting of its own",
    ),
    ("mysql: {pool_size: 0}", "mysql.pool_size: must be a whole number from 1 to 1000, not 0"),
    ("dynamodb: {access_key_id: k}", "dynamodb.access_key_id: has no effect without dynamodb.secret_access_key"),
    (f"{DATABASE}admin: {{enabled: true}}", "admin.enabled: the admin API needs a token: give admin.tokens"),
    (
        f"admin: {{enabled: true, tokens: [{TOKEN}]}}",
        "admin.enabled: the admin API changes apps in a database, and registry.driver is config",
    ),
    ("admin: {tokens: [too-short]}", f"admin.tokens[0]: must be {LIKE}, not text"),
    (f"admin: {{tokens: [{TOKEN}, 'with a space in it']}}", f"admin.tokens[1]: must be {LIKE}, not text"),
    (
        f"port: 6002\n{DATABASE}admin: {{enabled: true, tokens: [{TOKEN}]}}",
        "port: port and admin.port are both 6002; give them different ports",
    ),
    (
        f"metrics: {{enabled: true, port: 6002}}\n{DATABASE}admin: {{enabled: true, port: 6002, tokens: [{TOKEN}]}}",
        "admin.port: metrics.port and admin.port are both 6002; give them different ports",
    ),
]


@pytest.mark.parametrize(("content", "said"), MISTAKES)
def test_a_wrong_setting_is_refused_by_its_name(write: Write, content: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(content), {}, {})
    assert str(caught.value).partition(": ")[2] == said


def test_the_admin_port_may_be_that_of_metrics_on_another_address(write: Write) -> None:
    metrics = "metrics: {enabled: true, host: 127.0.0.2, port: 6002}\n"
    settings = load(write(f"{metrics}{DATABASE}admin: {{enabled: true, tokens: [{TOKEN}]}}\n"), {}, {})
    assert settings.metrics.port == settings.admin.port


@pytest.mark.parametrize("group", [Postgres(password="hidden"), Mysql(password="hidden"), Admin(tokens=("hidden",))])
def test_the_text_of_a_group_has_no_secret(group: object) -> None:
    assert "hidden" not in repr(group)


OFF = "has no effect while registry.driver is"
WARNINGS = [
    ("registry: {table: chat}\n", [f"registry.table: {OFF} config"]),
    ("postgres: {password: p}\n", [f"postgres.password: {OFF} not postgres"]),
    ("registry: {driver: mysql}\npostgres: {host: db}\n", [f"postgres.host: {OFF} not postgres"]),
    ("registry: {driver: mysql, table: chat}\nmysql: {host: db, port: 1, pool_size: 2}\n", []),
    ("registry: {driver: mysql}\nmysql: {ca: c}\n", ["mysql.ca: has no effect while mysql.tls is not verify-full"]),
    ("registry: {driver: mysql}\nmysql: {tls: verify-full, ca: c}\n", []),
    ("registry: {driver: dynamodb}\nsqlite: {path: a.db}\n", [f"sqlite.path: {OFF} not sqlite"]),
    ("dynamodb: {region: eu-west-1}\n", [f"dynamodb.region: {OFF} not dynamodb"]),
    (f"admin: {{tokens: [{TOKEN}]}}\n", ["admin.tokens: has no effect while admin.enabled is false"]),
    ("registry: {driver: sqlite}\ntimeouts: {authorization: 5}\n", []),
]


@pytest.mark.parametrize(("content", "warnings"), WARNINGS)
def test_a_setting_of_a_registry_without_effect_is_named(write: Write, content: str, warnings: list[str]) -> None:
    found = [warning.partition(": ")[2] for warning in load(write(content), {}, {}).warnings]
    assert found == warnings


def test_a_program_that_chooses_a_database_has_no_default_app() -> None:
    assert Server(registry=Registry(driver="sqlite")).settings.apps == ()
    assert Server(registry=Registry()).settings.apps == (DEFAULT_APP,)


def test_a_program_that_gives_apps_and_a_database_is_refused() -> None:
    app = App(id="1", keys=(Key("k", "s"),))
    with pytest.raises(ConfigError, match=r"^apps: given while registry\.driver is sqlite$"):
        Server(registry=Registry(driver="sqlite"), apps=(app,))


def test_a_program_gets_the_same_checks_of_the_admin_api() -> None:
    with pytest.raises(ConfigError, match=r"^admin\.enabled: the admin API needs a token"):
        Server(admin=Admin(enabled=True), registry=IN_FILE)
    with pytest.raises(ConfigError, match=r"^admin\.port: metrics\.port and admin\.port are both 9601"):
        Server(admin=Admin(enabled=True, port=9601, tokens=(TOKEN,)), metrics=Metrics(enabled=True), registry=IN_FILE)


def test_the_default_settings_can_be_hashed() -> None:
    assert hash(Settings()) == hash(Settings())
