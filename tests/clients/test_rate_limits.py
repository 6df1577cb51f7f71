"""Pusher's libraries at a rate limit of the server."""

import asyncio
from dataclasses import replace

from tests.clients.conftest import options_of
from tests.clients.javascript import Runtime
from tests.conftest import StartServer
from tests.fakes import APP


async def test_pusher_js_comes_back_after_it_was_refused_for_the_rate_of_connects(
    start_server: StartServer, node: Runtime
) -> None:
    peers = await start_server(apps=(replace(APP, max_connects_per_second=0),))
    options = options_of("ada", peers.port, "http://127.0.0.1:1")
    client = await asyncio.to_thread(node.open, key=APP.key, options=options, origin="", build="pusher")
    error = await asyncio.to_thread(client.hear, "error")
    assert error["code"] == 4100
    peers.reload(APP)
    assert await asyncio.to_thread(client.connected)
    await asyncio.to_thread(client.close)
