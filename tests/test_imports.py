"""The modules that a command or an import loads: containers run some commands every few seconds."""

import subprocess
import sys

import pytest

import soketpy

SERVER = {
    "httptools",
    "uvloop",
    "prometheus_client",
    "msgspec",
    "msgpack",
    "hiredis",
    "aiohttp",
    "aiobotocore",
    "aiosqlite",
    "alembic",
    "asyncmy",
    "asyncpg",
    "sqlalchemy",
    "re2",
    "soketpy.process.server",
    "soketpy.core.node",
}
NETWORK = {"asyncio", "ssl", "socket", "http.client"}
CONFIGURATION = {"yaml", "dataclasses", "json", "logging", "soketpy.config"}
NOT_NEEDED = [
    ("import soketpy", SERVER | NETWORK | CONFIGURATION),
    ("from soketpy import App, Filter, Key, Webhook", SERVER | NETWORK | {"yaml", "soketpy.config"}),
    ("from soketpy import ConfigError, Settings", SERVER | NETWORK | {"yaml"}),
    ("run('--version')", SERVER | NETWORK | CONFIGURATION),
    ("run('--help')", SERVER | NETWORK | CONFIGURATION),
    ("run('start', '--help')", SERVER | NETWORK | CONFIGURATION),
    ("run('sign', 'channel', '1.2', 'private-a')", SERVER | {"asyncio", "ssl", "socket", "http.client", "yaml"}),
    ("run('check-config', '/dev/null')", SERVER | NETWORK),
    ("run('healthcheck', '--unix-socket', '/nowhere/soketpy.sock')", SERVER | {"asyncio", "yaml", "logging"}),
    ("run('trigger', 'c', 'e', 'd', '--unix-socket', '/nowhere/s.sock')", SERVER | {"asyncio", "yaml", "logging"}),
    ("import pytest\nloaded = set(sys.modules)\nimport soketpy.testing", SERVER | NETWORK | CONFIGURATION),
]
PROGRAM = """
import sys
loaded = set(sys.modules)
def run(*argv):
    from soketpy.cli import main
    main(argv)
{statement}
print("\\n" + " ".join(sorted(set(sys.modules) - loaded)))
"""


@pytest.mark.parametrize(("statement", "unneeded"), NOT_NEEDED, ids=[statement for statement, _ in NOT_NEEDED])
def test_nothing_loads_what_it_does_not_need(statement: str, unneeded: set[str]) -> None:
    words = [sys.executable, "-I", "-c", PROGRAM.format(statement=statement)]
    ended = subprocess.run(words, check=True, capture_output=True, text=True)
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "soketpy" in loaded
    assert not loaded & unneeded


@pytest.mark.parametrize("name", soketpy.__all__)
def test_every_name_of_the_package_can_be_imported(name: str) -> None:
    assert name in dir(soketpy)
    assert getattr(soketpy, name) is not None


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'soketpy' has no attribute 'Sever'"):
        soketpy.Sever  # noqa: B018 # type: ignore[attr-defined]
