"""An app with its share in flight to Redis waits; other apps do not."""

import pytest

from soketpy.core import steps
from soketpy.drivers.window import COMMAND, SHARES, Window


class Senders:
    """Operations that each send one command of an app, once they may."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.sent: list[str] = []
        self.weights: list[tuple[str, int]] = []

    def send(self, app_id: str, name: str, size: int = 100 - COMMAND) -> None:
        steps.begin(self._send(app_id, name, size))

    async def _send(self, app_id: str, name: str, size: int) -> None:
        await self.window.room(app_id)
        self.weights.append((app_id, self.window.reserve(app_id, size)))
        self.sent.append(name)

    def take(self) -> None:
        """Redis takes the oldest command."""
        self.window.release(*self.weights.pop(0))


@pytest.fixture
def senders() -> Senders:
    return Senders(Window(size=200 * SHARES))


def test_an_app_may_have_its_share_unanswered(senders: Senders) -> None:
    for name in "abc":
        assert ("app" in senders.window) == (name == "c")
        senders.send("app", name)
    assert senders.sent == ["a", "b"]


def test_those_who_wait_continue_in_their_order(senders: Senders) -> None:
    for name in "abcde":
        senders.send("app", name)
    senders.take()
    assert senders.sent == ["a", "b", "c"]
    senders.take()
    senders.take()
    assert senders.sent == ["a", "b", "c", "d", "e"]


def test_other_apps_do_not_wait(senders: Senders) -> None:
    for name in "abcde":
        senders.send("flooding", name)
    senders.send("other", "other")
    assert senders.sent == ["a", "b", "other"]


def test_a_call_of_any_size_is_sent_if_the_app_has_less_than_its_share(senders: Senders) -> None:
    senders.send("app", "large", 1_000_000)
    senders.send("app", "small")
    assert senders.sent == ["large"]
    senders.take()
    assert senders.sent == ["large", "small"]


def test_the_share_is_smaller_if_many_apps_send(senders: Senders) -> None:
    for number in range(2 * SHARES):
        senders.send(f"app {number}", "first")
    assert "app 0" in senders.window
    assert "another" not in senders.window
    for _ in range(SHARES):
        senders.take()
    assert "app 15" not in senders.window


def test_all_are_sent_in_the_end_and_nothing_is_kept(senders: Senders) -> None:
    names = [f"{app} {number}" for number in range(50) for app in range(3)]
    for name in names:
        senders.send(name.split()[0], name)
    while senders.weights:
        senders.take()
    assert sorted(senders.sent) == sorted(names)
    for app in "012":
        of_app = [name for name in senders.sent if name.startswith(app)]
        assert of_app == [name for name in names if name.startswith(app)]
    assert senders.window._in_flight == {}
    assert senders.window._waiting == {}


def test_those_who_need_their_room_no_more_let_the_next_ones_have_it(senders: Senders) -> None:
    senders.send("app", "a", 200 - COMMAND)
    steps.begin(senders.window.room("app"))
    senders.send("app", "b")
    senders.take()
    assert senders.sent == ["a", "b"]
