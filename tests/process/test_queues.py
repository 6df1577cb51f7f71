"""The queue of webhooks that the settings choose."""

import pytest

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
