"""Calls that wait, in a server without Redis."""

from typing import Any

from soketpy.core.node import Node
from soketpy.core.ports import Receipt
from soketpy.core.steps import Future


class Everything:
    """Contains whatever there is."""

    def __contains__(self, _: object) -> bool:
        return True


class Waiting:
    """Lets the calls of a node wait, as for room or for a confirmation of Redis, and notes what is published."""

    def __init__(self, node: Node, method: str) -> None:
        self._futures: list[Future[None]] = []
        self._ended = False
        self.published: list[str] = []
        self._note(node, "publish", receipt=method == "sent")
        self._note(node, "terminate", receipt=method == "sent")
        if method == "room":
            node.full = Everything()
            for owner in (node, node._bus):
                setattr(owner, method, self._wait)

    def _note(self, node: Node, method: str, *, receipt: bool) -> None:
        original = getattr(node, method)

        def note(*args: Any) -> Receipt | None:
            self.published.append(method)
            its: Receipt | None = original(*args)
            return self._wait() if receipt else its

        setattr(node, method, note)

    async def _wait(self, *_: str) -> None:
        if self._ended:
            return
        future: Future[None] = Future()
        self._futures.append(future)
        await future

    def __len__(self) -> int:
        return len(self._futures)

    def let_go(self) -> None:
        """Let those who wait continue."""
        for future in self._futures:
            future.set_result(None)

    def end(self) -> None:
        """Let those who wait continue, and nobody wait from now on."""
        self._ended = True
        self.let_go()

    def fail(self, fault: Exception) -> None:
        """Let those who wait meet a fault."""
        for future in self._futures:
            future.set_exception(fault)
