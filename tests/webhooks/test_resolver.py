"""The look-up of names: name servers that hang delay no other name."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from soketpy.webhooks import resolver
from soketpy.webhooks.resolver import THREADS, Resolver
from tests.patience import PATIENCE, until


class Names:
    """The functions of the system. The names in ``hanging`` have no answer until ``free`` is set."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.asked: list[str] = []
        self.free = threading.Event()

    def look_up(self, host: str, port: int, *_: object) -> list[Any]:
        self.asked.append(host)
        if host in self.hanging:
            self.free.wait(PATIENCE)
        if host.startswith("missing"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host.startswith("odd"):
            raise UnicodeError("label too long")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found.look_up)
    monkeypatch.setattr(resolver, "TIMEOUT", PATIENCE)
    yield found
    found.free.set()


async def test_a_name_has_its_addresses(names: Names) -> None:
    [found] = await Resolver().resolve("example.test", 80)
    assert (found["hostname"], found["host"], found["port"]) == ("example.test", "192.0.2.1", 80)


@pytest.mark.parametrize("host", ["missing.test", "odd.test"])
async def test_a_name_without_an_address_is_an_error_of_the_system(names: Names, host: str) -> None:
    with pytest.raises(OSError, match=r"not a name|not known"):
        await Resolver().resolve(host, 80)


async def test_a_known_name_is_found_while_very_many_others_hang(names: Names) -> None:
    one = Resolver()
    await one.resolve("known.test", 80)
    names.hanging = {f"hanging-{number}.test" for number in range(100)}
    waiting = [asyncio.ensure_future(one.resolve(host, 80)) for host in names.hanging]
    await until(lambda: len(names.asked) == 1 + THREADS)
    for _ in range(10):
        await one.resolve("known.test", 80)
    assert len(names.asked) == 11 + THREADS
    names.free.set()
    await asyncio.gather(*waiting)
    assert len(set(names.asked)) == 101


async def test_a_known_name_that_hangs_is_no_longer_known(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Resolver()
    for host in ("hanging.test", "known.test"):
        await one.resolve(host, 80)
    names.hanging = {"hanging.test"}
    monkeypatch.setattr(resolver, "TIMEOUT", 0.01)
    for _ in range(3 * THREADS):
        with pytest.raises(OSError, match="no answer of a name server"):
            await one.resolve("hanging.test", 80)
    monkeypatch.setattr(resolver, "TIMEOUT", PATIENCE)
    assert names.asked.count("hanging.test") == 2 + THREADS
    await one.resolve("known.test", 80)


async def test_names_are_remembered_up_to_a_limit(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MOST_KNOWN", 3)
    one = Resolver()
    for number in range(10):
        await one.resolve(f"{number}.test", 80)
    assert list(one._known) == ["7.test", "8.test", "9.test"]
