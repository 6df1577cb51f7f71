"""The image, built from the Dockerfile and run as a container: it serves, and may do nothing else."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets

from tests.clients.programs import free_port
from tests.image.podman import Podman, build, import_base, problem
from tests.patience import UNHURRIED, wait_until
from tests.redis import Redis

IMAGE = "localhost/soketpy"
SECRET = "secret-of-a-test"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Build the image once."""
    if why := problem():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("image")
    podman = Podman(folder / "storage")
    import_base(podman)
    build(podman, folder, IMAGE)
    yield podman
    podman.remove()


@contextmanager
def serving(podman: Podman, *options: str) -> Iterator[tuple[str, int]]:
    """Run the image, and yield the name of the container and the port, once its HEALTHCHECK is successful."""
    port = free_port()
    name = f"soketpy-{port}"
    environment = ["--env", f"SOKETPY_PORT={port}", "--env", "SOKETPY_HOST=127.0.0.1"]
    environment += ["--env", f"SOKETPY_APP_SECRET={SECRET}", "--env", "SOKETPY_APP_KEY=key"]
    podman.start(name, IMAGE, *environment, *options)
    kind, *check = podman.inspected("image", "inspect", IMAGE)["Healthcheck"]["Test"]
    assert kind == "CMD"
    try:
        wait_until(lambda: podman.ended("exec", name, *check).returncode == 0)
        yield name, port
    finally:
        podman.ended("rm", "--force", "--time", "0", name)


def stop(podman: Podman, name: str) -> str:
    """Stop a container by the signal of the image, and return its log. The server must end with 0."""
    podman.call("stop", "--time", "60", name)
    log = podman.ended("logs", name).stderr
    assert podman.inspected("inspect", name)["State"]["ExitCode"] == 0, log
    return log


async def event(podman: Podman, name: str, port: int) -> str:
    """Subscribe from outside, trigger an event inside of the container, and return its data."""
    async with websockets.connect(f"ws://127.0.0.1:{port}/app/key?protocol=7", **UNHURRIED) as client:
        await client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "my-channel"}}))
        assert json.loads(await client.recv())["event"] == "pusher:connection_established"
        assert json.loads(await client.recv())["event"] == "pusher_internal:subscription_succeeded"
        await asyncio.to_thread(podman.call, "exec", name, "soketpy", "trigger", "my-channel", "my-event", "hello")
        data: str = json.loads(await client.recv())["data"]
        return data


async def test_a_container_with_a_read_only_file_system_serves_and_stops_at_sigterm(podman: Podman) -> None:
    with serving(podman) as (name, port):
        assert await event(podman, name, port) == "hello"
        assert podman.call("exec", name, "id", "-u", "-n").strip() == "soketpy"
        assert "Stopped\n" in stop(podman, name)


def test_the_queue_of_webhooks_is_on_the_volume(podman: Podman, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    webhooks = json.dumps([{"url": "http://127.0.0.1:9/", "event_types": ["channel_occupied"]}])
    options = ["--volume", f"{data}:/data", "--env", f"SOKETPY_APP_WEBHOOKS={webhooks}"]
    with serving(podman, *options) as (name, _):
        queue = data / "soketpy-webhooks.db"
        wait_until(queue.exists)
        assert queue.stat().st_uid == 10001
        stop(podman, name)


async def test_workers_over_redis_serve_and_stop(podman: Podman, tmp_path: Path) -> None:
    with Redis(tmp_path, tcp=True) as redis:
        options = ["--env", "SOKETPY_CLUSTER=redis", "--env", f"SOKETPY_REDIS_PORT={redis.port}"]
        with serving(podman, *options, "--env", "SOKETPY_WORKERS=2") as (name, port):
            assert await event(podman, name, port) == "hello"
            stop(podman, name)


def test_workers_without_redis_are_refused_with_one_line(podman: Podman) -> None:
    refused = podman.run(IMAGE, "--env", "SOKETPY_WORKERS=2")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "use cluster: redis" in refused.stderr


def test_other_commands_are_arguments_of_the_image(podman: Podman) -> None:
    checked = podman.run(IMAGE, words=("sign", "channel", "1.2", "private-a"))
    assert (checked.returncode, "\nauth: app-key:" in checked.stdout) == (0, True), checked


def test_a_mounted_configuration_is_read(podman: Podman, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "soketpy.yaml").write_text("ports: 1\n")
    options = ["--volume", f"{tmp_path}:/etc/soketpy:ro", "--env", "SOKETPY_CONFIG=/etc/soketpy/soketpy.yaml"]
    refused = podman.run(IMAGE, *options)
    assert refused.returncode == 2
    assert "/etc/soketpy/soketpy.yaml:1" in refused.stderr


def test_the_image_names_its_user_by_number_and_its_folder(podman: Podman) -> None:
    config = podman.inspected("image", "inspect", IMAGE)["Config"]
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert (config["Entrypoint"], config["Cmd"]) == (["soketpy"], ["start"])
    assert set(config["ExposedPorts"]) == {"6001/tcp", "9601/tcp"}
    assert set(config["Volumes"]) == {"/data"}
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"


def test_the_image_has_all_drivers_compiled_bytecode_and_no_tool_that_builds(podman: Podman) -> None:
    program = "import aiobotocore, aiosqlite, alembic, asyncmy, asyncpg, hiredis, re2, soketpy; print(soketpy.__file__)"
    imported = podman.run(IMAGE, "--entrypoint", "python", words=("-c", program))
    assert imported.returncode == 0, imported.stderr
    folder = Path(imported.stdout.strip()).parent
    found = podman.run(IMAGE, "--entrypoint", "sh", words=("-c", f"find {folder} -name 'node.*.pyc'"))
    assert "/node.cpython-" in found.stdout
    tools = "command -v gcc cc c++ clang ld make cargo; find /opt/soketpy / -xdev -name cc1 -o -path '/opt/*/bin/pip*'"
    assert podman.run(IMAGE, "--entrypoint", "sh", words=("-c", tools)).stdout == ""


def test_the_image_lacks_the_settings_of_the_registry_and_the_sources(podman: Podman) -> None:
    left = "find / -xdev ( -name pip.conf -o -name registry.pem -o -path /src -o -path /tmp/* ) -print"
    assert podman.run(IMAGE, "--entrypoint", "find", words=tuple(left.split()[1:])).stdout == ""
