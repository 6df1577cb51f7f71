"""The queue of webhooks that the settings choose."""

from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import ConfigError, Settings
from soketpy.config.settings import Webhooks
from soketpy.process.queues import check_queue, kind_of, operators_queues


@pytest.mark.parametrize(
    ("cluster", "chosen", "kind"),
    [
        ("local", "auto", "sqlite"),
        ("redis", "auto", "redis"),
        ("local", "memory", "memory"),
        ("redis", "memory", "memory"),
    ],
)
def test_the_default_queue_is_durable(cluster: str, chosen: str, kind: str) -> None:
    assert kind_of(Settings(cluster=cluster, webhooks=Webhooks(queue=chosen))) == kind


@pytest.mark.parametrize(
    ("cluster", "workers", "problem"),
    [("local", 1, None), ("local", 2, "cannot share a sqlite file"), ("redis", 1, "cannot share a sqlite file")],
)
def test_several_nodes_share_no_file(cluster: str, workers: int, problem: str | None) -> None:
    settings = Settings(cluster=cluster, webhooks=Webhooks(queue="sqlite"))
    if problem is None:
        check_queue(settings, workers)
    else:
        with pytest.raises(ConfigError, match=rf"^webhooks\.queue: .*{problem}"):
            check_queue(settings, workers)


async def test_commands_do_not_reach_the_memory_of_a_server() -> None:
    with pytest.raises(ConfigError, match=r"^webhooks\.queue: no command reaches"):
        async with operators_queues(Settings(webhooks=Webhooks(queue="memory"))):
            pass


@pytest.mark.parametrize(
    ("cluster", "workers", "works"), [("local", 1, False), ("local", 2, True), ("redis", 1, True), ("redis", 2, True)]
)
def test_a_queue_in_redis_needs_a_redis(cluster: str, workers: int, works: bool) -> None:
    settings = Settings(cluster=cluster, webhooks=Webhooks(queue="redis"))
    if works:
        check_queue(settings, workers)
    else:
        with pytest.raises(ConfigError, match=r"^webhooks\.queue: redis needs cluster: redis, or workers: 2 or more$"):
            check_queue(settings, workers)


def test_the_error_names_the_file_the_line_and_the_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "soketpy.yaml"
    config.write_text("webhooks:\n  queue: redis\n")
    assert main(("start", "--config", str(config))) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{config}:2" in line
    assert "webhooks.queue: redis needs cluster: redis" in line


def test_a_missing_url_of_sqs_has_the_name_that_the_writer_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = tmp_path / "soketpy.yaml", tmp_path / "config.json"
    ours.write_text("webhooks: {queue: sqs}")
    theirs.write_text('{"queue.driver": "sqs"}')
    assert main(("check-config", str(ours))) == main(("check-config", str(theirs))) == 2
    monkeypatch.setenv("SOKETI_QUEUE_DRIVER", "sqs")
    assert main(("check-config",)) == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.endswith("webhooks.queue: sqs needs sqs.url, the URL of a FIFO queue")
    assert second.endswith("queue.driver: sqs needs queue.sqs.queueUrl, the URL of a FIFO queue")
    assert third.endswith("SOKETI_QUEUE_DRIVER: sqs needs SOKETI_QUEUE_SQS_URL, the URL of a FIFO queue")


@pytest.mark.parametrize("queue", ["auto", "redis"])
async def test_commands_do_not_reach_the_private_redis_of_workers(queue: str) -> None:
    with pytest.raises(ConfigError, match=r"^workers: no command reaches the private Redis"):
        async with operators_queues(Settings(workers=2, webhooks=Webhooks(queue=queue))):
            pass
