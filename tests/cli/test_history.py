"""``soketpy history`` against real servers."""

import json
import re
from dataclasses import replace

import pytest

from soketpy.core.history import HistoryRule
from tests.cli.commands import CREDENTIALS, RunningCommand
from tests.conftest import Peers, StartServer
from tests.fakes import APP

LINE = re.compile(r"[0-9a-f]{16}:(\d) \d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z (\w) (.*)")

STORED = replace(APP, history=(HistoryRule(channels="*room", events=3),))


@pytest.fixture
async def peers(start_server: StartServer) -> Peers:
    peers = await start_server(apps=(STORED,))
    for name in "abcd":
        assert (await peers.trigger("room", name, f'{{"of":"{name}\x1b"}}')).status == 200
    return peers


async def printed(peers: Peers, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    command = RunningCommand(("history", *words, "--port", str(peers.port), *CREDENTIALS), capsys)
    code = await command.end()
    return code, command.out, command.err


async def test_the_last_events_are_printed_the_oldest_first(peers: Peers, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = await printed(peers, capsys, "room", "--limit", "2")
    assert (code, err) == (0, "")
    lines = [LINE.fullmatch(line) for line in out.splitlines()]
    assert [found and found.groups() for found in lines] == [
        ("3", "c", r'{"of":"c\x1b"}'),
        ("4", "d", r'{"of":"d\x1b"}'),
    ]


async def test_the_events_after_a_position_are_printed_as_json(
    peers: Peers, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = await printed(peers, capsys, "room", "--json")
    page = json.loads(out)
    assert [event["name"] for event in page["events"]] == ["b", "c", "d"]
    code, out, _ = await printed(peers, capsys, "room", "--json", "--after", page["events"][1]["id"])
    assert (code, [event["name"] for event in json.loads(out)["events"]]) == (0, ["d"])


async def test_missing_events_are_reported(peers: Peers, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = await printed(peers, capsys, "room", "--json")
    epoch = json.loads(out)["last"].split(":")[0]
    code, out, err = await printed(peers, capsys, "room", "--after", f"{epoch}:0")
    assert (code, len(out.splitlines())) == (1, 3)
    assert err == "soketpy history: events after this position are missing, or the log has started again\n"


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("news",), 1, "HTTP 404: The channel has no history."),
        (("room", "--after", "x"), 1, "HTTP 400: The parameter after must be a position"),
        (("room", "--limit", "0"), 2, "must be a whole number from 1 to 1000"),
        (("not a channel",), 1, "HTTP 400: "),
    ],
)
async def test_a_refusal_is_one_line(
    peers: Peers, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, problem: str
) -> None:
    ended, out, err = await printed(peers, capsys, *words)
    assert (ended, out) == (code, "")
    assert problem in err
    assert "Traceback" not in err
