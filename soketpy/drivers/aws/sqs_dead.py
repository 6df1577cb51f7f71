"""The dead letters of the SQS queue: a second FIFO queue, in which each letter is a group of its own.

SQS cannot list messages. To find letters, all of them are received and then given back. A letter that another command
has received at the same time is not found.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from soketpy.core.webhook_ports import DeadLetter, QueueUnavailable
from soketpy.drivers.aws.fifo import Fifo, SqsFault
from soketpy.drivers.aws.sqs_messages import NotOurs, dead_entry, decode

MOST_LISTED = 10_000
"""Letters that are looked at, at most."""

INVISIBLE = 60
"""Seconds for which no other command receives the letters that a command has received."""

LONGEST_KEPT = 14 * 86_400
"""Seconds for which SQS keeps a message, at most."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter that was received. ``receipt`` is needed to delete it."""

    id: str
    receipt: str
    letter: DeadLetter


class DeadLetters:
    """The queue of dead letters. ``wait`` is for how many seconds SQS looks for further letters."""

    def __init__(self, queue: Fifo, *, keep: float, wait: int = 1, clock: Callable[[], float] = time.time) -> None:
        self.queue = queue
        self._keep = keep
        self._wait = wait
        self._clock = clock

    async def open(self) -> None:
        """Create the queue if it does not exist. Raise QueueUnavailable."""
        try:
            await self.queue.attributes()
        except SqsFault as fault:
            if not fault.is_missing:
                raise
            await self._create()

    async def _create(self) -> None:
        kept = max(60, min(LONGEST_KEPT, round(self._keep)))
        try:
            await self.queue.create({"MessageRetentionPeriod": str(kept)})
        except SqsFault as refusal:
            problem = f"the queue {self.queue.url} for dead letters cannot be created ({refusal}): create it"
            raise QueueUnavailable(problem) from None

    async def store(self, letter: DeadLetter, message_id: str) -> None:
        """Store a letter. A letter of the same message is stored once."""
        await self.queue.send([dead_entry(letter, message_id)])

    async def newest(self, limit: int) -> Sequence[DeadLetter]:
        """Return letters, the newest first."""
        letters = await self._receive()
        await self.give_back(letters)
        return [each.letter for each in sorted(letters, key=_died)[::-1][:limit]]

    async def take(self, app_id: str | None, delivery_id: str | None) -> Sequence[Letter]:
        """Receive one letter, those of an app, or all, in the order of their deaths. Give the others back."""
        letters = await self._receive()
        chosen = [
            each
            for each in letters
            if app_id in (None, each.letter.delivery.app_id) and delivery_id in (None, each.letter.delivery.id)
        ]
        ids = {each.id for each in chosen}
        await self.give_back([each for each in letters if each.id not in ids])
        return sorted(chosen, key=_died)

    async def delete(self, letters: Sequence[Letter]) -> None:
        """Delete letters that were received."""
        await self.queue.delete([each.receipt for each in letters])

    async def give_back(self, letters: Sequence[Letter]) -> None:
        """Make letters visible again that were received."""
        await self.queue.hide([each.receipt for each in letters], 0)

    async def _receive(self) -> list[Letter]:
        """Receive all letters. Delete those that are too old."""
        found: dict[str, Letter] = {}
        old = []
        while len(found) < MOST_LISTED:
            received = await self.queue.receive(wait=self._wait, invisible=INVISIBLE)
            if not received:
                break
            for each in received:
                try:
                    letter = decode(each.body, DeadLetter)
                except NotOurs:
                    continue
                if letter.died < self._clock() - self._keep:
                    old.append(each.receipt)
                else:
                    found[each.id] = Letter(each.id, each.receipt, letter)
        await self.queue.delete(old)
        return list(found.values())


def _died(letter: Letter) -> float:
    return letter.letter.died
