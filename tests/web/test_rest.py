"""The REST API over a real server."""

from tests.conftest import Peers


async def test_an_event_reaches_a_subscriber_byte_for_byte(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("my-channel")
    reply = await peers.trigger("my-channel", "my-event", '{ "spaces": 1.0}')
    assert (reply.status, reply.json) == (200, {})
    assert '"{ \\"spaces\\": 1.0}"' in str(await client.peer.recv())
