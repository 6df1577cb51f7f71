"""Who is on which channel in this process, and fan-out to them.

Invariants:

1. A subscriber gets every frame that was published on the channel between its join and its leave, once each, in the
   order of publishing, and none that was published before its join.
2. Frames that are published on one channel before its flush, in the next iteration of the event loop or somewhat later,
   are joined, and each subscriber is written to once. Excluding a subscriber from one of the frames changes only what
   that subscriber is written.
3. Who leaves has been written all that was published before, so that nothing is lost in front of a close.
4. A long fan-out yields: after ``slice_size`` subscribers the event loop gets its turn, and frames that are published
   meanwhile wait for the next round.
5. Nothing here waits. How a slow subscriber is kept from growing is the subscriber's matter.
6. A subscriber whose write raises changes nothing for the others. It is asked to ``fail`` in a later iteration of the
   event loop.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from soketpy.core.steps import Soon

SLICE_SIZE = 1_000
"""Subscribers that are written to before the event loop gets its turn: some milliseconds."""


class Subscriber(Protocol):
    """Someone who can be on channels."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Take bytes for the client; never blocks."""

    def fail(self, fault: Exception) -> None:
        """End a subscriber whose ``write`` raised. Never raises."""


class Batch:
    """The frames of one channel that go out together. ``first`` is the number of the first of them."""

    __slots__ = ("excluded", "first", "frames", "whole")

    def __init__(self, first: int) -> None:
        self.first = first
        self.frames: list[bytes] = []
        self.excluded: dict[Subscriber, set[int]] = {}
        self.whole = b""

    def add(self, frame: bytes, exclude: Subscriber | None) -> None:
        """Put a frame behind the others."""
        if exclude is not None:
            self.excluded.setdefault(exclude, set()).add(self.first + len(self.frames))
        self.frames.append(frame)

    def seal(self) -> None:
        """Join the frames; none may be added after this."""
        self.whole = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)

    def write_to(self, subscriber: Subscriber, joined: int) -> None:
        """Write what one subscriber is due, who gets the frames from number ``joined`` on."""
        if joined <= self.first and subscriber not in self.excluded:
            subscriber.write(self.whole or b"".join(self.frames))
            return
        not_for_it = self.excluded.get(subscriber, ())
        due = [
            frame
            for number, frame in enumerate(self.frames, self.first)
            if number >= joined and number not in not_for_it
        ]
        if due:
            subscriber.write(b"".join(due))


