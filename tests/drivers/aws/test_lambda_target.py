"""The target of Lambda functions, against servers that speak the API of AWS."""

import asyncio
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pusher
import pytest
from aiobotocore.session import get_session
from aiohttp import web

from soketpy.core.aws_options import AwsOptions
from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Outcome
from soketpy.core.webhooks import LambdaOptions, Webhook
from soketpy.drivers.aws.lambda_target import LambdaTarget
from soketpy.protocol.webhooks import WebhookEvent, body
from tests.aws import ACCESS_KEY, SECRET_KEY, TOKEN, Functions, Invocation, client_arguments, fail_with, options, refuse
from tests.fakes import APP
from tests.patience import PATIENCE, attempts

CONTENT = body([WebhookEvent("app-id", "channel_occupied", "café").encode()], int(time.time() * 1000))


EVENTS = ("channel_occupied",)


def function(url: str, *, async_: bool = False, name: str = "my-function", region: str | None = None) -> Webhook:
    given = LambdaOptions(region=region, async_=async_, client_options=options(url))
    return Webhook(lambda_function=name, lambda_=given, headers={"X-Own": "yes"}, event_types=EVENTS)


def delivery(webhook: Webhook, content: bytes = CONTENT) -> Delivery:
    return Delivery("delivery-1", APP.id, webhook.id, webhook.target, "lane", content, 1, 0.0)


@asynccontextmanager
async def targeting(patience: float = PATIENCE) -> AsyncIterator[LambdaTarget]:
    target = LambdaTarget(timeout=patience)
    try:
        yield target
    finally:
        await target.close()


async def send(webhook: Webhook, patience: float = PATIENCE) -> Outcome:
    async with targeting(patience) as target:
        return await target.send(delivery(webhook), APP, webhook)


async def test_a_function_gets_payload_and_headers_as_soketi_sends_them(lambdas: Functions) -> None:
    assert await send(function(lambdas.url)) == Outcome()
    (invocation,) = lambdas.invocations
    assert (invocation.function, invocation.kind, invocation.region) == ("my-function", "RequestResponse", "us-east-1")
    assert set(invocation.event) == {"payload", "headers"}
    headers = invocation.event["headers"]
    assert headers["X-Own"] == "yes"
    assert invocation.delivery == "delivery-1"
    again = json.dumps(invocation.event["payload"], separators=(",", ":"), ensure_ascii=False)  # as a function does
    library = pusher.Pusher(app_id="1", key="app-key", secret="app-secret")
    assert library.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], again)


async def test_an_asynchronous_invocation_only_queues_the_event(lambdas: Functions) -> None:
    assert await send(function(lambdas.url, async_=True)) == Outcome()
    assert lambdas.invocations[0].kind == "Event"


@pytest.mark.parametrize(
    ("name", "region", "used"),
    [
        ("my-function", "eu-west-3", "eu-west-3"),
        ("arn:aws:lambda:ap-south-1:123456789012:function:my-function", None, "ap-south-1"),
        ("123456789012:function:my-function:live", None, "us-east-1"),
    ],
)
async def test_the_region_is_that_of_the_options_or_of_the_arn(
    lambdas: Functions, name: str, region: str | None, used: str
) -> None:
    assert await send(function(lambdas.url, name=name, region=region)) == Outcome()
    assert (lambdas.invocations[0].function, lambdas.invocations[0].region) == (name, used)


async def test_an_error_of_the_function_is_a_failure_that_names_only_its_type(lambdas: Functions) -> None:
    lambdas.answers = [fail_with({"errorType": "Value\nError", "errorMessage": "card 4111 1111"}), fail_with(["odd"])]
    assert await send(function(lambdas.url)) == Outcome("the function failed: ValueError")
    assert await send(function(lambdas.url)) == Outcome("the function failed: unknown error")


async def test_an_error_of_aws_is_described_by_its_code_and_never_by_its_message(lambdas: Functions) -> None:
    canonical = f"The Canonical String should have been x-amz-security-token:{TOKEN}"
    lambdas.answers = [refuse(403, "InvalidSignatureException", canonical)]
    assert await send(function(lambdas.url)) == Outcome("AWS answered InvalidSignatureException (HTTP 403)")


