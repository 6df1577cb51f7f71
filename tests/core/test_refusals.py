"""The log lines about refused clients."""

import logging
from dataclasses import replace

import pytest

from soketpy.core.refusals import LINES, MOST_LINES, NAMED, SUMMARY_INTERVAL, Refusals, address, one_line
from tests.conftest import Contained
from tests.fakes import APP, Client, FakeLoop, House


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
    assert line.startswith(f"App app-id: refused a subscription of private-a by connection {client.id}: 401 ")
    assert "app-secret" not in line


def test_the_log_holds_neither_a_signature_nor_what_it_should_sign(caplog: pytest.LogCaptureFixture) -> None:
    client = House().connect()
    member = '{"user_id":"ada","user_info":{"mail":"ada@example.org"}}'
    client.subscribe("presence-a", auth="app-key:0123abcd", channel_data=member)
    [(_, line)] = records(caplog)
    assert line == (
        f"App app-id: refused a subscription of presence-a by connection {client.id}: 401 "
        "Invalid signature; the error at the client contains the text that must be signed."
    )


def test_refused_messages_leave_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    client = House().connect()
    client.say("client-typing", channel="private-a")
    client.hear(b"no JSON")
    assert [line.partition(" by ")[::2] for _, line in records(caplog)] == [
        (
            "App app-id: refused a client event on private-a",
            f"connection {client.id}: 4301 The connection is not on this channel.",
        ),
        (
            "App app-id: refused a message",
            f"connection {client.id}: 4300 The message is not a valid event: invalid character (byte 4).",
        ),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"auth": "wrong", "user_data": "{}"}, "The signature of the sign-in is invalid."),
        ({"auth": 1}, "The data of pusher:signin is not valid"),
    ],
)
def test_a_connection_that_is_closed_for_its_sign_in_has_one_line_that_names_socket_id_and_address(
    caplog: pytest.LogCaptureFixture, data: object, reason: str
) -> None:
    client = House().connect()
    client.say("pusher:signin", data)
    assert client.closed is not None
    assert client.closed[0] == 4009
    [(_, line)] = records(caplog)
    assert line.startswith(
        f"App app-id: closed the connection {client.id} from 10.0.0.1: 4009 Refused sign-in: {reason}"
    )


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
    refusals = Refusals(loop.time, loop.call_later)
    for _ in range(100):
        refusals.subscription("noisy", "1.2", "a", 401, "no")
    refusals.subscription("quiet", "1.2", "a", 401, "no")
    refusals.request(None, "10.0.0.5", "GET", "/apps/nobody/events", 404, "no such app")
    levels = [level for level, line in records(caplog) if "noisy" in line]
    assert levels == ["INFO"] * LINES + ["DEBUG"] * (100 - LINES)
    assert records(caplog)[-2:] == [
        ("INFO", "App quiet: refused a subscription of a by connection 1.2: 401 no"),
        ("INFO", "No app: refused GET /apps/nobody/events from 10.0.0.5: 404 no such app"),
    ]


def test_refused_connections_are_counted_by_code() -> None:
    loop = FakeLoop()
    refusals = Refusals(loop.time, loop.call_later)
    for code in (4001, 4001, 4100):
        refusals.connection("127.0.0.1", code, "no")
    assert refusals.connections == {4001: 2, 4100: 1}


@pytest.mark.parametrize(
    ("method", "details", "whose"),
    [
        ("connection", ("10.0.0.5", 4009, "no", "noisy"), "App noisy"),
        ("handshake", ("10.0.0.5", 400, "no"), "No app"),
        ("tls", ("no",), "No app"),
        ("closed", ("noisy", "1.2", "10.0.0.5", 4100, "slow"), "App noisy"),
        ("subscription", ("noisy", "1.2", "a", 401, "no"), "App noisy"),
        ("message", ("noisy", "1.2", 4301, "no", "a"), "App noisy"),
        ("request", ("noisy", "10.0.0.5", "GET", "/", 401, "no"), "App noisy"),
    ],
)
def test_a_flood_of_refusals_has_a_few_lines_a_second_that_say_how_many_were_left_out(
    caplog: pytest.LogCaptureFixture, method: str, details: tuple[object, ...], whose: str
) -> None:
    caplog.set_level(logging.INFO, "soketpy.refusals")
    loop = FakeLoop()
    refusals = Refusals(loop.time, loop.call_later)
    for _ in range(10_000):
        getattr(refusals, method)(*details)
    refusals.closed("quiet", "1.2", "10.0.0.5", 4100, "slow")
    assert len(records(caplog)) == LINES + 1
    loop.advance(SUMMARY_INTERVAL)
    left_out = 10_000 - LINES
    assert records(caplog)[LINES + 1 :] == [
        ("INFO", f"Left out {left_out} lines like these ({whose} {left_out}); log.level: debug shows all")
    ]
    loop.advance(10 * SUMMARY_INTERVAL)
    assert len(records(caplog)) == LINES + 2, "nothing was left out since"


