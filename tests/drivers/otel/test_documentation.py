"""The table of attributes in docs/tracing.md, compared with what a server exports."""

import re
from dataclasses import replace
from pathlib import Path

from soketpy import Webhook
from soketpy.core.webhooks import LambdaOptions
from tests.aws import functions, options
from tests.collector import CLIENT, SERVER, Collector
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import until
from tests.receiver import answer_with, receiving

PAGE = (Path(__file__).parents[3] / "docs/tracing.md").read_text()


def documented() -> set[tuple[str, str]]:
    """Return the kind of span and the name of each attribute in the table."""
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|", PAGE, re.M)
    return {
        (kind, name) for names, kinds in rows for kind in kinds.split(", ") for name in re.findall("`(.+?)`", names)
    }


async def test_the_table_has_each_attribute_that_is_exported_and_no_other(
    collector: Collector, start_server: StartServer
) -> None:
    occupied = ("channel_occupied",)
    async with receiving() as receiver, functions() as lambdas:
        receiver.answer = answer_with(500, 200)
        function = LambdaOptions(client_options=options(lambdas.url))
        webhooks = (
            Webhook(url=receiver.url(), event_types=occupied),
            Webhook(lambda_function="f", lambda_=function, event_types=occupied),
        )
        peers = await start_server(tracing=collector.settings, apps=(replace(APP, webhooks=webhooks),))
        await (await peers.client()).subscribe("my-channel")
        await peers.trigger("my-channel", "e")
        await peers.request("PROPFIND", "/apps/app-id/events")
        peers.server._rest.draining = True
        await peers.trigger("my-channel", "e")
        await until(
            lambda: len(collector.spans) == 3 + 2 + 1
        )  # calls, attempts of the first webhook, and of the second
    kinds = {SERVER: "call", CLIENT: "webhook"}
    assert {(kinds[span.kind], name) for span in collector.spans for name in span.attributes} == documented()


async def test_the_page_names_each_attribute_of_the_process(collector: Collector, start_server: StartServer) -> None:
    peers = await start_server(tracing=collector.settings)
    await peers.trigger("my-channel", "e")
    await until(lambda: collector.spans)
    ours = {name for name in collector.spans[0].resource if not name.startswith("telemetry.sdk.")}
    assert ours == {"service.name", "service.version", "service.instance.id"}
    assert all(f"`{name}`" in PAGE for name in ours)
