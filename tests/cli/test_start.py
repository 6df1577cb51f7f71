"""``soketpy start`` in a separate process: its output, its addresses, and its end."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from soketpy.cli.hint import hint
from soketpy.config import Settings, load
from tests.patience import PATIENCE
from tests.slices.sitecustomize import environment

SOKETPY = (sys.executable, "-m", "soketpy")


def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environ}
    return subprocess.run([*SOKETPY, *argv], capture_output=True, text=True, timeout=PATIENCE, check=False, env=env)


@contextmanager
def started(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start a server and wait for its hint, which it prints when it listens."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*SOKETPY, "start", "--hint", *argv], stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def trigger_command(process: subprocess.Popen[str]) -> list[str]:
    """Return the command in the hint."""
    assert process.stdout is not None
    line = next(line for line in process.stdout if " trigger " in line)
    return shlex.split(line)


@pytest.mark.parametrize("address", ["tcp", "unix"])
def test_the_hint_can_be_pasted_and_sigterm_ends_the_server(tmp_path: Path, address: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("timeouts: {shutdown: 0}\napps: [{id: a, key: k, secret: well-hidden}]\n")
    where = ("--host", "127.0.0.1", "--port", "0") if address == "tcp" else ("--unix-socket", str(tmp_path / "s"))
    patient = {**os.environ, **environment({"soketpy.cli.call.PATIENCE": PATIENCE})}
    with started("--config", str(config), *where) as process:
        command = trigger_command(process)
        assert command[-3:] == ["my-channel", "my-event", '{"message":"hello"}']
        triggered = subprocess.run(
            command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False, env=patient
        )
        assert (triggered.returncode, triggered.stdout, triggered.stderr) == (0, "{}\n", "")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert f"starts with {config}, flags" in err
    assert "well-hidden" not in out + err


@pytest.mark.parametrize(
    ("args", "hosts"),
    [
        ("", ["127.0.0.1"]),
        ("--port 7000", ["127.0.0.1"]),
        ("--host 0.0.0.0", ["0.0.0.0"]),
        ("--host=0.0.0.0", []),
        ("--unix-socket /tmp/s", []),
    ],
)
def test_make_run_listens_on_this_machine_only_unless_args_say_otherwise(args: str, hosts: list[str]) -> None:
    root = Path(__file__).parents[2]
    shown = subprocess.run(
        ["make", "--dry-run", "run", f"ARGS={args}"], cwd=root, capture_output=True, text=True, check=True
    )
    words = next(line for line in shown.stdout.splitlines() if "soketpy start" in line).split()
    assert [following for word, following in pairwise(words) if word == "--host"] == hosts
    assert words[len(words) - len(args.split()) :] == args.split()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])
def test_a_port_in_use_is_one_plain_line_and_exit_code_1(tmp_path: Path, workers: str, uvloop: bool) -> None:
    if not uvloop:
        (tmp_path / "uvloop.py").write_text("raise ImportError")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ("--host", "127.0.0.1", "--port", str(port), "--workers", workers)
        ended = run("start", *flags, PYTHONPATH=str(tmp_path))
    said = f"soketpy start: cannot listen on 127.0.0.1:{port}: address already in use"
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, said)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket_in_use_or_in_no_directory_is_one_plain_line(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "taken.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        in_use = run("start", "--unix-socket", str(path), "--workers", workers)
    nowhere = run("start", "--unix-socket", str(tmp_path / "none/s"), "--workers", workers)
    assert in_use.stderr.splitlines()[-1] == f"soketpy start: cannot listen on {path}: another server listens there"
    said = f"soketpy start: cannot listen on {tmp_path}/none/s: "
    assert nowhere.stderr.splitlines()[-1].lower() == f"{said}no such file or directory".lower()
    assert (in_use.returncode, nowhere.returncode) == (1, 1)


def test_a_metrics_port_in_use_is_named_and_not_the_main_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        metrics = {"ENABLED": "true", "HOST": "127.0.0.1", "PORT": str(port)}
        ended = run("start", "--port", "0", **{f"SOKETPY_METRICS_{name}": text for name, text in metrics.items()})
    said = f"soketpy start: cannot listen on 127.0.0.1:{port}: address already in use"
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, said)


NEEDS_HIREDIS = "needs hiredis: pip install hiredis msgpack"
ON_ONE_CORE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Which cores a process may use is Linux's to say.")
def test_auto_on_one_core_is_a_plain_process_without_workers_and_redis(tmp_path: Path) -> None:
    (tmp_path / "hiredis.py").write_text("raise ModuleNotFoundError('nothing', name='hiredis')\n")
    command = [sys.executable, "-c", ON_ONE_CORE, *SOKETPY[1:], "start", "--workers", "auto", "--port", "0"]
    env = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        try:
            assert any(re.search(r"Listening on http://0\.0\.0\.0:\d+ with 1 app$", line) for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ((), {"SOKETPY_CLUSTER": "redis"}, f"SOKETPY_CLUSTER: redis {NEEDS_HIREDIS}"),
        (("--workers", "2"), {}, f"--workers: several workers {NEEDS_HIREDIS.replace('needs', 'need')}"),
        (
            (),
            {"SOKETPY_CLUSTER": "redis", "SOKETPY_WORKERS": "2"},
            f"SOKETPY_WORKERS: several workers {NEEDS_HIREDIS.replace('needs', 'need')}",
        ),
    ],
)
def test_without_the_driver_for_redis_the_error_says_what_to_install(
    tmp_path: Path, flags: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    (tmp_path / "hiredis.py").write_text("raise ModuleNotFoundError('nothing', name='hiredis')\n")
    ended = run("start", "--port", "0", *flags, PYTHONPATH=str(tmp_path), **environ)
    assert (ended.returncode, ended.stderr) == (2, f"soketpy start: error: {said}\n")


@pytest.mark.parametrize("command", ["start", "check-config"])
@pytest.mark.parametrize(
    ("content", "hides", "said"),
    [
        ("cluster: redis\n", True, f"1: cluster: redis {NEEDS_HIREDIS}"),
        ("port: 0\nworkers: 2\n", True, "2: workers: several workers need hiredis: pip install hiredis msgpack"),
        (
            "port: 0\nworkers: 2\n",
            False,
            "2: workers: several workers need the program redis-server: install it, or use cluster: redis",
        ),
    ],
)
def test_a_missing_requirement_is_one_line_and_exit_code_2(
    tmp_path: Path, command: str, content: str, hides: bool, said: str
) -> None:
    if hides:
        (tmp_path / "hiredis.py").write_text("raise ModuleNotFoundError('nothing', name='hiredis')\n")
    config = tmp_path / "soketpy.yaml"
    config.write_text(content)
    file = ("--config", str(config)) if command == "start" else (str(config),)
    ended = run(command, *file, PYTHONPATH=str(tmp_path), PATH=str(tmp_path))
    assert (ended.returncode, ended.stderr) == (2, f"soketpy {command}: error: {config}:{said}\n")


def test_tls_files_that_cannot_be_read_are_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("port: 0\ntls: {cert: /nothing/cert.pem, key: /nothing/key.pem}\n")
    ended = run("start", "--config", str(config))
    assert ended.returncode == 2
    assert "/nothing/cert.pem" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_broken_configuration_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("\nport: x\n")
    ended = run("start", "--config", str(config))
    said = f"soketpy start: error: {config}:2: port: must be a whole number from 0 to 65535, not 'x'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)


def test_output_that_nobody_reads_is_no_fault_with_a_line() -> None:
    process = subprocess.Popen(
        [*SOKETPY, "sign", "channel", "1.2", "private-c"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (1, "")


def test_the_hint_has_the_address_and_the_key() -> None:
    settings = load(None, {"SOKETPY_PATH_PREFIX": "/rt/"}, {})
    text = hint(settings, 6001, settings, None)
    for part in (
        'new Pusher("app-key", {',
        'wsHost: "127.0.0.1",',
        "wsPort: 6001,",
        "forceTLS: false,",
        'enabledTransports: ["ws", "wss"],',
        'cluster: "",',
        'wsPath: "/rt",',
        'trigger my-channel my-event \'{"message":"hello"}\'',
    ):
        assert part in text


@pytest.mark.parametrize(("config", "command"), [(None, "apps list"), ("my.yaml", "apps list --config my.yaml")])
def test_the_hint_of_apps_in_a_database_has_the_command_that_lists_them(config: str | None, command: str) -> None:
    settings = load(None, {"SOKETPY_REGISTRY_DRIVER": "sqlite"}, {})
    text = hint(settings, 6001, settings, config)
    assert text.startswith("The server has the apps in SQLite. List them with: ")
    assert text.endswith(f" {command}")


HINTS: list[tuple[dict[str, object], int | None, str | None, str]] = [
    ({}, 6001, None, "trigger my-channel"),
    ({"port": 0}, 7000, None, "trigger --port 7000 my-channel"),
    ({}, 6001, "a b.yaml", "trigger --config 'a b.yaml' my-channel"),
    ({"host": "::1"}, 6001, None, "trigger --host ::1 my-channel"),
    ({"host": "::"}, 6001, None, "trigger my-channel"),
    ({"host": "::1,127.0.0.1"}, 6001, None, "trigger --host ::1 my-channel"),
    ({"unix_socket": "/run/s"}, None, None, "trigger --unix-socket /run/s my-channel"),
]


@pytest.mark.parametrize(("flags", "port", "config", "part"), HINTS)
def test_the_command_in_the_hint_has_only_options_that_differ_from_the_configuration(
    flags: dict[str, object], port: int | None, config: str | None, part: str
) -> None:
    assert part in hint(load(None, {}, flags), port, Settings(), config)


@pytest.mark.parametrize("host", ["::1", "[::1]", "::1,127.0.0.1"])
def test_the_page_of_the_hint_has_brackets_around_an_ipv6_address(host: str) -> None:
    settings = load(None, {"SOKETPY_HOST": host}, {})
    assert 'wsHost: "[::1]",' in hint(settings, 6001, settings, None)


def test_the_hint_speaks_tls_where_the_server_does() -> None:
    settings = load(None, {"SOKETPY_TLS_CERT": "c", "SOKETPY_TLS_KEY": "k"}, {})
    text = hint(settings, 443, settings, None)
    assert "wssPort: 443," in text
    assert "forceTLS: true," in text
