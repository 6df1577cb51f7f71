"""The subscribers of each channel in this process, and fan-out to them.

Invariants:

1. A subscriber gets every frame that is published on the channel between its join and its leave: each frame once, in
   the order of publishing. It gets no frame from before its join.
2. Frames that are published on a channel before its flush are joined, and each subscriber gets them in one write. The
   flush runs in the next event loop iteration, or later if ``flush_soon`` says so. A subscriber that is excluded from
   one frame gets the other frames.
3. Before a subscriber leaves, it gets all earlier frames, so that a close loses no frame.
4. A long fan-out yields to the event loop after ``slice_size`` subscribers. Frames that are published in between wait
   for the next flush.
5. No call waits. Each subscriber bounds its own write buffer.
6. If a subscriber's ``write`` raises, the other subscribers are not affected. The hub calls the subscriber's ``fail``
   in a later event loop iteration.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import Protocol

from soketpy.core.histograms import Histogram
from soketpy.core.steps import Soon
from soketpy.protocol.channels import kind_name

SLICE_SIZE = 1_000
"""Subscribers per slice of a long fan-out: some milliseconds."""


SAMPLED = 64
"""Frames of a channel from one flush that is timed to the next one: to time each flush would cost a twentieth of it."""


class Subscriber(Protocol):
    """A receiver of frames, which can be on many channels."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Send bytes to the client. Never blocks."""

    def fail(self, fault: Exception) -> None:
        """Close the subscriber because its ``write`` raised. Never raises."""


class Batch:
    """The frames of one channel that are sent in one write. ``first`` is the number of the first frame."""

    __slots__ = ("excluded", "first", "frames", "whole")

    def __init__(self, first: int) -> None:
        self.first = first
        self.frames: list[bytes] = []
        self.excluded: dict[Subscriber, set[int]] = {}
        self.whole = b""

    def add(self, frame: bytes, exclude: Subscriber | None) -> None:
        """Append a frame."""
        if exclude is not None:
            self.excluded.setdefault(exclude, set()).add(self.first + len(self.frames))
        self.frames.append(frame)

    def seal(self) -> None:
        """Join the frames. No frame may be added afterwards."""
        self.whole = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)

    def write_to(self, subscriber: Subscriber, joined: int) -> None:
        """Write to one subscriber the frames from number ``joined`` on from which it is not excluded."""
        if joined <= self.first and subscriber not in self.excluded:
            subscriber.write(self.whole or b"".join(self.frames))
            return
        excluded = self.excluded.get(subscriber, ())
        due = [
            frame for number, frame in enumerate(self.frames, self.first) if number >= joined and number not in excluded
        ]
        if due:
            subscriber.write(b"".join(due))