class Channel:
    """One channel: its subscribers, each with the number of the first frame that it gets, and the frames in wait."""

    __slots__ = (
        "_flush_soon",
        "_newest",
        "_next",
        "_pending",
        "_slice_size",
        "_soon",
        "_unwritten",
        "_writing",
        "subscribers",
    )

    def __init__(self, soon: Soon, flush_soon: Soon, slice_size: int) -> None:
        self.subscribers: dict[Subscriber, int] = {}
        self._soon = soon
        self._flush_soon = flush_soon
        self._slice_size = slice_size
        self._next = 0
        self._newest = 0  # the highest of the numbers of the subscribers
        self._pending: Batch | None = None
        self._writing: Batch | None = None
        self._unwritten: dict[Subscriber, int] = {}

    def join(self, subscriber: Subscriber) -> None:
        """Let the subscriber have what is published from now on."""
        self.subscribers[subscriber] = self._newest = self._next

    def leave(self, subscriber: Subscriber) -> None:
        """Write the subscriber what it is still due, and let it have nothing more."""
        joined = self.subscribers.pop(subscriber)
        try:
            if self._writing is not None and self._unwritten.pop(subscriber, None) is not None:
                self._writing.write_to(subscriber, joined)
            if self._pending is not None:
                self._pending.write_to(subscriber, joined)
        except Exception as fault:
            self._fail(subscriber, fault)

    def publish(self, frame: bytes, exclude: Subscriber | None = None) -> None:
        """Let every subscriber but ``exclude`` have this frame, with the next flush."""
        if self._pending is None:
            self._pending = Batch(self._next)
            if self._writing is None:
                self._flush_soon(self._flush)
        self._next += 1
        self._pending.add(frame, exclude)

    def _flush(self) -> None:
        """Write the frames in wait to those who are subscribed now."""
        batch = self._pending
        assert batch is not None  # noqa: S101 - scheduled with a batch in wait only
        self._pending = None
        batch.seal()
        if len(self.subscribers) > self._slice_size:
            self._writing = batch
            self._unwritten = dict(self.subscribers)
            self._write_slice()
        elif batch.excluded or self._newest > batch.first:
            self._write(batch, iter(list(self.subscribers.items())))
        else:
            # All are due everything: the loop that all speed hangs on, and one call a subscriber.
            whole = batch.whole
            for subscriber in list(self.subscribers):
                try:
                    subscriber.write(whole)
                except Exception as fault:
                    self._fail(subscriber, fault)

    def _write_slice(self) -> None:
        """Write the batch to some more subscribers, then give the event loop its turn."""
        batch, unwritten = self._writing, self._unwritten
        assert batch is not None  # noqa: S101 - scheduled by _flush only
        self._write(batch, (unwritten.popitem() for _ in range(min(self._slice_size, len(unwritten)))))
        if unwritten:
            self._soon(self._write_slice)
            return
        self._writing = None
        if self._pending is not None:
            self._flush_soon(self._flush)

    def _write(self, batch: Batch, subscribers: Iterator[tuple[Subscriber, int]]) -> None:
        """Write a batch to some, of whom most are due everything."""
        whole, first = batch.whole, batch.first
        excluded = batch.excluded
        for subscriber, joined in subscribers:
            try:
                if joined > first or subscriber in excluded:
                    batch.write_to(subscriber, joined)
                else:
                    subscriber.write(whole)
            except Exception as fault:
                self._fail(subscriber, fault)

    def _fail(self, subscriber: Subscriber, fault: Exception) -> None:
        """Have a subscriber end, but not now: that changes who is subscribed."""
        self._soon(partial(subscriber.fail, fault))


class Hub:
    """All channels of all apps in this process that have a subscriber.

    ``soon`` gives the event loop its turn; ``flush_soon`` says when what was published goes out, if not then.
    """

    def __init__(self, soon: Soon, slice_size: int = SLICE_SIZE, *, flush_soon: Soon | None = None) -> None:
        self._soon = soon
        self._flush_soon = flush_soon or soon
        self._slice_size = slice_size
        self._channels: dict[tuple[str, str], Channel] = {}

    def join(self, app_id: str, name: str, subscriber: Subscriber) -> None:
        """Put the subscriber on the channel; it must not be on it already."""
        channel = self._channels.get((app_id, name))
        if channel is None:
            channel = self._channels[app_id, name] = Channel(self._soon, self._flush_soon, self._slice_size)
        channel.join(subscriber)

    def leave(self, app_id: str, name: str, subscriber: Subscriber) -> None:
        """Take the subscriber off the channel; nothing where it is not on it."""
        channel = self._channels.get((app_id, name))
        if channel is None or subscriber not in channel.subscribers:
            return
        channel.leave(subscriber)
        if not channel.subscribers:
            del self._channels[app_id, name]

    def publish(self, app_id: str, name: str, frame: bytes, exclude: Subscriber | None = None) -> int:
        """Let all who are on the channel but ``exclude`` have this frame; return how many those are."""
        channel = self._channels.get((app_id, name))
        if channel is None:
            return 0
        channel.publish(frame, exclude)
        return len(channel.subscribers) - (exclude in channel.subscribers)

    def __contains__(self, channel: tuple[str, str]) -> bool:
        return channel in self._channels

    def __len__(self) -> int:
        return len(self._channels)
