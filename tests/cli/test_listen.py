"""``soketpy listen`` against real servers, and against one that closes connections as a test needs it."""

import asyncio
import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pusher
import pytest
import websockets

from soketpy.cli import main
from soketpy.config.settings import Tls
from tests.cli.commands import CREDENTIALS, RunningCommand
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.patience import PATIENCE
from tests.web.rfc6455.test_tls import write_certificate

Listen = Callable[..., RunningCommand]


@pytest.fixture
async def listen(capsys: pytest.CaptureFixture[str]) -> Listen:
    """Return a function that begins to listen at a port."""

    def listen(port: int, *words: str) -> RunningCommand:
        return RunningCommand(("listen", *words, "--port", str(port), *CREDENTIALS), capsys)

    return listen


async def test_events_of_several_channels_are_printed_a_line_each(peers: Peers, listen: Listen) -> None:
    channels = ("my-channel", "private-a", "presence-room")
    command = listen(peers.port, *channels, "--user", "ada", "--count", "3")
    await command.says("subscribed to ", 3)
    for channel in channels:
        await peers.trigger(channel, "an-event", '{"a": 1}')
    assert await command.end() == 0
    assert command.out == "".join(f'{channel} an-event {{"a": 1}}\n' for channel in channels)
    assert "subscribed to presence-room (1 member)\n" in command.err


async def test_a_cache_channel_prints_its_last_event_or_that_there_is_none(peers: Peers, listen: Listen) -> None:
    await peers.trigger("cache-a", "last", "x")
    command = listen(peers.port, "cache-a", "cache-b", "--count", "2")
    assert await command.end() == 0
    assert sorted(command.out.splitlines()) == ["cache-a last x", "cache-b pusher:cache_miss {}"]


async def test_members_and_the_users_of_client_events_are_printed(peers: Peers, listen: Listen) -> None:
    command = listen(peers.port, "presence-room", "--user", "ada", "--user-info", '{"name": "Ada"}', "--count", "3")
    await command.says("subscribed to presence-room (1 member)")
    client = await peers.client()
    joined = await client.subscribe("presence-room", {"user_id": "bob"})
    assert joined["data"]["presence"]["hash"]["ada"] == {"name": "Ada"}
    await client.say("client-wave", {"to": "all"}, channel="presence-room")
    await client.say("pusher:unsubscribe", {"channel": "presence-room"})
    assert await command.end() == 0
    added, wave, removed = command.out.splitlines()
    assert added.startswith('presence-room pusher:member_added {"user_id":"bob"')
    assert wave == 'presence-room client-wave {"to": "all"} (user bob)'
    assert removed.startswith('presence-room pusher:member_removed {"user_id":"bob"')


NASTY = 'a\x1b[31m\n\r\x07\u202eb"'


async def test_control_characters_never_reach_the_terminal(peers: Peers, listen: Listen) -> None:
    command = listen(peers.port, "c", "--count", "1")
    await command.says("subscribed to c")
    await peers.trigger("c", "e", NASTY)
    assert await command.end() == 0
    assert command.out == 'c e a\\x1b[31m\\n\\r\\x07\\u202eb"\n'


async def test_lines_of_json_keep_the_data_as_it_was_sent(peers: Peers, listen: Listen) -> None:
    command = listen(peers.port, "c", "--json", "--count", "2")
    await command.says("subscribed to c")
    for data in (NASTY, '{"a": "ü"}'):
        await peers.trigger("c", "e", data)
    assert await command.end() == 0
    assert command.out.isascii()
    documents = [json.loads(line) for line in command.out.splitlines()]
    assert documents == [{"channel": "c", "event": "e", "data": data} for data in (NASTY, '{"a": "ü"}')]


@pytest.mark.parametrize(("words", "code", "said"), [((), 0, ""), (("--count", "2"), 1, "0 of 2 events arrived")])
async def test_the_timeout_ends_the_command(
    peers: Peers, listen: Listen, words: tuple[str, ...], code: int, said: str
) -> None:
    command = listen(peers.port, "c", "--timeout", "0.01", *words)
    assert await command.end() == code
    assert said in command.err


# Encrypted channels

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
PLAIN = {"name": "plain", "channels": ["private-encrypted-a"], "data": '{"a":1}'}


async def test_events_of_encrypted_channels_are_decrypted_with_the_master_key(
    start_server: StartServer, listen: Listen, tmp_path: Path
) -> None:
    peers = await start_server(apps=(replace(APP, id="1"),))
    (tmp_path / "key").write_text(MASTER_KEY + "\n")
    command = listen(peers.port, "private-encrypted-a", "--master-key-file", str(tmp_path / "key"), "--count", "2")
    await command.says("subscribed to private-encrypted-a")
    library = pusher.Pusher(
        *("1", APP.key, APP.keys[0].secret),
        host="127.0.0.1",
        port=peers.port,
        ssl=False,
        encryption_master_key_base64=MASTER_KEY,
    )
    await asyncio.to_thread(library.trigger, "private-encrypted-a", "e", {"a": 1})
    await peers.call("POST", "/events", PLAIN, app=replace(APP, id="1"))
    assert await command.end() == 0
    assert command.out == 'private-encrypted-a e {"a": 1}\nprivate-encrypted-a plain {"a":1}\n'
    assert 'an event on "private-encrypted-a" is not encrypted with this master key' in command.err


