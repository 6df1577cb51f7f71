"""``soketpy webhooks``: its output, its exit codes, and its effect on the queue of a server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.cli.webhooks import NO_ROOM, QUEUED_AGAIN
from soketpy.core.deliveries import Delivery
from soketpy.drivers.sqlite.queue import SqliteQueue
from soketpy.protocol.event_types import EVENT_TYPES
from tests.drivers.queues import delivery, ids
from tests.fakes import APP
from tests.patience import PATIENCE
from tests.receiver import answer_with, receiving

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def config(tmp_path: Path, path: Path) -> Path:
    file = tmp_path / "soketpy.json"
    app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret}
    file.write_text(json.dumps({"apps": [app], "webhooks": {"path": str(path)}}))
    return file


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a form of the command in a thread. Return its exit code, standard output and standard error."""

    async def run(*argv: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ("webhooks", *argv, "--config", str(config)))
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


@pytest.fixture
async def queue(path: Path) -> SqliteQueue:
    """Return the queue of a server that runs. Stopped queues may be started again."""
    queue = SqliteQueue(str(path))
    await queue.start()
    return queue


async def bury(queue: SqliteQueue, *deliveries: Delivery) -> None:
    await queue.put(deliveries)
    for each in await queue.take():
        await queue.bury(each, "HTTP 410")


async def test_list_prints_the_length_of_each_endpoint_without_the_path_of_its_url(
    queue: SqliteQueue, run: Run
) -> None:
    assert await run("list") == (0, "No deliveries wait.\n", "")
    await queue.put([delivery("1"), delivery("2"), delivery(app="b", webhook="other")])
    code, out, err = await run("list")
    first, second = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith("app app  hook.example (webhook hook)  2 waiting, the oldest for ")
    assert second.startswith("app b  other.example (webhook other)  1 waiting, the oldest for ")
    await queue.stop()


async def test_failed_prints_the_newest_dead_letters_first(queue: SqliteQueue, run: Run) -> None:
    assert await run("failed") == (0, "No deliveries were given up.\n", "")
    deliveries = [delivery(str(lane)) for lane in range(3)]
    for each in deliveries:
        await bury(queue, each)
    code, out, _ = await run("failed", "--limit", "2")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == [deliveries[2].id, deliveries[1].id]
    assert out.splitlines()[0].endswith("  app app  hook.example (webhook hook)  1 event  HTTP 410")
    await queue.stop()


async def test_a_running_server_sends_what_retry_has_queued_again(queue: SqliteQueue, run: Run) -> None:
    one, other, third = delivery("1"), delivery("2"), delivery(app="b")
    await bury(queue, one, other, third)
    taking = asyncio.create_task(queue.take())
    text = QUEUED_AGAIN.format("1 delivery") + "\n"
    assert await run("retry", one.id) == (0, text, "")
    async with asyncio.timeout(PATIENCE):
        assert ids(await taking) == [one.id]
    assert (await run("retry", "--app-id", "b"))[1].startswith("Queued 1 delivery again.")
    assert (await run("retry", "--all"))[1].startswith("Queued 1 delivery again.")
    assert await run("retry", "--all") == (0, "No deliveries were given up.\n", "")
    assert await run("retry", "--app-id", "b") == (0, "No deliveries of the app b were given up.\n", "")
    await queue.stop()


