"""The admin API without HTTP: paths, methods and documents become operations on a registry.

The admin port and the command ``soketpy apps`` both use it, so that an operation is the same over the network and in
the process of the command.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

from soketpy.core.app_registry import (
    DEFAULTS,
    AppRegistry,
    Changed,
    Found,
    NoSuchApp,
    RegistryRefused,
    RegistryUnavailable,
    ValueRefused,
)
from soketpy.core.apps import App
from soketpy.protocol.requests import TooManyParameters, parse_query
from soketpy.registry import operations
from soketpy.registry.documents import Document, document_of
from soketpy.registry.operations import CHANGEABLE, PAGE, NoSuchKey, WrongValue

T = TypeVar("T")

ROOT = "/admin/apps"

NEW: Collection[str] = ("id", "key", "secret", *CHANGEABLE, DEFAULTS)
CHANGED: Collection[str] = (*CHANGEABLE, DEFAULTS)
ROTATION: Collection[str] = ("key", "secret", "ends_in", "ends_at")

FIELDS: Collection[str] = frozenset((*NEW, *ROTATION, "keys", "after", "limit"))
"""What an error of a request may name."""

Read = Callable[[bytes, Collection[str]], Awaitable[Mapping[str, Any]]]
"""Reads a JSON object that may have these fields. Raises ValueError, whose text names the field."""

RETRY_AFTER = 5
"""Seconds after which a client should repeat a request that the registry could not serve."""


class RequestRefused(Exception):
    """A request that is not served: an HTTP status, the reason, and headers for the answer."""

    def __init__(self, status: HTTPStatus, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Done:
    """A request that was served. ``change`` says in words what was changed, without values; empty for no change."""

    document: Document | None
    status: HTTPStatus = HTTPStatus.OK
    change: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """The parts of a request that an operation reads."""

    query: str = ""
    body: bytes = field(default=b"", repr=False)


Operation = Callable[[Input], Awaitable[Done]]


class Administration:
    """The operations on the apps of a registry. Each of them raises RequestRefused if it is not served.

    ``read`` reads documents, ``defaults`` are values of fields that a new app is not given, ``changed`` is called after
    each change, and ``clock`` returns the Unix time.
    """

    def __init__(
        self,
        registry: AppRegistry,
        read: Read,
        defaults: Mapping[str, Any],
        changed: Changed,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._read = read
        self._defaults = defaults
        self._changed = changed
        self._clock = clock

    def find(self, method: str, path: str) -> Operation:
        """Return the operation of a method and a path. Raise RequestRefused if there is none."""
        below = path.removeprefix(ROOT)
        if below == path or (below and not below.startswith("/")):
            raise _nothing()
        methods = self._methods([unquote(part) for part in below.split("/")[1:]])
        if method not in methods:
            allowed = ", ".join(methods)
            raise RequestRefused(HTTPStatus.METHOD_NOT_ALLOWED, f"This path serves {allowed} only.", {"Allow": allowed})
        return methods[method]

    def _methods(self, parts: Sequence[str]) -> Mapping[str, Operation]:
        """Return the operations of a path by method. Raise RequestRefused if the path does not exist."""
        match parts:
            case []:
                return _with_head({"GET": self._list, "POST": self._add})
            case [app_id] if app_id == "" or _may_exist(app_id):  # a broken entry may have an empty id
                one: dict[str, Operation] = {
                    "GET": partial(self._show, app_id),
                    "PATCH": partial(self._change, app_id),
                    "DELETE": partial(self._remove, app_id),
                }
                return _with_head(one)
            case [app_id, "rotate"] if _may_exist(app_id):
                return {"POST": partial(self._rotate, app_id)}
            case [app_id, "enable" | "disable" as switch] if _may_exist(app_id):
                return {"POST": partial(self._switch, app_id, switch == "enable")}
            case [app_id, "keys", key] if _may_exist(app_id) and _may_exist(key):
                return {"DELETE": partial(self._remove_key, app_id, key)}
        raise _nothing()

    async def _list(self, given: Input) -> Done:
        after, limit = _page_of(given.query)
        found = await _served(operations.page(self._registry, after, limit))
        return Done({"apps": await self._documents(found.apps), "next": found.next})

    async def _show(self, app_id: str, given: Input) -> Done:
        [document] = await self._documents([await _served(operations.find(self._registry, app_id))])
        if "enabled" not in document:  # a broken entry
            return Done(document)
        stored = await _served(self._registry.stored(app_id))
        return Done({**document, DEFAULTS: [name for name in CHANGEABLE if name not in stored]})

    async def _documents(self, apps: Found) -> Sequence[Document]:
        """Return the documents of apps. One with the key of another app has a problem, too: nobody can use the key."""
        problems = await _served(operations.shared_keys(self._registry, apps))
        documents = [document_of(app) for app in apps]
        return [
            {**each, "problem": problems[each["id"]]} if each["id"] in problems and "problem" not in each else each
            for each in documents
        ]

    async def _add(self, given: Input) -> Done:
        values = await self._values(given, NEW)
        app = await _served(operations.add(self._registry, values, self._defaults))
        self._changed(app.id)
        return Done(document_of(app, [app.key]), HTTPStatus.CREATED, f"added the app {app.id}{_names(values)}")

    async def _change(self, app_id: str, given: Input) -> Done:
        values = await self._values(given, CHANGED)
        if not values:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "There is no field to change in the body.")
        app = await _served(operations.change(self._registry, app_id, values))
        return self._done(app, f"changed the app {app_id}{_names(values)}")

    async def _switch(self, app_id: str, enabled: bool, given: Input) -> Done:
        app = await _served(operations.change(self._registry, app_id, {"enabled": enabled}))
        return self._done(app, f"{'enabled' if enabled else 'disabled'} the app {app_id}")

    async def _rotate(self, app_id: str, given: Input) -> Done:
        values, now = await self._values(given, ROTATION), self._clock()
        ends_at = _end(values, now)
        try:
            key = operations.new_key(values)
        except WrongValue as fault:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, str(fault)) from None
        app = await _served(operations.rotate(self._registry, app_id, key, ends_at, now))
        return self._done(app, f"rotated the keys of the app {app_id}{_names(values)}", [key.key])

    async def _remove_key(self, app_id: str, key: str, given: Input) -> Done:
        app = await _served(operations.remove_key(self._registry, app_id, key))
        return self._done(app, f"removed a key of the app {app_id}")

    async def _remove(self, app_id: str, given: Input) -> Done:
        await _served(self._registry.remove(app_id))
        self._changed(app_id)
        return Done(None, HTTPStatus.NO_CONTENT, f"removed the app {app_id if app_id.isprintable() else ascii(app_id)}")

    def _done(self, app: App, change: str, shown: Collection[str] = ()) -> Done:
        self._changed(app.id)
        return Done(document_of(app, shown), change=change)

    async def _values(self, given: Input, names: Collection[str]) -> Mapping[str, Any]:
        try:
            return await self._read(given.body, names)
        except ValueError as fault:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, str(fault)) from None


def _with_head(methods: Mapping[str, Operation]) -> Mapping[str, Operation]:
    return {**methods, "HEAD": methods["GET"]}


def _may_exist(text: str) -> bool:
    """Return whether a registry may have this id or key, perhaps in an entry that is no valid app."""
    return text != "" and "\0" not in text


def _nothing() -> RequestRefused:
    return RequestRefused(HTTPStatus.NOT_FOUND, "There is nothing at this path.")


async def _served(operation: Awaitable[T]) -> T:
    """Await an operation on the registry. Raise RequestRefused in the place of its exceptions."""
    try:
        return await operation
    except (WrongValue, ValueRefused) as fault:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, str(fault)) from None
    except (NoSuchApp, NoSuchKey) as fault:
        raise RequestRefused(HTTPStatus.NOT_FOUND, str(fault)) from None
    except RegistryRefused as fault:
        raise RequestRefused(HTTPStatus.CONFLICT, str(fault)) from None
    except RegistryUnavailable as fault:
        wait = {"Retry-After": str(RETRY_AFTER)}
        raise RequestRefused(
            HTTPStatus.SERVICE_UNAVAILABLE, f"The database of the apps cannot be used: {fault}", wait
        ) from None


def _page_of(query: str) -> tuple[str, int]:
    """Return the parameters ``after`` and ``limit`` of a query. Raise RequestRefused for others."""
    try:
        given = dict(parse_query(query))
    except TooManyParameters:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "The query has too many parameters.") from None
    if unknown := given.keys() - {"after", "limit"}:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, f"{min(unknown)[:60]!r}: no such parameter; a list has after and limit"
        )
    after, limit = given.get("after", ""), given.get("limit", str(PAGE))
    if after and not after.isprintable():
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "after: must be the id of an app")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 4 and 1 <= int(limit) <= PAGE):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"limit: must be a whole number from 1 to {PAGE}")
    return after, int(limit)


def _end(values: Mapping[str, Any], now: float) -> float | None:
    """Return the Unix time at which the older keys end, in whole seconds, or None.

    Raise RequestRefused for a time in the past.
    """
    in_seconds, at = values.get("ends_in"), values.get("ends_at")
    if in_seconds is not None and at is not None:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "ends_at: given next to ends_in; use one of both")
    if at is not None and at < now:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, "ends_at: is in the past; write ends_in: 0 to remove the older keys now"
        )
    end = at if in_seconds is None else now + in_seconds
    return None if end is None else float(int(end))


def _names(values: Mapping[str, Any]) -> str:
    names = [*(name for name in values if name != DEFAULTS), *values.get(DEFAULTS, ())]
    return f" ({', '.join(names)})" if names else ""
