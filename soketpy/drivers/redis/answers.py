"""The answers to calls with an idempotency key, for all nodes."""

from soketpy.core.ports import Unavailable
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.writes import Lost


class RedisAnswers:
    """The answers by app and key, for ``window`` seconds."""

    def __init__(self, commands: Commands, window: float) -> None:
        self._commands = commands
        self._window = round(1000 * window)

    async def find(self, app_id: str, key: str) -> bytes | None:
        """Return the answer to the call with a key, or None. Raise Unavailable without Redis."""
        try:
            answer: bytes | None = await self._commands.write(["find_answer", app_id, key]) or None
        except Lost:
            raise Unavailable from None
        return answer

    def put(self, app_id: str, key: str, answer: bytes) -> None:
        """Remember the answer to a call. Without Redis, a repeated call forms its answer again."""
        if self._commands.connected:
            self._commands.write(["put_answer", app_id, key, answer, self._window])
