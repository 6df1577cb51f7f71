"""The confirmation of several events together."""

import pytest

from soketpy.core import steps
from soketpy.core.ports import NotStored, PartlySent, Receipts, Unavailable
from soketpy.core.steps import Future


def outcome(*results: Exception | None, is_sent: bool = False) -> type[Exception] | None:
    """Return the type of the exception of several receipts with these results."""
    receipts = [Future[None]() for _ in results]
    found = list[type[Exception] | None]()

    async def confirm() -> None:
        try:
            await Receipts(receipts, is_sent=is_sent)
            found.append(None)
        except Exception as fault:
            found.append(type(fault))

    steps.begin(confirm())
    for receipt, result in zip(receipts, results, strict=True):
        if result is None:
            receipt.set_result(None)
        else:
            receipt.set_exception(result)
    return found[0]


def test_receipts_are_confirmed_together() -> None:
    assert outcome(None, None) is None


def test_events_that_all_could_not_be_stored_were_sent_to_nobody() -> None:
    assert outcome(NotStored(), NotStored()) is NotStored


@pytest.mark.parametrize("results", [(NotStored(), None), (None, NotStored()), (None, NotStored(), None)])
def test_a_call_of_which_one_event_was_stored_is_partly_sent(results: tuple[Exception | None, ...]) -> None:
    assert outcome(*results) is PartlySent


def test_a_call_with_an_event_that_needs_no_receipt_is_partly_sent() -> None:
    assert outcome(NotStored(), is_sent=True) is PartlySent


def test_an_event_without_confirmation_is_uncertain() -> None:
    assert outcome(Unavailable(), NotStored()) is Unavailable
