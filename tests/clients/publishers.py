"""The libraries with which applications publish: PyPI's ``pusher`` and npm's, under one set of verbs."""

import json
from typing import Any, Protocol

import pusher

from tests.clients.javascript import Script
from tests.clients.programs import APP, PATIENCE

MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"""32 bytes in Base64, which encrypt the channels of these tests."""


class Publisher(Protocol):
    """The calls that both libraries have."""

    def trigger(self, channels: str | list[str], event: str, data: object, socket_id: str | None = None) -> Any:
        """Trigger an event."""

    def send_to_user(self, user: str, event: str, data: object) -> Any:
        """Trigger an event for one user."""

    def trigger_batch(self, batch: list[dict[str, object]]) -> Any:
        """Trigger several events."""

    def channels(self, prefix: str, info: str) -> Any:
        """List the channels whose names start so, with an attribute of each."""

    def channel(self, name: str, info: str) -> Any:
        """Tell the state of a channel, with an attribute of it."""

    def users(self, channel: str) -> Any:
        """List the members of a presence channel."""

    def authorize(self, channel: str, socket_id: str, member: dict[str, object] | None = None) -> Any:
        """Sign a subscription."""

    def authenticate(self, socket_id: str, user: dict[str, object]) -> Any:
        """Sign a sign-in."""

    def end(self) -> None:
        """Close what the library has open."""


class PyPI:
    """PyPI's ``pusher``; ``library`` is its own client."""

    def __init__(self, port: int, **options: Any) -> None:
        account: dict[str, Any] = {"app_id": APP["id"], "key": APP["key"], "secret": APP["secret"], **options}
        self.library = pusher.Pusher(
            **account,
            ssl=False,
            host="127.0.0.1",
            port=port,
            timeout=PATIENCE,
            encryption_master_key_base64=MASTER_KEY,
        )

    def trigger(self, channels: str | list[str], event: str, data: object, socket_id: str | None = None) -> Any:
        return self.library.trigger(channels, event, data, socket_id)

    def send_to_user(self, user: str, event: str, data: object) -> Any:
        return self.library.send_to_user(user, event, data)

    def trigger_batch(self, batch: list[dict[str, object]]) -> Any:
        return self.library.trigger_batch(batch)

    def channels(self, prefix: str, info: str) -> Any:
        return self.library.channels_info(prefix, [info])

    def channel(self, name: str, info: str) -> Any:
        return self.library.channel_info(name, [info])

    def users(self, channel: str) -> Any:
        return self.library.users_info(channel)

    def authorize(self, channel: str, socket_id: str, member: dict[str, object] | None = None) -> Any:
        return self.library.authenticate(channel, socket_id, member)

    def authenticate(self, socket_id: str, user: dict[str, object]) -> Any:
        return self.library.authenticate_user(socket_id, user)

    def end(self) -> None:
        # The library never closes the session that it keeps.
        self.library._pusher_client.http.session.close()


class Npm:
    """npm's ``pusher``."""

    def __init__(self, port: int, **options: object) -> None:
        account = {"appId": APP["id"], "key": APP["key"], "secret": APP["secret"], **options}
        self._script = Script(
            "publisher.mjs",
            json.dumps(
                {
                    **account,
                    "useTLS": False,
                    "host": "127.0.0.1",
                    "port": port,
                    "encryptionMasterKeyBase64": MASTER_KEY,
                }
            ),
        )

    def call(self, method: str, *args: object) -> Any:
        """Call a method of the library. Raises Fault with the status of a refused request."""
        return self._script.ask(method, args)

    def trigger(self, channels: str | list[str], event: str, data: object, socket_id: str | None = None) -> Any:
        return self.call("trigger", channels, event, data, {} if socket_id is None else {"socket_id": socket_id})

    def send_to_user(self, user: str, event: str, data: object) -> Any:
        return self.call("sendToUser", user, event, data)

    def trigger_batch(self, batch: list[dict[str, object]]) -> Any:
        return self.call("triggerBatch", batch)

    def channels(self, prefix: str, info: str) -> Any:
        return self.call("get", {"path": "/channels", "params": {"filter_by_prefix": prefix, "info": info}})

    def channel(self, name: str, info: str) -> Any:
        return self.call("get", {"path": f"/channels/{name}", "params": {"info": info}})

    def users(self, channel: str) -> Any:
        return self.call("get", {"path": f"/channels/{channel}/users"})

    def authorize(self, channel: str, socket_id: str, member: dict[str, object] | None = None) -> Any:
        return self.call("authorizeChannel", socket_id, channel, member)

    def authenticate(self, socket_id: str, user: dict[str, object]) -> Any:
        return self.call("authenticateUser", socket_id, user)

    def end(self) -> None:
        self._script.end()
