"""The receivers of docs/webhooks.md: programs that get webhooks from a running server."""

import asyncio
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from soketpy import Webhook
from soketpy.config import settings as config
from soketpy.core.apps import Key
from soketpy.protocol import webhooks
from tests.clients.javascript import FOLDER as NPM
from tests.clients.programs import Launched
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
OLD_KEY = Key("old-key", "old-secret")

DJANGO = """\
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "receiver.db"}},
    INSTALLED_APPS=["receiver"],
    ROOT_URLCONF="receiver.urls",
)
django.setup()
call_command("migrate", run_syncdb=True)
with make_server("127.0.0.1", 0, get_wsgi_application()) as server:
    print("Listening on port", server.server_port, flush=True)
    server.serve_forever()
"""
URLS = """\
from django.urls import path

from receiver import views

urlpatterns = [path("webhooks", views.receive)]
"""
# Next.js calls the functions of a route handler with a Request of the platform, as this program does.
NEXT = """\
import { createServer } from "node:http";
import { POST } from "./route.mjs";

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, headers, url } = request;
  const body = Buffer.concat(chunks);
  const answer = await POST(new Request("http://127.0.0.1" + url, { method, headers, body }));
  response.writeHead(answer.status).end(await answer.text());
});
server.listen(0, "127.0.0.1", () => console.log(`Listening on port ${server.address().port}`));
"""


@dataclass(frozen=True)
class Running:
    """A receiver that runs."""

    program: Launched
    url: str

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        return requests.post(self.url, body, headers=headers, timeout=PATIENCE).status_code


def block(name: str) -> str:
    """Return the block of the page that is this file, with two keys where it has one."""
    found = re.search(rf"^```\w+ {re.escape(name)}\n(.*?)^```$", PAGE, flags=re.M | re.S)
    assert found is not None, name
    text = found[1]
    for one, both in (
        ('{"app-key": "app-secret"}', '{"app-key": "app-secret", "old-key": "old-secret"}'),
        ("otherKeys = []", 'otherKeys = [{ key: "old-key", secret: "old-secret" }]'),
    ):
        text = text.replace(one, both)
    return text


def fastapi(folder: Path) -> Launched:
    (folder / "receiver.py").write_text(block("receiver.py"))
    words = ("-m", "uvicorn", "receiver:app", "--host", "127.0.0.1", "--port", "0")
    return Launched(sys.executable, *words, ready="running on", cwd=folder)


def django(folder: Path) -> Launched:
    package = folder / "receiver"
    package.mkdir()
    for name, text in (("models.py", block("models.py")), ("views.py", block("views.py")), ("urls.py", URLS)):
        (package / name).write_text(text)
    (package / "__init__.py").touch()
    (folder / "serve.py").write_text(DJANGO)
    return Launched(sys.executable, "serve.py", ready="Listening on port", cwd=folder)


def express(folder: Path) -> Launched:
    (folder / "receiver.mjs").write_text(block("receiver.mjs"))
    return node(folder, "receiver.mjs")


def nextjs(folder: Path) -> Launched:
    (folder / "route.mjs").write_text(block("app/webhooks/route.js"))
    (folder / "serve.mjs").write_text(NEXT)
    return node(folder, "serve.mjs")


def node(folder: Path, name: str) -> Launched:
    program = shutil.which("node")
    assert program is not None, "Node.js is missing: install it, then run `make tools`"
    (folder / "node_modules").symlink_to(NPM / "node_modules")
    return Launched(program, name, ready="Listening on port", env={"PORT": "0"}, cwd=folder)


@pytest.fixture(params=[fastapi, django, express, nextjs], ids=lambda launch: launch.__name__)
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    launch: Callable[[Path], Launched] = request.param
    with ExitStack() as stack:
        program = stack.enter_context(launch(tmp_path))
        port = re.search(r"port (\d+)|127\.0\.0\.1:(\d+)", program.greeting)
        assert port is not None
        yield Running(program, f"http://127.0.0.1:{port[1] or port[2]}/webhooks")


async def test_a_receiver_of_the_documentation_gets_events_of_a_running_server(
    receiver: Running, start_server: StartServer
) -> None:
    types = ("channel_occupied", "channel_vacated", "member_added", "member_removed")
    app = replace(APP, webhooks=(Webhook(url=receiver.url, event_types=types, batching=True),))
    peers = await start_server(apps=(app,), webhooks=config.Webhooks(queue="memory", grace=0))
    client = await peers.client()
    await client.subscribe("presence-room", {"user_id": "bob"})
    await asyncio.to_thread(receiver.program.read_to, "member_added presence-room bob")
    await client.peer.close()
    await asyncio.to_thread(receiver.program.read_to, "channel_vacated presence-room")


def request_of(
    user_id: str, delivery: str, key: Key = APP.keys[0], now: float | None = None
) -> tuple[bytes, dict[str, str]]:
    event = webhooks.WebhookEvent("1", "member_added", "presence-room", user_id).encode()
    body = webhooks.body([event], int((time.time() if now is None else now) * 1000))
    return body, dict(webhooks.headers(body, key.key, key.secret, delivery))


def test_a_receiver_of_the_documentation_counts_a_repeated_delivery_once(receiver: Running) -> None:
    first, last = request_of("ada", "1"), request_of("cleo", "2")
    assert [receiver.post(*each) for each in (first, first, last)] == [204] * 3
    lines = receiver.program.read_to("cleo")
    assert len([line for line in lines if "presence-room ada" in line]) == 1


def test_a_receiver_of_the_documentation_takes_a_late_delivery(receiver: Running) -> None:
    assert receiver.post(*request_of("late", "1", now=time.time() - 86_400)) == 204
    receiver.program.read_to("member_added presence-room late")


def test_a_receiver_of_the_documentation_accepts_both_keys_during_a_rotation(receiver: Running) -> None:
    for at, key in enumerate((APP.keys[0], OLD_KEY)):
        assert receiver.post(*request_of(key.key, str(at), key)) == 204
        receiver.program.read_to(f"member_added presence-room {key.key}")


def test_a_receiver_of_the_documentation_refuses_a_wrong_signature(receiver: Running) -> None:
    body, headers = request_of("mallory", "1")
    signature = headers["X-Pusher-Signature"]
    wrong = [
        (body + b" ", headers),
        (body, {**headers, "X-Pusher-Signature": ("1" if signature[0] == "0" else "0") + signature[1:]}),
        (body, {**headers, "X-Pusher-Signature": "é"}),
        (body, {**headers, "X-Pusher-Signature": ""}),
        (body, {**headers, "X-Pusher-Key": "another-key"}),
        (body, {**headers, "X-Pusher-Key": OLD_KEY.key}),
        (body, {"Content-Type": "application/json"}),
    ]
    assert [receiver.post(*each) for each in wrong] == [401] * len(wrong)
    assert receiver.post(*request_of("ada", "2")) == 204
    assert not [line for line in receiver.program.read_to("ada") if "mallory" in line]
