"""``soketpy apps --admin-url``: the address and the token of a server, and servers that do not answer."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from soketpy.cli import main
from soketpy.cli.admin_calls import HTTP_IS_LOCAL
from soketpy.config.registry import Admin
from soketpy.config.settings import Settings, Tls
from soketpy.core.apps import App, Key
from soketpy.process.admin_server import serve_admin
from tests.authority import Authority
from tests.conftest import StartServer
from tests.registries import MemoryRegistry

TOKEN = "a-token-of-the-tests"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Return the admin port of a registry with one app."""
    settings = Settings(admin=Admin(enabled=True, port=0, tokens=(TOKEN,)))
    registry = MemoryRegistry(App(id="1", keys=(Key("key-1", "secret"),)))
    async with AsyncExitStack() as stack:
        yield await serve_admin(stack, settings, registry, lambda _: None)


@pytest.fixture
def token(tmp_path: Path) -> str:
    """Return the file of the token."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return str(tmp_path / "token")


async def test_the_token_may_be_in_a_file(port: int, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("apps", "list", "--admin-url", f"http://localhost:{port}", "--token-file", token)
    assert await asyncio.to_thread(main, argv) == 0
    assert capsys.readouterr().out == "ID  KEY    NOTES\n1   key-1\n"


async def test_the_token_may_come_from_standard_input(
    port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(f"{TOKEN}\n"))
    argv = ("apps", "list", "--admin-url", f"http://localhost:{port}", "--token-file", "-")
    assert await asyncio.to_thread(main, argv) == 0
    assert capsys.readouterr().out == "ID  KEY    NOTES\n1   key-1\n"


@pytest.fixture
def authority() -> Authority:
    return Authority("Our own")


@pytest.fixture
async def proxy(port: int, authority: Authority, tmp_path: Path) -> AsyncIterator[str]:
    """Return the URL of a proxy with TLS in front of the admin port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(tmp_path))
    async with await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_server_behind_tls_is_reached(
    proxy: str,
    authority: Authority,
    token: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert await asyncio.to_thread(main, ("apps", "list", "--admin-url", proxy, "--token-file", token)) == 0
    assert capsys.readouterr().out == "ID  KEY    NOTES\n1   key-1\n"


async def test_a_certificate_that_is_not_trusted_is_a_failure(
    proxy: str, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ("apps", "list", "--admin-url", proxy, "--token-file", token)) == 1
    assert "certificate verify failed" in capsys.readouterr().err


WRONG_URLS = [
    ("", "--admin-url: must be a URL such as https://admin.example.com"),
    ("admin.example.com", "--admin-url: must be a URL such as https://admin.example.com"),
    ("ftp://admin.example.com", "--admin-url: must be a URL such as https://admin.example.com"),
    ("https://[::1", "--admin-url: must be a URL such as https://admin.example.com"),
    ("https://a:b@admin.example.com", "--admin-url: must have no user, query or fragment"),
    ("https://admin.example.com?a=b", "--admin-url: must have no user, query or fragment"),
    ("http://admin.example.com", HTTP_IS_LOCAL),
    ("http://10.0.0.1:6002", HTTP_IS_LOCAL),
]


@pytest.mark.parametrize(("url", "problem"), WRONG_URLS)
def test_a_wrong_url_is_a_mistake(url: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("apps", "list", "--admin-url", url)) == 2
    assert capsys.readouterr().err == f"soketpy apps: error: {problem}\n"


def test_a_url_needs_a_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOKETPY_ADMIN_TOKEN", raising=False)
    assert main(("apps", "list", "--admin-url", "https://localhost")) == 2
    assert "needs a token: give --token-file, or set SOKETPY_ADMIN_TOKEN" in capsys.readouterr().err


def test_a_token_file_needs_a_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("apps", "list", "--token-file", "x")) == 2
    assert capsys.readouterr().err == "soketpy apps: error: --token-file has no effect without --admin-url\n"


def test_a_configuration_next_to_a_url_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("apps", "list", "--config", "soketpy.yaml", "--admin-url", "https://localhost")) == 2
    assert "--config has no effect with --admin-url" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "\n", "a\x00b", "ä"])
def test_a_file_without_a_token_is_a_mistake(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text(content)
    assert main(("apps", "list", "--admin-url", "https://localhost", "--token-file", str(tmp_path / "token"))) == 2
    assert "--token-file: the first line must be a secret of printable ASCII characters" in capsys.readouterr().err


async def test_a_refused_token_is_a_failure(port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong").write_text("a-token-of-somebody-else")
    argv = ("apps", "list", "--admin-url", f"http://localhost:{port}", "--token-file", str(tmp_path / "wrong"))
    assert await asyncio.to_thread(main, argv) == 1
    err = capsys.readouterr().err
    assert err == f"soketpy apps: http://localhost:{port} refused the token: give one of its admin.tokens\n"


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/apps"])
async def test_a_url_with_the_path_of_the_api_is_a_failure(
    port: int, path: str, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("apps", "list", "--admin-url", f"http://localhost:{port}{path}", "--token-file", token)
    assert await asyncio.to_thread(main, argv) == 1
    assert f"has no admin API: --admin-url without /admin is http://localhost:{port}\n" in capsys.readouterr().err


async def test_the_main_port_is_a_failure(
    start_server: StartServer, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{(await start_server()).port}"
    assert await asyncio.to_thread(main, ("apps", "list", "--admin-url", url, "--token-file", token)) == 1
    hint = "give the address of the admin port (admin.port, 6002 by default) as --admin-url"
    assert capsys.readouterr().err == f"soketpy apps: {url} has no admin API: {hint}\n"


async def test_the_admin_port_has_no_tls(port: int, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("apps", "list", "--admin-url", f"https://localhost:{port}", "--token-file", token)
    assert await asyncio.to_thread(main, argv) == 1
    assert "the port speaks no TLS: the admin port has no TLS of its own; use http://" in capsys.readouterr().err


async def test_a_port_with_tls_needs_https(
    start_server: StartServer, authority: Authority, token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, key = authority.issue(tmp_path)
    url = f"http://127.0.0.1:{(await start_server(tls=Tls(cert=cert, key=key))).port}"
    assert await asyncio.to_thread(main, ("apps", "list", "--admin-url", url, "--token-file", token)) == 1
    assert "the port speaks TLS: use https://" in capsys.readouterr().err


async def call_one_that_answers(answer: bytes) -> tuple[int, str]:
    """List the apps of a server with this answer. Return the exit code, and the URL of the server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return await asyncio.to_thread(main, ("apps", "list", "--admin-url", url)), url


async def test_a_server_of_something_else_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    code, url = await call_one_that_answers(answer)
    err = f"soketpy apps: {url} did not answer as the admin API of soketpy does: 200\n"
    assert (code, capsys.readouterr().err) == (1, err)


def test_a_server_that_does_not_run_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    assert main(("apps", "list", "--admin-url", "http://127.0.0.1:1")) == 1
    assert capsys.readouterr().err == "soketpy apps: cannot reach http://127.0.0.1:1: Connection refused\n"


async def test_text_of_a_server_cannot_control_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    for status, document in (
        ("409 Conflict", {"error": "\x1b[2J\nforged"}),
        ("200 OK", {"apps": [{"id": "\x1b[2J", "keys": []}], "next": None}),
    ):
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        await call_one_that_answers(head + body)
    written = capsys.readouterr()
    assert written.out == "ID         KEY  NOTES\n'\\x1b[2J'  -\n"
    assert written.err == "soketpy apps: '\\x1b[2J\\nforged'\n"
