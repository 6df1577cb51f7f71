"""The search for rows that a database cannot read, so that one of them does not affect the others.

A statement fails as a whole if one of its rows has, for example, a text that is not valid in the encoding of the
connection. The statement is then repeated for the halves of its rows, until the faulty row is alone.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from soketpy.core.app_registry import BrokenApp, Found
from soketpy.core.apps import App
from soketpy.drivers.sql.database import StatementFailed

T = TypeVar("T")


async def halved(
    part: Sequence[T],
    read: Callable[[Sequence[T]], Awaitable[Found]],
    alone: Callable[[T, StatementFailed], Awaitable[Found]],
) -> Found:
    """Return what ``read`` returns for a part, or for its halves. ``alone`` is called for one item that fails."""
    if not part:
        return []
    try:
        return await read(part)
    except StatementFailed as fault:
        if len(part) == 1:
            return await alone(part[0], fault)
    middle = len(part) // 2
    return [*await halved(part[:middle], read, alone), *await halved(part[middle:], read, alone)]


def each_once(found: Found) -> Found:
    """Return the apps without repetitions. A broken app has all keys by which it was found."""
    unique: dict[tuple[str, tuple[str, ...]], App | BrokenApp] = {}
    for each in found:
        of = each.id, () if each.id else keys_of(each)
        former = unique.setdefault(of, each)
        if isinstance(former, BrokenApp) and isinstance(each, BrokenApp):
            keys = tuple(dict.fromkeys((*former.keys, *each.keys)))
            unique[of] = BrokenApp(each.id, keys, former.problem)
    return list(unique.values())


def keys_of(app: App | BrokenApp) -> tuple[str, ...]:
    """Return the keys of an app."""
    return app.keys if isinstance(app, BrokenApp) else tuple(pair.key for pair in app.keys)


def unreadable(names: Iterable[tuple[str, str]], wanted: tuple[str, str], fault: StatementFailed) -> BrokenApp:
    """Return the broken app of a row that cannot be read. ``names`` are its id and its first key, if they are known.

    ``wanted`` are the id and the key by which the row was looked for; empty for the other one.
    """
    app_id, key = next(iter(names), wanted)
    keys = tuple(each for each in dict.fromkeys((key, wanted[1])) if each)
    return BrokenApp(app_id, keys, f"the row cannot be read ({fault.code})")
