"""Calls of the admin API: to a running server, or to the same operations in the process of a command."""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from soketpy.cli.faults import Failure, Mistake
from soketpy.cli.options import ADMIN_TOKEN, read_settings

if TYPE_CHECKING:
    from soketpy.cli.call import Target
    from soketpy.config import Settings
    from soketpy.core.app_registry import AppRegistry

Call = Callable[..., Awaitable[Any]]
"""Sends a method, a path and perhaps a value as JSON, and returns the document of the answer.

It raises Mistake for a wrong value (400), and Failure for every other refusal.
"""

NOTHING = "There is nothing at this path."
"""The answer of each port of soketpy to an unknown path."""

PATIENCE = 30.0
"""Seconds that a server has to answer: more than the time limits of its database."""

HTTP_IS_LOCAL = (
    "--admin-url: http:// is for this machine only, because others on the network could read the token: use https://"
)


@asynccontextmanager
async def calls(args: argparse.Namespace) -> AsyncIterator[Call]:
    """Open the admin API of ``--admin-url``, or else the registry of the configuration."""
    if args.admin_url is not None:
        if args.config is not None:
            raise Mistake("--config has no effect with --admin-url: the server has the configuration")
        yield _remote(args)
        return
    if args.token_file is not None:
        raise Mistake("--token-file has no effect without --admin-url")
    settings = read_settings(args, {})
    async with opened(settings) as registry:
        await registry.start(lambda _: None)
        yield _local(settings, registry)


@asynccontextmanager
async def opened(settings: "Settings") -> "AsyncIterator[AppRegistry]":
    """Make the registry of a configuration, and stop it at the end. It is not started.

    Raise ConfigError if the apps are in the configuration, or the libraries of the database are missing. Raise Failure
    for the exceptions of the registry.
    """
    from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
    from soketpy.process.registries import registry_of

    registry = registry_of(settings)
    try:
        yield registry
    except RegistryUnavailable as fault:
        raise Failure(f"the database of the apps cannot be used: {fault}") from None
    except RegistryRefused as fault:
        raise Failure(str(fault)) from None
    finally:
        await registry.stop()


def _local(settings: "Settings", registry: "AppRegistry") -> Call:
    from soketpy.process.admin_server import administration_of
    from soketpy.registry.administration import Input, RequestRefused

    changed: list[str | None] = []
    administration = administration_of(settings, registry, changed.append)

    async def call(method: str, target: str, value: object = None) -> Any:
        path, _, query = target.partition("?")
        try:
            done = await administration.find(method, path)(Input(query, _encoded(value)))
        except RequestRefused as fault:
            raise _refusal(int(fault.status), fault.reason) from None
        while changed:
            await _announce(settings, changed.pop())
        return done.document

    return call


async def _announce(settings: "Settings", app_id: str | None) -> None:
    """Tell the nodes of a cluster about a change. If this fails, say that they apply the change later."""
    from soketpy.core.ports import Unavailable
    from soketpy.process.app_changes import announce

    try:
        await announce(settings, app_id)
    except Unavailable as fault:
        seconds = settings.registry.cache_seconds
        print(f"soketpy apps: running nodes apply the change within {seconds:g} s: {fault}", file=sys.stderr)


def _remote(args: argparse.Namespace) -> Call:
    from soketpy.cli.app_documents import is_app, is_page
    from soketpy.cli.call import call as send
    from soketpy.cli.call import missing_tls

    target, prefix = target_of(args.admin_url)
    headers = {"Authorization": f"Bearer {_token(args.token_file)}"}

    async def call(method: str, path: str, value: object = None) -> Any:
        status, text = send(target, method, prefix + path, _encoded(value), headers=headers, patience=PATIENCE)
        document = _decoded(text)
        fits = is_page if method == "GET" and "?" in path else is_app
        if 200 <= status < 300 and (fits(document) or (document is None and status == HTTPStatus.NO_CONTENT)):
            return document
        reason = document.get("error") if isinstance(document, dict) else None
        if not isinstance(reason, str):
            if status == HTTPStatus.BAD_REQUEST and (missing := missing_tls(target)) is not None:
                raise Failure(f"cannot reach {target}: {missing}")
            raise Failure(f"{target} did not answer as the admin API of soketpy does: {status}")
        if status == HTTPStatus.UNAUTHORIZED:
            raise Failure(f"{target} refused the token: give one of its admin.tokens")
        if status == HTTPStatus.NOT_FOUND and reason == NOTHING:
            raise Failure(f"{target}{prefix} has no admin API: {_without(target, prefix)}")
        raise _refusal(status, reason)

    return call


def _without(target: "Target", prefix: str) -> str:
    """Return what to write if the server has no admin API below the prefix."""
    from soketpy.registry.administration import ROOT

    if prefix.endswith(("/admin", ROOT)):
        return f"--admin-url without /admin is {target}{prefix.removesuffix(ROOT).removesuffix('/admin')}"
    return "give the address of the admin port (admin.port, 6002 by default) as --admin-url"


def target_of(url: str) -> "tuple[Target, str]":
    """Return the server of a URL, and the prefix of its paths. Raise Mistake."""
    from urllib.parse import urlsplit

    from soketpy.cli.call import Target

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise Mistake("--admin-url: must be a URL such as https://admin.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise Mistake("--admin-url: must have no user, query or fragment")
    tls = parts.scheme == "https"
    if not tls and not _is_loopback(host):
        raise Mistake(HTTP_IS_LOCAL)
    return Target(host, port or (443 if tls else 80), tls=tls, is_admin=True), parts.path.rstrip("/")


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _token(path: str | None) -> str:
    """Return the token. It is never an argument, because other users of a machine can read those."""
    from soketpy.cli.secrets import read_secret

    if path is not None:
        return read_secret(path, "--token-file")
    token = os.environ.get(ADMIN_TOKEN, "").strip()
    if not token:
        raise Mistake(f"--admin-url needs a token: give --token-file, or set {ADMIN_TOKEN}")
    return token


def _encoded(value: object) -> bytes:
    return b"" if value is None else json.dumps(value).encode()


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _refusal(status: int, reason: str) -> Exception:
    from soketpy.config.errors import quote

    shown = quote(reason, 500)
    return Mistake(shown) if status == HTTPStatus.BAD_REQUEST else Failure(shown)
