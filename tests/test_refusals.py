"""What is refused leaves a trace."""

import logging

import pytest

from soketpy.refusals import LINES, Refusals
from tests.fakes import FakeLoop, House


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    lines = [record for record in caplog.records if record.name == "soketpy.refusals"]
    return [(record.levelname, record.getMessage()) for record in lines]


@pytest.fixture(autouse=True)
def debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "soketpy.refusals")


def test_a_refused_subscription_names_app_channel_code_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    client = House().connect()
    client.subscribe("private-a", auth="app-key:wrong")
    [(level, line)] = records(caplog)
    assert level == "INFO"
    assert line.startswith("App app-id: refused a subscription of private-a: 401 ")
    assert "app-secret" not in line


def test_refused_messages_leave_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    client = House().connect()
    client.say("client-typing", channel="private-a")
    client.hear(b"no JSON")
    client.say("pusher:signin", {"auth": "wrong", "user_data": "{}"})
    assert [line.partition(": ")[2][:22] for _, line in records(caplog)] == [
        "refused a client event",
        "refused a message: 430",
        "refused a message: 400",
    ]


def test_what_a_stranger_sends_is_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    client = House().connect()
    client.subscribe("private-\n\x1b[2J" + "x" * 10_000)
    [(_, line)] = records(caplog)
    assert line.isprintable()
    assert len(line) < 1000


def test_a_flood_of_refusals_has_few_lines_at_info_and_other_apps_keep_theirs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = FakeLoop()
    refusals = Refusals(loop.time)
    for _ in range(100):
        refusals.subscription("noisy", "a", 401, "no")
    refusals.subscription("quiet", "a", 401, "no")
    refusals.request(None, "GET", "/apps/nobody/events", 404, "no such app")
    levels = [level for level, line in records(caplog) if "noisy" in line]
    assert levels == ["INFO"] * LINES + ["DEBUG"] * (100 - LINES)
    assert records(caplog)[-2:] == [
        ("INFO", "App quiet: refused a subscription of a: 401 no"),
        ("INFO", "No app: refused GET /apps/nobody/events: 404 no such app"),
    ]


def test_refused_connections_are_counted_by_code() -> None:
    refusals = Refusals(FakeLoop().time)
    for code in (4001, 4001, 4100):
        refusals.connection("127.0.0.1", code, "no")
    assert refusals.connections == {4001: 2, 4100: 1}
