"""Lambda functions as webhooks of a running server, and the library that they need."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from soketpy.config import ConfigError, load
from soketpy.core.webhooks import LambdaOptions, Webhook
from tests.aws import fail_with, functions, options
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import until
from tests.receiver import receiving


async def test_a_function_gets_events_and_a_failed_one_gets_the_same_event_again(start_server: StartServer) -> None:
    async with functions() as served:
        served.answers = [fail_with({"errorType": "TypeError"})]
        given = LambdaOptions(client_options=options(served.url))
        webhook = Webhook(lambda_function="my-function", lambda_=given, event_types=("channel_occupied",))
        peers = await start_server(apps=(replace(APP, webhooks=(webhook,)),))
        await (await peers.client()).subscribe("news")
        await until(lambda: len(served.invocations) == 2)
        first, second = served.invocations
        assert first.event == second.event
        assert first.event["payload"]["events"] == [{"name": "channel_occupied", "channel": "news"}]


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the library for AWS."""
    monkeypatch.setitem(sys.modules, "aiobotocore", None)


@pytest.mark.usefixtures("without_library")
def test_without_the_library_a_function_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "soketpy.yaml"
    path.write_text(
        "apps:\n- id: a\n  key: k\n  secret: s\n  webhooks:\n"
        "  - lambda_function: chat-events\n    event_types: [cache_miss]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(str(path), {}, {})
    said = "'chat-events' needs the library aiobotocore: pip install aiobotocore"
    assert str(caught.value) == f"{path}:6: apps[0].webhooks[0].lambda_function: {said}"
    with pytest.raises(ValueError, match="needs the library aiobotocore"):
        Webhook(lambda_function="f", event_types=("cache_miss",))


@pytest.mark.usefixtures("without_library")
async def test_without_the_library_other_webhooks_work(start_server: StartServer) -> None:
    async with receiving() as receiver:
        webhook = Webhook(url=receiver.url(), event_types=("channel_occupied",))
        peers = await start_server(apps=(replace(APP, webhooks=(webhook,)),))
        await (await peers.client()).subscribe("news")
        await receiver.wait_for(1)
