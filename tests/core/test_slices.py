"""Work on very many items, a slice per event loop iteration."""

from soketpy.core.slices import in_slices
from tests.conftest import Contained
from tests.fakes import FakeLoop


def test_a_slice_is_done_at_once_and_the_others_in_later_iterations() -> None:
    loop, done = FakeLoop(), list[int]()
    in_slices(range(5), done.append, loop.call_soon, size=2)
    assert done == [0, 1]
    loop.tick()
    assert done == [0, 1, 2, 3]
    loop.settle()
    assert done == [0, 1, 2, 3, 4]


def test_nothing_is_nothing() -> None:
    loop, done = FakeLoop(), list[int]()
    in_slices([], done.append, loop.call_soon)
    assert loop.tick() == 0
    assert done == []


def test_an_item_that_fails_keeps_no_other_from_being_done(contained: Contained) -> None:
    loop, done = FakeLoop(), list[int]()

    def act(item: int) -> None:
        if item in (0, 3):
            raise RuntimeError("a bug")
        done.append(item)

    in_slices(range(5), act, loop.call_soon, size=2)
    loop.settle()
    assert done == [1, 2, 4]
    assert contained.count == 2