async def test_throttling_says_when_to_try_again_and_a_body_that_is_too_large_ends_the_delivery(
    lambdas: Functions,
) -> None:
    lambdas.answers = [
        refuse(429, "TooManyRequestsException", Retry_After="7"),
        refuse(413, "RequestTooLargeException"),
    ]
    first, second = await send(function(lambdas.url)), await send(function(lambdas.url))
    assert (first.retry_after, first.gone) == (7.0, False)
    assert second.gone


async def test_a_status_outside_of_2xx_without_an_error_is_a_failure(lambdas: Functions) -> None:
    async def redirect(invocation: Invocation) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    lambdas.answers = [redirect]
    assert (await send(function(lambdas.url))).error
    assert len(lambdas.invocations) == 1


async def test_an_attempt_that_takes_too_long_ends(lambdas: Functions) -> None:
    ended = asyncio.Event()

    async def hang(invocation: Invocation) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    lambdas.answers = [hang]
    assert await send(function(lambdas.url), patience=0.2) == Outcome("no answer in time")
    ended.set()


@pytest.mark.parametrize("status", [200, 500])
async def test_an_endless_answer_is_read_only_in_part(lambdas: Functions, status: int) -> None:
    async def flood(invocation: Invocation) -> web.StreamResponse:
        answer = web.StreamResponse(status=status)
        await answer.prepare(invocation.request)
        for _ in attempts():  # ends when the target closes the connection
            await answer.write(b"x" * 65_536)
        raise AssertionError

    lambdas.answers = [flood]
    outcome = await send(function(lambdas.url))
    assert outcome == (Outcome() if status == 200 else Outcome("AWS answered 500 (HTTP 500)"))


async def test_a_server_that_cannot_be_reached_is_an_outcome() -> None:
    outcome = await send(function("http://127.0.0.1:1"))
    assert outcome.error.startswith("EndpointConnectionError: ")


async def test_no_text_shows_credentials(lambdas: Functions) -> None:
    webhook = function(lambdas.url)
    lambdas.answers = [refuse(403, "AccessDeniedException", f"{ACCESS_KEY} {TOKEN}")]
    outcome = await send(webhook)
    for text in (repr(webhook), repr(webhook.lambda_), repr(outcome), webhook.target, webhook.host, webhook.id):
        assert not any(secret in text for secret in (ACCESS_KEY, SECRET_KEY, TOKEN))


async def test_without_endpoints_a_function_is_invoked_at_aws_only(lambdas: Functions) -> None:
    target, webhook = LambdaTarget(endpoints=False), function(lambdas.url)
    outcome = await target.send(delivery(webhook), APP, webhook)
    await target.close()
    assert (outcome.gone, outcome.blocked, lambdas.invocations) == (True, True, [])


async def test_functions_with_the_same_options_share_a_connection(lambdas: Functions) -> None:
    ports = set()

    async def note(invocation: Invocation) -> web.StreamResponse:
        assert invocation.request.transport is not None
        ports.add(invocation.request.transport.get_extra_info("peername"))
        return web.json_response(None)

    lambdas.answers = [note] * 3
    async with targeting() as target:
        for name in ("one", "two", "three"):
            webhook = function(lambdas.url, name=name)
            assert await target.send(delivery(webhook), APP, webhook) == Outcome()
    assert len(ports) == 1


@pytest.mark.parametrize("async_", [False, True])
async def test_moto_accepts_an_invocation(moto_url: str, async_: bool) -> None:
    name = f"function-{async_}"
    await create_function(moto_url, name)
    assert await send(function(moto_url, name=name, async_=async_)) == Outcome()


async def create_function(url: str, name: str) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("code.py", "def handler(event, context): pass")
    async with (
        get_session().create_client("iam", **client_arguments(url)) as iam,
        get_session().create_client("lambda", **client_arguments(url)) as functions,
    ):
        role = await iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        await functions.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role["Role"]["Arn"],
            Handler="code.handler",
            Code={"ZipFile": code.getvalue()},
        )


def test_a_webhook_in_another_region_is_another_webhook() -> None:
    there = Webhook(lambda_function="f", lambda_=LambdaOptions(region="eu-west-1"), event_types=EVENTS)
    overridden = LambdaOptions(region="eu-west-1", client_options=AwsOptions(region="eu-west-2"))
    assert there.target == "lambda:eu-west-1:f"
    assert there.id != Webhook(lambda_function="f", event_types=EVENTS).id
    assert Webhook(lambda_function="f", lambda_=overridden, event_types=EVENTS).region == "eu-west-2"
