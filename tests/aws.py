"""AWS on the loopback address: moto in a process of its own, and a server that speaks the Invoke API of Lambda."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

from aiohttp import web

from soketpy.core.aws_options import AwsOptions

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIATESTTESTTESTTEST", "the-secret-of-the-access-key", "the-session-token"

MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


def options(endpoint: str) -> AwsOptions:
    """Return the options of a client for a server on the loopback address."""
    return AwsOptions(endpoint=endpoint, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, session_token=TOKEN)


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server, which keeps everything in memory. Yield its URL."""
    command = [sys.executable, "-c", MOTO]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            _post(f"{url}/moto-api/config", {"lambda": {"use_docker": False}})
            yield url
        finally:
            process.kill()


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
