"""Deliveries as messages of SQS: sizes, characters, and messages that are not ours."""

import pytest

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import DeadLetter
from soketpy.drivers.aws.sqs_messages import Entry, NotOurs, batches, dead_entry, decode, encode, entry_of, rounds
from tests.drivers.queues import delivery


@pytest.mark.parametrize("body", [b"{}", "é\ufffe\x7f😀".encode(), b"x" * 100_000, bytes(range(256)) * 400])
def test_a_delivery_and_a_dead_letter_are_read_as_they_were_written(body: bytes) -> None:
    written = Delivery("id", "app", "hook", "http://hook/é\uffff", "lane", body, 3, 12.5, 2, "HTTP 500")
    letter = DeadLetter(written, 13.5, "HTTP 410")
    assert decode(encode(written), Delivery) == written
    assert decode(encode(letter), DeadLetter) == letter
    assert all(" " <= character <= "~" for character in encode(written) + encode(letter))


def test_a_long_message_is_compressed() -> None:
    assert len(encode(delivery(size=1_000_000))) < 10_000


@pytest.mark.parametrize(
    "body", ["", "{}", "hello", '{"appKey":"k","payload":{}}', "z:", "z:!", "z:eJwDAAAAAAE=", "[1]"]
)
def test_a_message_of_others_is_not_ours(body: str) -> None:
    with pytest.raises(NotOurs):
        decode(body, Delivery)


def test_the_ids_of_groups_have_only_characters_that_sqs_takes() -> None:
    odd = delivery("\ud800 é" * 100)
    for entry in (entry_of(odd), entry_of(odd, again="1"), dead_entry(DeadLetter(delivery(), 0, ""), "1")):
        assert entry.group.isascii()
        assert entry.once.replace("-", "").isalnum()
        assert max(len(entry.group), len(entry.once)) <= 128


def test_a_revived_delivery_is_not_taken_for_a_repeated_one() -> None:
    one = delivery()
    assert len({entry_of(one).once, entry_of(one, again="1").once, entry_of(one, again="2").once}) == 3


def test_a_batch_has_at_most_ten_messages_and_the_bytes_of_one_call() -> None:
    small = [Entry("x", str(number), str(number)) for number in range(25)]
    assert [len(each) for each in batches(small, 1000)] == [10, 10, 5]
    large = [Entry("x" * 400, str(number), str(number)) for number in range(5)]
    assert [len(each) for each in batches(large, 1000)] == [2, 2, 1]


def test_a_round_has_one_message_of_each_group_and_rounds_keep_the_order() -> None:
    entries = [Entry(str(number), group, "") for number, group in enumerate("aabacb")]
    assert [[each.body for each in one] for one in rounds(entries)] == [["0", "2", "4"], ["1", "5"], ["3"]]
