"""A server with webhooks in SQS: ``kill -9`` with a full queue, a restart that delivers it, and wrong settings."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiobotocore.session import get_session

from soketpy.config import ConfigError, load
from soketpy.config import settings as config
from soketpy.core.webhooks import Webhook
from soketpy.process.requirements import check_requirements
from tests.aws import ACCESS_KEY, SECRET_KEY, Moto, client_arguments, create_queue, moto
from tests.conftest import At, StartServer, until
from tests.fakes import APP
from tests.process.test_signals import StartProcess
from tests.process.test_signals import start_process as start_process
from tests.receiver import receiving
from tests.slices.sitecustomize import environment
from tests.webhooks.test_durable import hang_until, kill

CHANNELS = [f"private-{number}" for number in range(4)]
EVENTS = 15


@pytest.fixture(scope="module")
def server() -> Iterator[Moto]:
    with moto("fake") as running:
        yield running


def configuration(hook: str, queue: str) -> str:
    app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "client_events": True}
    app["webhooks"] = [{"url": hook, "event_types": ["client_event"]}]
    sqs = {"url": queue, "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
    webhooks = {"queue": "sqs", "timeout": 600}
    return json.dumps({"host": "127.0.0.1", "port": 0, "apps": [app], "webhooks": webhooks, "sqs": sqs})


async def test_every_event_of_a_killed_server_arrives_after_the_restart(
    server: Moto, start_process: StartProcess
) -> None:
    url = await create_queue(server.url, "full.fifo")
    async with receiving() as receiver, AsyncExitStack() as stack:
        release = asyncio.Event()
        stack.callback(release.set)
        receiver.answer = hang_until(release)
        content = configuration(receiver.url(), url)
        polls = environment({"soketpy.drivers.aws.sqs_queue.LONG_POLL": 1})
        process = await start_process(content, **polls)
        client = await At(process.port, stack).client()
        for channel in CHANNELS:
            await client.subscribe(channel)
        for number in range(EVENTS):
            for channel in CHANNELS:
                await client.say("client-count", str(number), channel=channel)
        await until_stored(server, url, EVENTS * len(CHANNELS))
        await receiver.wait_for(1)
        await kill(process)
        await end_of_poll(server, url)
        await until_returned(server, url)

        receiver.requests.clear()
        release.set()
        await start_process(content, **polls)
        await receiver.wait_for(EVENTS * len(CHANNELS))
        counted = sorted((each["channel"], int(each["data"])) for each in receiver.events)
        assert counted == [(channel, number) for channel in CHANNELS for number in range(EVENTS)]
        await until_stored(server, url, 0)


async def end_of_poll(server: Moto, url: str) -> None:
    """Wait until moto has ended the last poll of the killed server, by a poll that ends later.

    moto would give messages to that poll, and return them 30 seconds later.
    """
    async with get_session().create_client("sqs", **client_arguments(server.url)) as sqs:
        assert "Messages" not in await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)


async def until_returned(server: Moto, url: str) -> None:
    """Let time pass until SQS may return every message again."""
    async with get_session().create_client("sqs", **client_arguments(server.url)) as sqs:

        async def all_are_visible() -> bool:
            server.advance(31)
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            return int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"]) == 0

        await until(all_are_visible)


async def until_stored(server: Moto, url: str, number: int) -> None:
    """Wait until SQS has so many messages."""
    async with get_session().create_client("sqs", **client_arguments(server.url)) as sqs:

        async def has_them() -> bool:
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
            return sum(int(answer["Attributes"][name]) for name in names) == number

        await until(has_them)


MISTAKES = [
    ({}, "SOKETPY_WEBHOOKS_QUEUE: sqs needs sqs.url, the URL of a FIFO queue"),
    (
        {"SOKETPY_SQS_URL": "https://sqs.eu-west-1.amazonaws.com/1/webhooks"},
        "SOKETPY_SQS_URL: 'https://sqs.eu-west-1.amazonaws.com/1/webhooks' does not end with .fifo: "
        "only a FIFO queue keeps the order of events",
    ),
    (
        {"SOKETPY_SQS_URL": "https://a:hidden@sqs/1/webhooks.fifo"},
        "SOKETPY_SQS_URL: must not contain a user or a password",
    ),
    (
        {"SOKETPY_SQS_URL": "https://sqs/1/q.fifo", "SOKETPY_SQS_ACCESS_KEY_ID": "hidden"},
        "SOKETPY_SQS_ACCESS_KEY_ID: has no effect without SOKETPY_SQS_SECRET_ACCESS_KEY",
    ),
]


@pytest.mark.parametrize(("environ", "said"), MISTAKES)
def test_a_mistake_in_the_settings_of_sqs_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_requirements(load(None, {"SOKETPY_WEBHOOKS_QUEUE": "sqs", **environ}, {}))
    assert str(raised.value) == said


def test_without_the_library_sqs_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    settings = load(None, {"SOKETPY_WEBHOOKS_QUEUE": "sqs", "SOKETPY_SQS_URL": "https://sqs/1/q.fifo"}, {})
    with pytest.raises(ConfigError) as raised:
        check_requirements(settings)
    said = "sqs needs the library aiobotocore: pip install aiobotocore"
    assert str(raised.value) == f"SOKETPY_WEBHOOKS_QUEUE: {said}"


async def test_a_queue_that_does_not_exist_is_a_mistake_at_the_start(server: Moto, start_server: StartServer) -> None:
    webhook = Webhook(url="http://127.0.0.1:1", event_types=("client_event",))
    sqs = config.Sqs(url=f"{server.url}/123456789012/none.fifo", access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY)
    with pytest.raises(ConfigError, match=r"sqs\.url: there is no queue http://127"):
        await start_server(apps=(replace(APP, webhooks=(webhook,)),), webhooks=config.Webhooks(queue="sqs"), sqs=sqs)
