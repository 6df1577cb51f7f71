"""The events of a load test: which subscriber has received which event of which publisher."""

from collections.abc import Collection, Sequence


class Ledger:
    """The numbers of the received events. Each publisher numbers its events from 1, and sends them in this order."""

    def __init__(self, subscribers: int, publishers: int) -> None:
        self._last = [[0] * publishers for _ in range(subscribers)]
        self._gaps: dict[tuple[int, int], set[int]] = {}
        self.delivered = 0
        self.duplicated = 0
        self.reordered = 0

    def receive(self, subscriber: int, publisher: int, number: int) -> None:
        """Note that a subscriber has received an event."""
        last = self._last[subscriber][publisher]
        if number > last:
            self._last[subscriber][publisher] = number
            if number > last + 1:
                self._gaps.setdefault((subscriber, publisher), set()).update(range(last + 1, number))
            self.delivered += 1
        elif number in (gaps := self._gaps.get((subscriber, publisher), set())):
            gaps.remove(number)
            self.delivered += 1
            self.reordered += 1
        else:
            self.duplicated += 1

    def lost(self, sent: Sequence[int], refused: Sequence[Collection[int]]) -> int:
        """Return the number of events that did not arrive.

        ``sent`` has the last number of each publisher, and ``refused`` the numbers that the server did not accept. A
        refused event may arrive all the same, and is not lost if it does not.
        """
        lost = 0
        for subscriber, numbers in enumerate(self._last):
            for publisher, last in enumerate(numbers):
                missing = self._gaps.get((subscriber, publisher), set()).difference(refused[publisher])
                late = sum(1 for number in refused[publisher] if number > last)
                lost += len(missing) + sent[publisher] - last - late
        return lost
