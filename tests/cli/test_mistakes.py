"""Typos get a suggestion, and doubtful arguments a line, before or instead of a call to a server."""

import asyncio

import pytest

from soketpy.cli import main
from tests.conftest import Peers, listening
from tests.fakes import APP

CREDENTIALS = ("--app-id", APP.id, "--key", APP.key, "--secret", APP.keys[0].secret)

TYPOS = [
    ("strat", "soketpy: error: there is no command 'strat'; did you mean start? (see soketpy --help)"),
    ("apps lst", "soketpy apps: error: there is no command 'lst'; did you mean list? (see soketpy apps --help)"),
    (
        "sign frobnicate 1.2",
        "soketpy sign: error: there is no command 'frobnicate'; the commands are rest, channel, user "
        "(see soketpy sign --help)",
    ),
    (
        "start --prot 1",
        "soketpy start: error: unrecognized arguments: --prot 1; did you mean --port? (see soketpy start --help)",
    ),
    (
        "start --prot=1",
        "soketpy start: error: unrecognized arguments: --prot=1; did you mean --port? (see soketpy start --help)",
    ),
    (
        "start -port 1",
        "soketpy start: error: unrecognized arguments: -port 1; did you mean --port? (see soketpy start --help)",
    ),
    (
        "trigger --hots x a",  # the option, not the arguments that it leaves missing
        "soketpy trigger: error: unrecognized arguments: --hots; did you mean --host? (see soketpy trigger --help)",
    ),
    ("start extra", "soketpy start: error: unrecognized arguments: extra (see soketpy start --help)"),
    (
        "trigger a",
        "soketpy trigger: error: the following arguments are required: EVENT, DATA (see soketpy trigger --help)",
    ),
]


@pytest.mark.parametrize(("words", "said"), TYPOS, ids=[words for words, _ in TYPOS])
def test_a_typo_gets_a_suggestion_and_the_help_of_its_command(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    assert capsys.readouterr().err == said + "\n"


def test_an_unknown_command_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["st\x1b[31mrat\n"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("given", ["", "1", "1.", ".1", "1.2.3", "1.x", "1.²", "１.２"])
@pytest.mark.parametrize(
    "words", [("sign", "channel", "ID", "private-a"), ("trigger", "c", "e", "d", "--socket-id", "ID")]
)
def test_an_invalid_socket_id_is_a_mistake(
    words: tuple[str, ...], given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([given if word == "ID" else word for word in words]) == 2
    said = f"soketpy {words[0]}: error: the socket id must be two numbers with a dot between them, such as 123.456"
    assert capsys.readouterr().err == f"{said}, not {given!r}\n"


@pytest.mark.parametrize(
    ("channel", "data", "note"),
    [
        ("c", '{"a":1}', ""),
        ("c", "plain text", ""),
        ("c", "", ""),
        ("c", "{a:1}", "soketpy trigger: note: the data looks like JSON, and is not valid JSON: "),
        ("c", "[" * 5_000, "soketpy trigger: note: the data looks like JSON, and is "),
        ("private-encrypted-c", "{}", "soketpy trigger: note: clients cannot decrypt this: "),
    ],
    ids=["JSON", "text", "empty", "broken", "deep", "encrypted"],
)
async def test_data_that_clients_cannot_use_gets_a_note_and_is_sent(
    channel: str, data: str, note: str, peers: Peers, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("trigger", channel, "e", data, "--port", str(peers.port), *CREDENTIALS)
    code = await asyncio.to_thread(main, words)
    written = capsys.readouterr()
    assert (code, written.out, written.err.count("\n")) == (0, "{}\n", 1 if note else 0)
    assert written.err.startswith(note)


async def test_an_unknown_app_is_named(peers: Peers, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("trigger", "c", "e", "d", "--port", str(peers.port), "--app-id", "no-one", "--key", "k", "--secret", "s")
    assert await asyncio.to_thread(main, words) == 1
    said = "soketpy trigger: HTTP 404: The app could not be found: no app has the id 'no-one'.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("status", "code"), [(200, 0), (500, 1)])
@pytest.mark.parametrize("words", [("healthcheck",), ("trigger", "c", "e", "d", *CREDENTIALS)])
async def test_control_characters_of_a_server_never_reach_the_terminal(
    words: tuple[str, ...], status: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"\x1b[31mred\nand \xe2\x80\xaemore"
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()

    async with listening(serve) as port:
        assert await asyncio.to_thread(main, [*words, "--port", str(port)]) == code
    written = capsys.readouterr()
    assert all(each.isprintable() for each in (written.out + written.err).splitlines())
