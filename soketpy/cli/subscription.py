"""The subscriptions of a command: their signatures, and the member of presence channels."""

import json
from dataclasses import dataclass, field
from typing import Any

from soketpy.protocol.channels import kind_of
from soketpy.protocol.signatures import channel_text, sign


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A key with its secret, and the user that joins presence channels. The secret is never shown."""

    key: str
    secret: str = field(repr=False)
    user_id: str | None = None
    user_info: Any = None

    def request(self, channel: str, socket_id: str) -> dict[str, str]:
        """Return the data of ``pusher:subscribe`` for a channel."""
        kind = kind_of(channel)
        if not kind.guarded:
            return {"channel": channel}
        member = self._member() if kind.presence else None
        signature = sign(self.secret, channel_text(socket_id, channel, member))
        request = {"channel": channel, "auth": f"{self.key}:{signature}"}
        return request if member is None else request | {"channel_data": member}

    def _member(self) -> str:
        info = {} if self.user_info is None else {"user_info": self.user_info}
        return json.dumps({"user_id": self.user_id, **info})
