"""The conversion of the entries of a registry to apps, and the fields that a change stores.

No entry affects another one, or delays other work for long.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from time import perf_counter
from typing import TypeVar

from soketpy.core.app_registry import BrokenApp, ValueRefused
from soketpy.core.apps import TABLES, App, limit_fields

SLICE_SECONDS = 0.005
"""Seconds of one event loop iteration for the conversion of entries. The last entry may take longer."""

T = TypeVar("T")

FieldOf = Callable[[str], str | None]
"""Returns the field of an app that a column or an attribute has, or None for a column that is not read."""


async def sliced(entries: Iterable[T]) -> AsyncIterator[T]:
    """Yield the entries. Yield to the event loop after ``SLICE_SECONDS``, between two entries."""
    until = perf_counter() + SLICE_SECONDS
    for entry in entries:
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + SLICE_SECONDS
        yield entry


async def convert_all(entries: Iterable[T], convert: Callable[[T], App | BrokenApp]) -> list[App | BrokenApp]:
    """Return the apps of entries, converted in slices."""
    return [convert(entry) async for entry in sliced(entries)]


def converted(convert: Callable[[], App | BrokenApp], app_id: str, keys: tuple[str, ...]) -> App | BrokenApp:
    """Return the app of one entry, or a BrokenApp with this id and these keys if ``convert`` raises an exception.

    The problem has no text of the exception, which may contain a secret.
    """
    try:
        return convert()
    except Exception as fault:
        return BrokenApp(app_id, keys, f"the entry cannot be read ({type(fault).__name__})")


def fields_to_store(old: App, new: App, given: Collection[str]) -> frozenset[str]:
    """Return the fields that a change stores: those in ``given``, and those that differ."""
    names = ("keys", *TABLES, *limit_fields())
    return frozenset(given).union(name for name in names if getattr(old, name) != getattr(new, name))


def stored_fields(row: Mapping[str, object], field_of: FieldOf) -> frozenset[str]:
    """Return the fields that a row has a value for."""
    named = ((field_of(column), value) for column, value in row.items())
    return frozenset(name for name, value in named if name is not None and value is not None and value != "")


def valid(found: App | BrokenApp) -> App:
    """Return an app that is about to be stored. Raise ValueRefused if it could not be read again."""
    if isinstance(found, BrokenApp):
        raise ValueRefused(found.problem)
    return found
