"""``soketpy webhooks`` over the Redis of a cluster."""

import asyncio
import json
import time
from pathlib import Path
from uuid import uuid4

import pytest

from soketpy.cli import main
from soketpy.config import Settings
from soketpy.config.settings import Redis
from soketpy.process.queues import operators_queues
from tests.drivers.queues import RedisKit, delivery, ids
from tests.fakes import APP
from tests.patience import PATIENCE


async def test_the_commands_see_and_change_the_queues_of_all_partitions(
    redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"test-{uuid4()}"
    kit = RedisKit(redis)
    kit.time = time.time() + PATIENCE  # the commands have the clock of Redis
    queue = await kit.open(prefix=prefix)
    try:
        config = tmp_path / "soketpy.json"
        app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret}
        given = {"unix_socket": redis, "prefix": prefix}
        config.write_text(json.dumps({"apps": [app], "cluster": "redis", "redis": given}))

        async def run(*argv: str) -> tuple[int, str]:
            code = await asyncio.to_thread(main, ("webhooks", *argv, "--config", str(config)))
            return code, capsys.readouterr().out

        waiting, failing = delivery(), delivery(webhook="other")
        await queue.put([waiting, failing])
        for each in await queue.take():
            if each.id == failing.id:
                await queue.bury(each, "HTTP 410")
        code, out = await run("list")
        assert (code, out.startswith("app app  hook.example (webhook hook)  1 waiting")) == (0, True), out
        code, out = await run("failed")
        assert code == 0
        assert failing.id in out
        assert (await run("retry", failing.id))[0] == 0
        assert ids(await queue.take()) == [failing.id], "the holder is woken"
        assert (await run("failed"))[1] == "No deliveries were given up.\n"
    finally:
        await kit.close()


def test_a_redis_that_cannot_be_used_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "soketpy.json"
    given = {"unix_socket": str(tmp_path / "none.sock"), "password": "s3cret"}
    config.write_text(json.dumps({"cluster": "redis", "redis": given}))
    assert main(("webhooks", "list", "--config", str(config))) == 1
    err = capsys.readouterr().err
    assert "cannot use Redis at" in err
    assert "s3cret" not in err


async def test_each_partition_has_a_queue(redis: str) -> None:
    given = Redis(unix_socket=redis, prefix=f"test-{uuid4()}", partitions=3)
    async with operators_queues(Settings(cluster="redis", redis=given)) as queues:
        assert len(queues) == 3
        for each in queues:
            assert await each.dead(10) == []
