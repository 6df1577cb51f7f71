"""The facts of docs/webhooks.md: the events with their fields, and the program that has webhooks."""

import re
from dataclasses import replace
from pathlib import Path

from soketpy import App, Webhook
from soketpy.config import settings as config
from soketpy.core import deliveries, retries
from soketpy.core.fields import fields_of
from soketpy.core.webhooks import Filter
from soketpy.process.webhooks import RETURN_TIMEOUT
from soketpy.protocol.event_types import EVENT_TYPES
from soketpy.webhooks import http
from tests.conftest import StartServer
from tests.fakes import APP
from tests.receiver import receiving

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "webhooks.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (`.*?`) \| (?!`)", PAGE, flags=re.M)


def test_the_table_of_events_has_all_of_them_in_their_order() -> None:
    assert [name for name, _ in ROWS] == list(EVENT_TYPES)


async def test_each_event_has_the_fields_of_the_table(start_server: StartServer) -> None:
    async with receiving() as receiver:
        app = replace(APP, webhooks=(Webhook(url=receiver.url(), event_types=EVENT_TYPES),))
        peers = await start_server(apps=(app,), webhooks=config.Webhooks(queue="memory", grace=0))
        ada, bob = await peers.client(), await peers.client()
        for channel in ("private-room", "presence-room"):
            for name, client in (("ada", ada), ("bob", bob)):
                await client.subscribe(channel, {"user_id": name} if channel.startswith("presence") else None)
            await ada.say("client-hello", {}, channel=channel)
        await ada.subscribe("cache-empty")
        await ada.sign_in("ada")
        for client in (ada, bob):
            await client.peer.close()
        await receiver.wait_for_events(*EVENT_TYPES)
        seen: dict[str, set[str]] = {}
        for name, cell in ROWS:
            always, _, sometimes = cell.partition(";")
            required, optional = (set(re.findall(r"`(\w+)`", part)) for part in (always, sometimes))
            for event in receiver.events:
                if event["name"] == name:
                    fields = set(event) - {"name"}
                    assert required <= fields <= required | optional
                    seen[name] = seen.get(name, set()) | fields
            assert seen[name] == required | optional


def test_the_program_has_an_app_with_a_webhook() -> None:
    text = re.search(r"^```python\n(from soketpy .*?)^```$", PAGE, flags=re.M | re.S)
    assert text is not None
    names: dict[str, App] = {}
    exec(text[1], names)
    assert names["app"].webhooks[0].wants("member_added", "presence-room-1")


def test_every_field_of_a_webhook_is_documented() -> None:
    section = (DOCS / "configuration.md").read_text().split("\n### Webhooks of an app\n")[1].split("\n### ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.M) == [name.rstrip("_") for name in fields_of(Webhook)]
    for name in fields_of(Filter):
        assert f"`{name}`" in section


def test_the_numbers_are_those_of_the_code() -> None:
    prose = " ".join(PAGE.split())
    defaults = config.Webhooks()
    assert f"at most {deliveries.MOST_EVENTS} events and {deliveries.MOST_BYTES // 1024} KiB" in prose
    assert f"at most {deliveries.LANES} requests in flight, and with batching at most {deliveries.BATCH_LANES}" in prose
    assert f"after about {retries.FIRST_PAUSE:g} second, then after about 2, 4, 8, 16, 32 and" in prose
    assert f"32 and {retries.LONGEST_PAUSE:g} seconds, until" in prose
    assert f"at most {'an hour' if retries.LONGEST_RETRY_AFTER == 3600 else ''})" in prose
    assert f"until it is {defaults.retry_for / 60:g} minutes old" in prose
    assert f"at most {defaults.queue_size:,} deliveries" in prose
    assert f"kept for {defaults.keep_dead_letters / 86_400:g} days" in prose
    assert f"wait for {defaults.grace:g} seconds" in prose
    assert f"`webhooks.timeout` ({defaults.timeout:g} s)" in prose
    assert f"`batch_duration` ({defaults.batch_duration * 1000:g} ms)" in prose
    assert f"at most {http.MOST_READ // 1024} KiB of an answer" in prose
    assert f"clients have {RETURN_TIMEOUT:g} seconds to return" in prose