@pytest.mark.parametrize("text", ["", "x", base64.b64encode(b"short").decode()])
def test_a_wrong_master_key_is_a_mistake_that_does_not_show_it(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text(text)
    assert main(["listen", "private-encrypted-a", "--master-key-file", str(tmp_path / "key")]) == 2
    assert capsys.readouterr().err.startswith("soketpy listen: error: --master-key-file: the first line must be ")


def test_a_missing_library_for_encryption_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text(base64.b64encode(bytes(32)).decode())
    monkeypatch.setitem(sys.modules, "nacl", None)
    assert main(["listen", "private-encrypted-a", "--master-key-file", str(tmp_path / "key")]) == 2
    said = "--master-key-file needs the library PyNaCl: pip install 'soketpy[encryption]'"
    assert capsys.readouterr().err == f"soketpy listen: error: {said}\n"


# Connections


SILENT = 0
"""In the place of a close code: the server hears the ping of a client, and does not answer."""


class Script:
    """A server that greets each client, and closes the connections with these codes. Then it sends one event."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)
        self.heard: list[dict[str, Any]] = []

    async def serve(self, socket: websockets.ServerConnection) -> None:
        data = json.dumps({"socket_id": "1.2", "activity_timeout": 120})
        await socket.send(json.dumps({"event": "pusher:connection_established", "data": data}))
        self.heard.append(json.loads(await socket.recv()))
        code = self._codes.pop(0) if self._codes else None
        if code == SILENT:
            self.heard.append(json.loads(await socket.recv()))
            await socket.wait_closed()
            return
        if code is not None:
            error = {"event": "pusher:error", "data": {"code": code, "message": "as the test needs it"}}
            if code >= 4000:
                await socket.send(json.dumps(error))
                await socket.close(code)
            else:
                socket.transport.abort()
            return
        await socket.send(json.dumps({"event": "pusher:ping", "data": {}}))
        self.heard.append(json.loads(await socket.recv()))
        await socket.send(json.dumps({"event": "e", "channel": "c", "data": "x"}))
        await socket.wait_closed()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        async with websockets.serve(self.serve, "127.0.0.1", 0) as server:
            yield next(iter(server.sockets)).getsockname()[1]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (4200, "the server closed the connection: 4200 as the test needs it; reconnecting at once\n"),
        (4100, "the server closed the connection: 4100 as the test needs it; reconnecting in 0.01 s\n"),
        (1006, "the server closed the connection: 1006; reconnecting in 0.01 s\n"),
    ],
)
async def test_the_command_reconnects_as_pusher_js_does_and_says_so(
    code: int, said: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.cli.pusher_client.BACK_OFF", 0.01)
    script = Script(code)
    async with script.listening() as port:
        command = listen(port, "c", "--count", "1")
        assert await command.end() == 0
    assert (command.out, command.err) == ("c e x\n", f"soketpy listen: {said}")
    subscribe = {"event": "pusher:subscribe", "data": {"channel": "c"}}
    assert script.heard == [subscribe, subscribe, {"event": "pusher:pong", "data": {}}]


async def test_a_server_that_closes_each_connection_is_tried_less_and_less(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.cli.listening.BACK_OFF", 0.01)
    async with Script(4200, 4200, 4200).listening() as port:
        command = listen(port, "c", "--count", "1")
        assert await command.end() == 0
    pauses = [line.partition("reconnecting ")[2] for line in command.err.splitlines() if "reconnecting" in line]
    assert pauses == ["at once", "in 0.01 s", "in 0.02 s"]


async def test_a_client_that_must_not_reconnect_ends(listen: Listen) -> None:
    async with Script(4003).listening() as port:
        command = listen(port, "c")
        assert await command.end() == 1
    said = f"soketpy listen: http://127.0.0.1:{port} refuses the connection: 4003 as the test needs it\n"
    assert command.err == said


async def test_a_server_that_comes_back_is_joined_again(
    start_server: StartServer, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.cli.listening.BACK_OFF", 0.01)
    async with Script().listening() as port:
        command = listen(port, "c", "--count", "2")
        await command.prints("c e x\n")
    await command.says("Connection refused; reconnecting in ")
    peers = await start_server(port=port)
    await command.says("subscribed to c")
    await peers.trigger("c", "e", "y")
    assert await command.end() == 0
    assert command.out == "c e x\nc e y\n"


async def test_a_silent_server_is_pinged_and_then_replaced(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTIVITY_TIMEOUT", "PONG_TIMEOUT", "BACK_OFF"):
        monkeypatch.setattr(f"soketpy.cli.pusher_client.{name}", 0.01)
    script = Script(SILENT)
    async with script.listening() as port:
        command = listen(port, "c", "--count", "1")
        await command.says("no answer to a ping within 0.01 s; reconnecting in 0.01 s")
        monkeypatch.setattr("soketpy.cli.pusher_client.ACTIVITY_TIMEOUT", PATIENCE)
        monkeypatch.setattr("soketpy.cli.pusher_client.PONG_TIMEOUT", PATIENCE)
        assert await command.end() == 0
    assert [each["event"] for each in script.heard[:2]] == ["pusher:subscribe", "pusher:ping"]


async def test_an_app_with_allowed_origins_needs_one_of_them(start_server: StartServer, listen: Listen) -> None:
    peers = await start_server(apps=(replace(APP, allowed_origins=("https://www.example.com",)),))
    command = listen(peers.port, "cache-a")
    assert await command.end() == 1
    said = "4009 The app does not accept connections from this origin.; give one of its allowed_origins with --origin\n"
    assert command.err.endswith(said)
    words = ("cache-a", "--origin", "https://www.example.com", "--count", "1")
    assert await listen(peers.port, *words).end() == 0


async def test_a_refused_channel_ends_the_command(peers: Peers, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("listen", "private-a", "--port", str(peers.port), *CREDENTIALS[:-1], "wrong")
    assert await RunningCommand(words, capsys).end() == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a b",), "'a b' is no channel: The channel name may hold only letters, digits and _ - = @ , . ;"),
        (("",), "'' is no channel: The channel name is empty."),
        (("#server-to-user-1",), "'#server-to-user-1' needs a sign-in, which this command does not have"),
        (("presence-a",), "presence-a is a presence channel: give the member with --user"),
        (("c",) * 101, "one call can listen to 100 channels, not 101"),
        (("c", "--cluster", "eu", "--host", "x"), "--cluster is instead of --host, --port, --unix-socket and --tls"),
        (("c", "--cluster", "eu/x"), "--cluster: must be the name of a cluster, such as eu or us2"),
        (("presence-a", "--user", "1", "--user-info", "{"), "--user-info: must be JSON: "),
        (("c", "--count", "0"), "argument --count: must be a whole number above 0, not '0'"),
        (("c", "--timeout", "nan"), "argument --timeout: must be a number of seconds above 0, not 'nan'"),
    ],
)
def test_a_mistake_in_the_call_is_one_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"soketpy listen: error: {said}")
    assert err.count("\n") == 1


def run_alone(port: int, *words: str) -> "subprocess.CompletedProcess[str]":
    """Listen to channel c in a process of its own: aiohttp may leave a refused connection to the garbage collector."""
    command = (sys.executable, "-m", "soketpy", "listen", "c", *words, "--port", str(port), *CREDENTIALS)
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


async def test_the_command_and_the_server_may_differ_about_tls(
    peers: Peers, start_server: StartServer, tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key)
    secure = await start_server(tls=Tls(cert=str(cert), key=str(key)))
    for port, words, said in (
        (peers.port, ("--tls",), "the port speaks no TLS: leave out --tls\n"),
        (secure.port, (), "the port speaks TLS: give --tls\n"),
        (secure.port, ("--tls", "--host", "127.0.0.1"), "certificate verify failed"),
    ):
        done = await asyncio.to_thread(run_alone, port, *words)
        assert done.returncode == 1
        assert said in done.stderr
    process = await asyncio.to_thread(start, secure.port, "c", "--tls", "--insecure", "--count", "1")
    trigger = ("trigger", "c", "e", "d", "--port", str(secure.port), "--tls", "--insecure", *CREDENTIALS)
    assert await asyncio.to_thread(main, trigger) == 0
    await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert process.returncode == 0


@contextmanager
def proxy_with_tls(cert: Path, key: Path) -> Iterator[int]:
    """A port that answers 400 to clients without TLS, and completes the handshake of the others, as nginx does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    if client.recv(1, socket.MSG_PEEK) == b"\x16":
                        context.wrap_socket(client, server_side=True).close()
                    else:
                        client.recv(10_000)
                        client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_proxy_that_answers_400_to_plain_http_is_named(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key)
    with proxy_with_tls(cert, key) as port:
        done = run_alone(port)
    said = f"soketpy listen: cannot reach http://127.0.0.1:{port}: the port speaks TLS: give --tls\n"
    assert (done.returncode, done.stderr) == (1, said)


# The process


def start(port: int, *words: str) -> "subprocess.Popen[str]":
    """Start the command in a process of its own, and wait until it has subscribed."""
    pipe = subprocess.PIPE
    command = (sys.executable, "-m", "soketpy", "listen", *words, "--port", str(port), *CREDENTIALS)
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    assert process.stderr is not None
    assert "subscribed to " in process.stderr.readline()
    return process


async def test_ctrl_c_ends_the_command_without_a_message(peers: Peers) -> None:
    process = await asyncio.to_thread(start, peers.port, "c")
    os.kill(process.pid, signal.SIGINT)
    out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")
    assert (await peers.call("GET", "/channels")).json == {"channels": {}}


async def test_a_closed_pipe_ends_the_command_without_a_message(peers: Peers) -> None:
    process = await asyncio.to_thread(start, peers.port, "c")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    await peers.trigger("c", "e", "x")
    assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