def test_a_flood_of_many_apps_is_bounded_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "soketpy.refusals")
    loop = FakeLoop()
    refusals = Refusals(loop.time, loop.call_later)
    for number in range(1_000):
        for _ in range(LINES):
            refusals.message(f"app-{number}", "1.2", 4301, "no")
    loop.advance(SUMMARY_INTERVAL)
    assert len(records(caplog)) == MOST_LINES + 1
    summary = records(caplog)[-1][1]
    assert f"Left out {1_000 * LINES - MOST_LINES} lines" in summary
    assert summary.count("app-") == NAMED


def test_a_refused_connection_names_its_app_and_what_it_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    loop = FakeLoop()
    refusals = Refusals(loop.time, loop.call_later)
    refusals.connection("10.0.0.5", 4009, "Not from this origin.", "shop", "origin https://evil.example")
    refusals.connection("10.0.0.5", 4001, "App key x does not exist.")
    assert [line for _, line in records(caplog)] == [
        "App shop: refused a connection from 10.0.0.5 (origin https://evil.example): 4009 Not from this origin.",
        "No app: refused a connection from 10.0.0.5: 4001 App key x does not exist.",
    ]


def test_what_a_stranger_asks_for_is_one_short_line_whatever_the_method(caplog: pytest.LogCaptureFixture) -> None:
    loop = FakeLoop()
    refusals = Refusals(loop.time, loop.call_later)
    long = "\nERROR\u202e" + "x" * 10_000
    refusals.connection("::1", 4009, long, "a", long)
    refusals.handshake("::1", 400, long)
    refusals.tls(long)
    refusals.closed("a", "1.2", "::1", 1002, long)
    refusals.subscription("a", "1.2", long, 401, long)
    refusals.message("a", "1.2", 4301, long, long)
    refusals.request("a", "::1", long, long, 400, long)
    assert len(records(caplog)) == 7
    for _, line in records(caplog):
        assert line.isprintable()
        assert len(line) < 1100


def test_a_connection_that_is_closed_for_its_malformed_messages_has_a_line(caplog: pytest.LogCaptureFixture) -> None:
    client = House(bad_messages=1).connect()
    client.hear(b"no JSON")
    client.hear(b"no JSON")
    assert client.closed is not None
    assert client.closed[0] == 4009
    (_, refused), (_, closed) = records(caplog)
    assert refused.startswith(f"App app-id: refused a message by connection {client.id}: 4300 ")
    start = f"App app-id: closed the connection {client.id} from 10.0.0.1: 4009 "
    assert closed.startswith(start + "Too many malformed messages; the last: ")


def test_a_watchlist_that_is_cut_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    client = House().connect(replace(APP, watchlists=True, max_watchlist_size=1))
    client.sign_in("ada", watchlist=["b", "c"])
    start = f"App app-id: refused a message by connection {client.id}: 4302 The watchlist is longer than 1;"
    assert records(caplog)[-1][1].startswith(start)


def test_only_what_is_not_printable_is_escaped() -> None:
    assert one_line("Zürich\n\x1b[2J\ud800") == "Zürich\\n\\x1b[2J\\ud800"


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        (("10.0.0.5", 80), "10.0.0.5"),
        (("::ffff:10.0.0.5", 80, 0, 0), "10.0.0.5"),
        ("", "a Unix socket"),
        (None, "an unknown address"),
    ],
)
def test_an_address_is_shown(peer: object, shown: str) -> None:
    assert address(peer) == shown


# A log that fails


def answers_to_refused_messages() -> list[object]:
    """Everything that a client hears to messages that are refused, and its close."""
    house = House(bad_messages=1)
    client = house.connect(replace(APP, watchlists=True, max_watchlist_size=1))
    answers: list[object] = []

    def heard(of: Client) -> None:
        answers.extend(of.take())
        answers.append(of.closed)

    client.subscribe("private-a", auth="wrong")
    client.say("client-typing", channel="private-a")
    client.sign_in("ada", watchlist=["b", "c"])
    client.hear(b"no JSON")
    client.hear(b"no JSON")
    heard(client)
    other = house.connect()
    other.say("pusher:signin", {"auth": "wrong", "user_data": "{}"})
    heard(other)
    return answers


@pytest.mark.parametrize(
    "what",
    ["soketpy.core.refusals.log.log", "soketpy.core.refusals.Lines.level", "soketpy.core.refusals.Refusals.message"],
)
def test_a_log_that_fails_changes_no_answer(what: str, contained: Contained, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = answers_to_refused_messages()
    assert contained.count == 0

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr(what, fail)
    assert answers_to_refused_messages() == wanted
    assert contained.count > 0


def test_a_log_that_fails_for_faults_too_changes_no_answer(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = answers_to_refused_messages()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the log fails")

    for level in ("log", "error"):
        monkeypatch.setattr(f"logging.Logger.{level}", fail)
    assert answers_to_refused_messages() == wanted
    assert contained.count > 0


def test_a_summary_that_cannot_be_logged_is_contained(
    contained: Contained, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "soketpy.refusals")
    loop = FakeLoop()
    refusals = Refusals(loop.time, loop.call_later)
    for _ in range(LINES + 1):
        refusals.message("a", "1.2", 4301, "no")

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr("soketpy.core.refusals.log.info", fail)
    loop.advance(SUMMARY_INTERVAL)
    assert contained.count == 1
