"""The connection to Redis: commands of one iteration are sent together, replies keep their order, garbage ends it."""

import asyncio
from typing import Any, cast

import hiredis
import pytest

from soketpy.core.containment import failures
from soketpy.drivers.redis.wire import Wire


class Transport:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Talk:
    """A wire without Redis."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        self.answers: list[Any] = []
        self.lost = 0
        self.wire = Wire(lambda topic, message: self.heard.append((topic, message)), self._mark_lost)
        self.transport = Transport()
        self.wire.connection_made(cast(asyncio.Transport, self.transport))

    def _mark_lost(self) -> None:
        self.lost += 1


@pytest.fixture
async def talk() -> Talk:
    return Talk()


async def test_what_is_said_in_one_turn_goes_out_together(talk: Talk) -> None:
    talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.subscribe(b"b")
    assert talk.transport.written == []
    await asyncio.sleep(0)
    assert talk.transport.written == [b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nb\r\n"]


async def test_answers_and_messages_may_be_cut_anywhere(talk: Talk) -> None:
    for _ in range(2):
        talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.subscribe(b"t")
    talk.wire.send("GET", "a", then=talk.answers.append)
    assert talk.wire.silence() >= 0
    stream = b"$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$1\r\nm\r\n-ERR no\r\n"
    stream += b">3\r\n$9\r\nsubscribe\r\n$1\r\nt\r\n:1\r\n+OK\r\n"
    for byte in stream:
        talk.wire.data_received(bytes([byte]))
    assert talk.answers[0] == b"1"
    assert isinstance(talk.answers[1], hiredis.ReplyError)
    assert talk.answers[2] == b"OK"
    assert talk.heard == [(b"t", b"m")]
    assert talk.wire.silence() == 0


async def test_a_topic_that_may_not_be_heard_ends_the_connection(talk: Talk) -> None:
    talk.wire.subscribe(b"t")
    talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.data_received(b"-NOPERM no access to the channel\r\n")
    assert talk.transport.aborted
    assert talk.answers == []


async def test_a_topic_that_redis_lets_go_of_unasked_ends_the_connection(talk: Talk) -> None:
    talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.data_received(b">3\r\n$12\r\nsunsubscribe\r\n$1\r\nt\r\n:0\r\n")
    assert talk.transport.aborted


async def test_a_key_that_is_elsewhere_ends_the_connection(talk: Talk) -> None:
    talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.data_received(b"-MOVED 1 127.0.0.1:7000\r\n")
    assert [str(answer) for answer in talk.answers] == ["MOVED 1 127.0.0.1:7000"]
    assert talk.transport.aborted


async def test_topics_of_shards_have_commands_of_their_own(talk: Talk) -> None:
    talk.wire.sharded = True
    talk.wire.subscribe(b"t")
    talk.wire.unsubscribe(b"t")
    talk.wire.data_received(b">3\r\n$8\r\nsmessage\r\n$1\r\nt\r\n$1\r\nm\r\n")
    assert talk.heard == [(b"t", b"m")]
    await asyncio.sleep(0)
    assert talk.transport.written == [b"*2\r\n$10\r\nSSUBSCRIBE\r\n$1\r\nt\r\n*2\r\n$12\r\nSUNSUBSCRIBE\r\n$1\r\nt\r\n"]


@pytest.mark.parametrize("stream", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n"], ids=["not Redis", "unasked"])
async def test_what_cannot_be_ends_the_connection(talk: Talk, stream: bytes) -> None:
    talk.wire.data_received(stream)
    assert talk.transport.aborted
    talk.wire.send("GET", "a", then=talk.answers.append)
    await asyncio.sleep(0)
    assert talk.transport.written == []


async def test_who_waits_is_told_when_the_connection_ends(talk: Talk) -> None:
    talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.subscribe(b"b")
    talk.wire.connection_lost(None)
    assert [str(answer) for answer in talk.answers] == ["LOST the connection has ended"]
    talk.wire.send("GET", "a", then=talk.answers.append)
    assert len(talk.answers) == 1, "not before the verb that asks can wait for it"
    await asyncio.sleep(0)
    assert [str(answer) for answer in talk.answers] == ["LOST the connection has ended"] * 2
    assert talk.lost == 1
    talk.wire.close()


class Broken(IndexError):
    """A fault of an operation, of the type that a reply without a command once had."""


def _fail(*_: object) -> None:
    raise Broken


@pytest.mark.usefixtures("contained")
async def test_an_operation_that_fails_with_its_reply_leaves_the_others_theirs(talk: Talk) -> None:
    before = failures.count
    talk.wire.send("GET", "a", then=_fail)
    talk.wire.send("GET", "b", then=talk.answers.append)
    talk.wire.data_received(b"+a\r\n+b\r\n")
    assert talk.answers == [b"b"]
    assert not talk.transport.aborted
    assert failures.count == before + 1


@pytest.mark.usefixtures("contained")
async def test_a_message_that_cannot_be_processed_leaves_the_others() -> None:
    before, heard = failures.count, []

    def hear(topic: bytes, message: bytes) -> None:
        if message == b"m":
            raise Broken
        heard.append(message)

    wire, transport = Wire(hear, lambda: None), Transport()
    wire.connection_made(cast(asyncio.Transport, transport))
    for message in (b"l", b"m", b"n"):
        wire.data_received(b">3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$1\r\n%b\r\n" % message)
    assert heard == [b"l", b"n"]
    assert not transport.aborted
    assert failures.count == before + 1


@pytest.mark.usefixtures("contained")
async def test_an_operation_that_fails_at_the_end_of_the_connection_still_fails_the_others(talk: Talk) -> None:
    before = failures.count
    talk.wire.send("GET", "a", then=_fail)
    talk.wire.send("GET", "b", then=talk.answers.append)
    talk.wire.connection_lost(None)
    assert len(talk.answers) == 1
    assert talk.lost == 1
    talk.wire.send("GET", "a", then=_fail)
    await asyncio.sleep(0)
    assert failures.count == before + 2


@pytest.mark.usefixtures("contained")
async def test_who_is_told_of_the_end_of_the_connection_may_fail() -> None:
    before = failures.count
    Wire(lambda *_: None, _fail).connection_lost(None)
    assert failures.count == before + 1


async def test_a_command_that_cannot_be_encoded_takes_no_reply(talk: Talk) -> None:
    with pytest.raises(UnicodeEncodeError):
        talk.wire.send("GET", "\ud800", then=_fail)
    talk.wire.send("GET", "b", then=talk.answers.append)
    talk.wire.data_received(b"+b\r\n")
    assert talk.answers == [b"b"]


async def test_nothing_that_comes_behind_a_stray_reply_is_taken_for_an_answer(talk: Talk) -> None:
    def ask_again(reply: object) -> None:
        talk.answers.append(reply)

    talk.wire.data_received(b"+stray\r\n+other\r\n")
    talk.wire.send("GET", "a", then=ask_again)
    assert talk.transport.aborted
    assert talk.answers == []


@pytest.mark.parametrize(
    "push", [b">1\r\n$7\r\nmessage\r\n", b">1\r\n$9\r\nsubscribe\r\n", b">1\r\n$10\r\ninvalidate\r\n"]
)
async def test_a_push_without_what_belongs_to_it_is_skipped(talk: Talk, push: bytes) -> None:
    talk.wire.send("GET", "a", then=talk.answers.append)
    talk.wire.data_received(push + b"+a\r\n")
    assert talk.answers == [b"a"]
    assert not talk.transport.aborted
