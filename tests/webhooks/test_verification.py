"""The verification functions of Pusher's libraries accept soketpy's webhooks, also during the rotation of keys."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pusher
import pytest

from soketpy import Key, Webhook
from soketpy.config import settings as config
from soketpy.protocol.event_types import EVENT_TYPES
from tests.clients.javascript import FOLDER
from tests.conftest import StartServer
from tests.fakes import APP
from tests.receiver import Request, receiving

NEW, OLD = Key("new-key", "new-secret"), APP.keys[0]
USER = "é ☃ 😀 \u2028 </script> \\"

NODE = """
const Pusher = require("pusher");
const { requests, keys } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answers = requests.map(({ headers, body }) => {
  const pusher = new Pusher({ appId: "1", key: keys[0].key, secret: keys[0].secret, host: "127.0.0.1" });
  const webhook = pusher.webhook({ headers, rawBody: body });
  return {
    alone: webhook.isValid(),
    either: webhook.isValid(keys.slice(1)),
    altered: pusher.webhook({ headers, rawBody: body + " " }).isValid(keys.slice(1)),
    names: webhook.getEvents().map((event) => event.name),
    time: webhook.getTime().getTime(),
  };
});
console.log(JSON.stringify(answers));
"""


@pytest.fixture
async def requests(start_server: StartServer) -> list[Request]:
    """Return the requests of an app with two keys, with events of each type. The data has unusual characters."""
    async with receiving() as receiver:
        webhook = Webhook(url=receiver.url(), event_types=EVENT_TYPES)
        app = replace(APP, keys=(NEW, OLD), webhooks=(webhook,))
        peers = await start_server(apps=(app,), webhooks=config.Webhooks(grace=0))
        ada, bob = await peers.client(), await peers.client()
        for client in (ada, bob):
            await client.subscribe("private-room")
        await ada.say("client-hello", {"text": USER}, channel="private-room")
        await ada.say("client-hello", USER, channel="private-room")
        await ada.sign_in("ada")
        await bob.subscribe("cache-empty")
        await bob.subscribe("presence-room", {"user_id": USER})
        for client in (ada, bob):
            await client.peer.close()
        await receiver.wait_for_events(*EVENT_TYPES)
        return list(receiver.requests)


def python(key: Key, request: Request) -> Any:
    """Verify a request with ``pusher`` of PyPI."""
    library = pusher.Pusher(app_id="1", key=key.key, secret=key.secret, host="127.0.0.1")
    headers = request.headers
    return library.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], request.body.decode())


async def node(requests: list[Request], *keys: Key) -> list[dict[str, Any]]:
    """Verify requests with ``pusher`` of npm, with the first key as its own and with the others as further tokens."""
    sent = [
        {"headers": {name.lower(): value for name, value in each.headers.items()}, "body": each.body.decode()}
        for each in requests
    ]
    pairs = [{"key": each.key, "secret": each.secret} for each in keys]
    process = await asyncio.create_subprocess_exec(
        *("node", "-e", NODE), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=FOLDER
    )
    written, _ = await process.communicate(json.dumps({"requests": sent, "keys": pairs}).encode())
    answers: list[dict[str, Any]] = json.loads(written)
    return answers


async def test_the_first_key_signs_and_pythons_library_accepts_it(requests: list[Request]) -> None:
    for request in requests:
        assert python(NEW, request) == json.loads(request.body)
        assert python(OLD, request) is None
        assert python(Key(NEW.key, OLD.secret), request) is None


async def test_a_receiver_on_node_accepts_either_key(requests: list[Request]) -> None:
    for answer, request in zip(await node(requests, OLD, NEW), requests, strict=True):
        assert (answer["alone"], answer["either"], answer["altered"]) == (False, True, False)
        assert answer["names"] == [event["name"] for event in request.events]
        assert answer["time"] == json.loads(request.body)["time_ms"]
    assert all(answer["alone"] for answer in await node(requests, NEW))