async def test_retry_says_how_many_stay_dead_because_the_queue_is_full(
    queue: SqliteQueue, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = [delivery(str(lane)) for lane in range(5)]
    await bury(queue, *deliveries)
    await queue.stop()
    monkeypatch.setenv("SOKETPY_WEBHOOKS_QUEUE_SIZE", "3")
    said = f"{QUEUED_AGAIN}\n{NO_ROOM}\n"
    assert await run("retry", "--all") == (0, said.format("3 deliveries", "2 deliveries"), "")
    failure = f"soketpy webhooks: {NO_ROOM}\n".format("1 delivery")
    assert await run("retry", deliveries[4].id) == (1, "", failure)


async def test_purge_removes_what_it_is_asked_to(queue: SqliteQueue, run: Run) -> None:
    one, other, third, fourth = delivery("1"), delivery("2"), delivery(app="b"), delivery(app="c")
    await bury(queue, one, other, third, fourth)
    await queue.stop()  # no server needs to run
    assert await run("purge", one.id) == (0, "Removed 1 delivery.\n", "")
    assert await run("purge", "--app", "b") == (0, "Removed 1 delivery.\n", "")
    assert await run("purge", "--all") == (0, "Removed 2 deliveries.\n", "")


@pytest.mark.parametrize("form", ["retry", "purge"])
async def test_an_unknown_id_is_a_failure(queue: SqliteQueue, run: Run, form: str) -> None:
    await queue.stop()
    assert await run(form, "x") == (1, "", "soketpy webhooks: no delivery with the id 'x' was given up\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "the following arguments are required: COMMAND (see soketpy webhooks --help)"),
        (("retry",), "one of the arguments ID --app-id/--app --all is required (see soketpy webhooks retry --help)"),
        (("purge", "--all", "x"), "argument ID: not allowed with argument --all (see soketpy webhooks purge --help)"),
        (
            ("failed", "--limit", "0"),
            "argument --limit: must be a whole number above 0, not '0' (see soketpy webhooks failed --help)",
        ),
        (("test", "--url", "ftp://x"), "--url: must be an http:// or https:// URL with a host"),
        (("test", "--url", "http://x", "--app-id", "none"), "no app with the id none"),
        (("test", "--url", "http://x", "--event", "x"), f"--event: must be one of {', '.join(EVENT_TYPES)}"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    argv: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("webhooks", *argv)) == 2
    assert capsys.readouterr().err.endswith(f"error: {said}\n")


async def test_a_missing_file_and_a_queue_in_memory_are_one_line(
    run: Run, config: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"soketpy webhooks: there is no file {path}: no server has queued webhooks there yet\n"
    assert await run("list") == (1, "", said)
    monkeypatch.setenv("SOKETPY_WEBHOOKS_QUEUE", "memory")
    code, out, err = await run("list")
    assert (code, out) == (2, "")
    assert err.endswith("SOKETPY_WEBHOOKS_QUEUE: no command reaches the queue in the memory of the server\n")


@pytest.mark.parametrize("event", EVENT_TYPES)
async def test_a_sample_of_each_event_is_signed_and_accepted(run: Run, event: str) -> None:
    async with receiving() as receiver:
        code, out, err = await run("test", "--url", receiver.url(), "--event", event)
        [request] = receiver.requests
        assert (code, err) == (0, "")
        assert out.endswith("\nThe receiver accepted the webhook.\n")
        assert request.is_signed_by("app-key", "app-secret")
        assert request.body.decode() in out
        assert request.delivery in out
        assert receiver.names == [event]


async def test_a_sample_has_the_headers_of_the_webhook_with_this_url(run: Run, config: Path) -> None:
    async with receiving() as receiver:
        settings = json.loads(read(config))
        hook = {"url": receiver.url(), "event_types": ["cache_miss"], "headers": {"Authorization": "well-hidden"}}
        settings["apps"][0]["webhooks"] = [hook]
        write(config, json.dumps(settings))
        _, out, _ = await run("test", "--url", receiver.url())
        assert receiver.requests[0].headers["Authorization"] == "well-hidden"
        assert "well-hidden" not in out


def read(file: Path) -> str:
    return file.read_text()


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def test_a_refused_sample_is_a_failure_with_the_answer(run: Run) -> None:
    async with receiving() as receiver:
        receiver.answer = answer_with(500)
        code, _, err = await run("test", "--url", receiver.url())
        assert (code, err) == (1, "soketpy webhooks: the receiver did not accept the webhook: HTTP 500\n")
    code, _, err = await run("test", "--url", receiver.url())
    assert code == 1
    assert err.startswith("soketpy webhooks: the receiver did not accept the webhook: ")
    assert err.count("\n") == 1