class Channel:
    """One channel: its subscribers, each with the number of its first frame, and the frames that wait for the flush."""

    __slots__ = (
        "_began",
        "_fan_outs",
        "_flush_soon",
        "_newest",
        "_next",
        "_pending",
        "_pending_since",
        "_slice_size",
        "_soon",
        "_timed_next",
        "_unwritten",
        "_writing",
        "subscribers",
    )

    def __init__(self, soon: Soon, flush_soon: Soon, slice_size: int, fan_outs: Histogram) -> None:
        self.subscribers: dict[Subscriber, int] = {}
        self._fan_outs = fan_outs
        self._began = 0.0  # when the first frame was published that is written now in slices, or 0 if this is not timed
        self._timed_next = 0  # the number of the first frame whose flush is timed next
        self._pending_since = 0.0  # the same for the frames that wait for the end of those slices
        self._soon = soon
        self._flush_soon = flush_soon
        self._slice_size = slice_size
        self._next = 0
        self._newest = 0  # the highest number of a subscriber's first frame
        self._pending: Batch | None = None
        self._writing: Batch | None = None
        self._unwritten: dict[Subscriber, int] = {}

    def join(self, subscriber: Subscriber) -> None:
        """Add a subscriber, which gets the frames that are published after this."""
        self.subscribers[subscriber] = self._newest = self._next

    def leave(self, subscriber: Subscriber) -> None:
        """Write the waiting frames to the subscriber, then remove it."""
        self.catch_up(subscriber)
        del self.subscribers[subscriber]

    def catch_up(self, subscriber: Subscriber) -> None:
        """Write the waiting frames to one subscriber now. Later frames follow as for all subscribers."""
        joined = self.subscribers[subscriber]
        try:
            if self._writing is not None and self._unwritten.pop(subscriber, None) is not None:
                self._writing.write_to(subscriber, joined)
            if self._pending is not None:
                self._pending.write_to(subscriber, joined)
        except Exception as fault:
            self._fail(subscriber, fault)
        self.join(subscriber)

    def publish(self, frame: bytes, exclude: Subscriber | None = None) -> None:
        """Add a frame to the next flush, for every subscriber but ``exclude``."""
        if self._pending is None:
            self._pending = Batch(self._next)
            if self._next >= self._timed_next:
                self._begin_timed()
            elif self._writing is None:
                self._flush_soon(self._flush)
        self._next += 1
        self._pending.add(frame, exclude)

    def _begin_timed(self) -> None:
        """Have the waiting frames written as ``publish`` does, and their time measured."""
        self._timed_next = self._next + SAMPLED
        if self._writing is None:
            self._flush_soon(partial(self._flush_timed, monotonic()))
        else:
            self._pending_since = monotonic()

    def _flush(self) -> None:
        """Write the waiting frames to the subscribers."""
        batch = self._pending
        assert batch is not None  # noqa: S101 - scheduled only with a waiting batch
        self._pending = None
        batch.seal()
        if len(self.subscribers) > self._slice_size:
            self._writing = batch
            self._unwritten = dict(self.subscribers)
            self._write_slice()
        elif batch.excluded or self._newest > batch.first:
            self._write(batch, iter(list(self.subscribers.items())))
        else:
            # Every subscriber gets every frame. This loop is the hot path: one call per subscriber.
            whole = batch.whole
            for subscriber in list(self.subscribers):
                try:
                    subscriber.write(whole)
                except Exception as fault:
                    self._fail(subscriber, fault)

    def _flush_timed(self, began: float) -> None:
        """Flush as ``_flush`` does, and count the seconds from the first frame to the last write."""
        self._flush()
        if self._writing is None:
            self._fan_outs.count(monotonic() - began)
        else:
            self._began = began

    def _write_slice(self) -> None:
        """Write the batch to the next slice of subscribers, then yield to the event loop."""
        batch, unwritten = self._writing, self._unwritten
        assert batch is not None  # noqa: S101 - scheduled by _flush only
        self._write(batch, (unwritten.popitem() for _ in range(min(self._slice_size, len(unwritten)))))
        if unwritten:
            self._soon(self._write_slice)
            return
        self._writing = None
        if self._began:
            self._fan_outs.count(monotonic() - self._began)
            self._began = 0.0
        if self._pending is not None:
            since, self._pending_since = self._pending_since, 0.0
            self._flush_soon(partial(self._flush_timed, since) if since else self._flush)

    def _write(self, batch: Batch, subscribers: Iterator[tuple[Subscriber, int]]) -> None:
        """Write a batch to some subscribers, most of which get every frame."""
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
        """Close a subscriber later: to close it now would change the subscribers during a loop over them."""
        self._soon(partial(subscriber.fail, fault))


class Hub:
    """All channels in this process that have a subscriber, of all apps.

    ``soon`` calls a function in the next event loop iteration. ``flush_soon`` calls the flushes; by default it is
    ``soon``. Other modules read the attributes; only the hub changes them. ``kinds`` counts the channels by kind.
    ``fan_outs`` has the seconds from the first frame of a flush to the last write, of some flushes.
    """

    def __init__(self, soon: Soon, slice_size: int = SLICE_SIZE, *, flush_soon: Soon | None = None) -> None:
        self._soon = soon
        self._flush_soon = flush_soon or soon
        self._slice_size = slice_size
        self.channels: dict[tuple[str, str], Channel] = {}
        self.kinds: Counter[str] = Counter()
        self.fan_outs = Histogram()

    def join(self, app_id: str, name: str, subscriber: Subscriber) -> None:
        """Add a subscriber to a channel. It must not be on the channel already."""
        channel = self.channels.get((app_id, name))
        if channel is None:
            channel = Channel(self._soon, self._flush_soon, self._slice_size, self.fan_outs)
            self.channels[app_id, name] = channel
            self.kinds[kind_name(name)] += 1
        channel.join(subscriber)

    def leave(self, app_id: str, name: str, subscriber: Subscriber) -> None:
        """Remove a subscriber from a channel. Do nothing if it is not on the channel."""
        channel = self.channels.get((app_id, name))
        if channel is None or subscriber not in channel.subscribers:
            return
        channel.leave(subscriber)
        if not channel.subscribers:
            del self.channels[app_id, name]
            self.kinds[kind_name(name)] -= 1

    def catch_up(self, app_id: str, name: str, subscriber: Subscriber) -> None:
        """Write the waiting frames of a channel to one subscriber now. Do nothing if it is not on the channel."""
        channel = self.channels.get((app_id, name))
        if channel is not None and subscriber in channel.subscribers:
            channel.catch_up(subscriber)

    def publish(self, app_id: str, name: str, frame: bytes, exclude: Subscriber | None = None) -> int:
        """Send a frame to all subscribers of a channel but ``exclude``. Return the number of receivers."""
        channel = self.channels.get((app_id, name))
        if channel is None:
            return 0
        channel.publish(frame, exclude)
        return len(channel.subscribers) - (exclude in channel.subscribers)

    def __len__(self) -> int:
        return len(self.channels)
