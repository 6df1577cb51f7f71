"""AWS on the loopback address: moto in a process of its own, and a server that speaks the Invoke API of Lambda."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

from aiobotocore.session import get_session
from aiohttp import web

from soketpy.core.aws_options import AwsOptions

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIATESTTESTTESTTEST", "the-secret-of-the-access-key", "the-session-token"

MOTO = """
import copy
import time
import sys
from itertools import count
from threading import Lock
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.server import ThreadedMotoServer
now, tick = time.time() * 1000, count()
if sys.argv[1] == "fake":
    import moto.sqs.models
    moto.sqs.models.unix_time_millis = lambda: now + next(tick) / 1000
    # moto compares the real time with the fake time of a message to find those that are too old.
    moto.sqs.models.SQSBackend.is_message_valid_based_on_retention_period = lambda *_: True
# moto's transactions are not isolated from other calls.
lock, call = Lock(), DynamoHandler.call_action
def call_alone(handler):
    with lock:
        return call(handler)
DynamoHandler.call_action = call_alone
# moto copies the table for each operation of a transaction. Transactions of these tests replace items, but change none.
def copy_items(table, memo):
    copied = copy.copy(table)
    copied.items = copy.copy(table.items)
    return copied
Table.__deepcopy__ = copy_items
server = ThreadedMotoServer("127.0.0.1", int(sys.argv[2]), verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
for line in sys.stdin:
    now += float(line) * 1000
    print("ok", flush=True)
"""


def options(endpoint: str) -> AwsOptions:
    """Return the options of a client for a server on the loopback address."""
    return AwsOptions(endpoint=endpoint, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, session_token=TOKEN)


@dataclass
class Moto:
    """A server of moto. ``advance`` lets time pass for the messages of SQS, if its clock is not real."""

    url: str
    advance: Callable[[float], None]


@contextmanager
def moto(clock: str = "real", port: int = 0) -> Iterator[Moto]:
    """Run moto's server, which keeps everything in memory, on a port or on a free one."""
    command = [sys.executable, "-c", MOTO, clock, str(port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            reader, writer = process.stdout, process.stdin
            assert reader is not None
            assert writer is not None
            url = f"http://127.0.0.1:{int(reader.readline())}"
            _post(f"{url}/moto-api/config", {"lambda": {"use_docker": False}})

            def advance(seconds: float) -> None:
                writer.write(f"{seconds}\n")
                writer.flush()
                reader.readline()

            yield Moto(url, advance)
        finally:
            process.kill()


async def create_queue(url: str, name: str, **attributes: str) -> str:
    """Create a queue of SQS. Return its URL."""
    async with get_session().create_client("sqs", **client_arguments(url)) as sqs:
        given = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        answer = await sqs.create_queue(QueueName=name, Attributes=given | attributes)
        return str(answer["QueueUrl"])


def client_arguments(url: str) -> dict[str, str]:
    """Return the arguments of a client for a server on the loopback address."""
    secrets = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    return {"region_name": "us-east-1", "endpoint_url": url, **secrets}


def _post(url: str, body: object) -> None:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request):
        pass


@dataclass
class Invocation:
    """One invocation that has arrived."""

    function: str
    kind: str
    event: dict[str, Any]
    region: str
    request: web.Request

    @property
    def delivery(self) -> str:
        return str(self.event["headers"]["X-Soketpy-Delivery"])


Answer = Callable[[Invocation], Awaitable[web.StreamResponse]]


@dataclass
class Functions:
    """Lambda functions. Each invocation is stored, and answered as the test says."""

    port: int = 0
    invocations: list[Invocation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
        assert request.headers["X-Amz-Security-Token"] == TOKEN
        region = request.headers["Authorization"].split("/")[2]
        kind = request.headers["X-Amz-Invocation-Type"]
        arrived = Invocation(request.match_info["function"], kind, json.loads(await request.read()), region, request)
        self.invocations.append(arrived)
        answer = self.answers.pop(0) if self.answers else succeed
        return await answer(arrived)


async def succeed(invocation: Invocation) -> web.StreamResponse:
    return web.Response(status=202) if invocation.kind == "Event" else web.json_response({"ok": True})


def fail_with(error: object) -> Answer:
    """Return an answer with an error that the function has raised."""

    async def answer(invocation: Invocation) -> web.StreamResponse:
        return web.json_response(error, headers={"X-Amz-Function-Error": "Unhandled"})

    return answer


def refuse(status: int, code: str, message: str = "", **headers: str) -> Answer:
    """Return an answer of AWS that is an error."""

    async def answer(invocation: Invocation) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()} | {"x-amzn-ErrorType": code}
        return web.json_response({"Message": message}, status=status, headers=named)

    return answer


@asynccontextmanager
async def functions() -> AsyncIterator[Functions]:
    """Run a server of Lambda functions on a free port of the loopback address."""
    served = Functions()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/2015-03-31/functions/{function}/invocations", served.serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.port = runner.addresses[0][1]
        yield served
    finally:
        await runner.cleanup()
