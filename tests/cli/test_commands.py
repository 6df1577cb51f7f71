"""The output and exit codes of the commands that end by themselves."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from soketpy import __version__
from soketpy.cli import main
from soketpy.config import load
from soketpy.config.cautions import BLOCKED
from soketpy.protocol.signatures import sign
from tests.conftest import Peers, StartServer
from tests.fakes import APP

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command. Return its exit code, standard output and standard error."""

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


UNKNOWN = "in the configuration; give"
GUARDED = "only channels that begin with private- or presence- have an auth of their own"
MISTAKES: list[tuple[tuple[str, ...], str]] = [
    ((), "soketpy: error: the following arguments are required: COMMAND (see soketpy --help)"),
    (("start", "--bogus"), "soketpy start: error: unrecognized arguments: --bogus (see soketpy start --help)"),
    (("start", "--port"), "soketpy start: error: argument --port: expected one argument (see soketpy start --help)"),
    (
        ("healthcheck", "--port", "x"),
        "soketpy healthcheck: error: --port: must be a whole number from 0 to 65535, not 'x'",
    ),
    (("start", "--port", "x"), "soketpy start: error: --port: must be a whole number from 0 to 65535, not 'x'"),
    (
        ("start", "--port", "1", "--unix-socket", "x"),
        "soketpy start: error: --unix-socket is instead of --host and --port",
    ),
    (("start", "--unix-socket", ""), "soketpy start: error: --unix-socket: must not be empty"),
    (("trigger", "c", "e", "d", "--unix-socket", ""), "soketpy trigger: error: --unix-socket: must not be empty"),
    (("start", "--config", ""), "soketpy start: error: the path of the configuration file is empty"),
    (("check-config", ""), "soketpy check-config: error: the path of the configuration file is empty"),
    (("start", "--config", "no.yaml"), "soketpy start: error: no.yaml: cannot be read: No such file or directory"),
    (("check-config", "no.yaml"), "soketpy check-config: error: no.yaml: cannot be read: No such file or directory"),
    (
        ("sign", "rest", "GET", "/apps/9/channels"),
        "soketpy sign: error: no app with the id 9 in the configuration; give --app-id, --key and --secret",
    ),
    (
        ("sign", "rest", "GET", "/realtime/apps/9%3A/channels", "--app-id", "1"),
        "soketpy sign: error: the path is one of the app 9:, and --app-id is 1",
    ),
    (("sign", "rest", "GET", "x"), "soketpy sign: error: the path must begin with /, not 'x'"),
    (("sign", "rest", "GET", "http://[x/"), "soketpy sign: error: 'http://[x/' is not a path or URL: Invalid IPv6 URL"),
    (("sign", "channel", "1.2", "private-\udcff"), "soketpy sign: error: not valid UTF-8"),
    (
        ("sign", "channel", "private-news"),
        "soketpy sign: error: the socket id must be two numbers with a dot between them, such as 123.456, "
        "not 'private-news'",
    ),
    (
        ("sign", "channel", "1.2"),
        "soketpy sign: error: give the channel behind the socket id, such as: "
        "soketpy sign channel 123.456 private-news",
    ),
    (("sign", "channel", "1.2", "news"), f"soketpy sign: error: news is public; {GUARDED}"),
    (("sign", "channel", "1.2", "cache-news"), f"soketpy sign: error: cache-news is public; {GUARDED}"),
    (
        ("sign", "channel", "1.2", "#server-to-user-ada"),
        "soketpy sign: error: #server-to-user-ada is the channel of a user, for which `soketpy sign user` signs; "
        + GUARDED,
    ),
    (
        ("sign", "channel", "1.2", "presence-a"),
        "soketpy sign: error: presence-a is a presence channel: give its member, such as --channel-data "
        '\'{"user_id":"1"}\'',
    ),
    (
        ("sign", "user", "1.2"),
        'soketpy sign: error: give the user behind the socket id, such as: soketpy sign user 123.456 \'{"id":"1"}\'',
    ),
    (
        ("sign", "user", '{"id":"1"}'),
        "soketpy sign: error: the socket id must be two numbers with a dot between them, such as 123.456, "
        'not \'{"id":"1"}\'',
    ),
    (
        ("sign", "channel", "1.2", "private-c", "--key", "k"),
        f"soketpy sign: error: no app with the key k {UNKNOWN} --secret too",
    ),
    (
        ("trigger", "c", "e", "d", "--app-id", "x"),
        f"soketpy trigger: error: no app with the id x {UNKNOWN} --app-id, --key and --secret",
    ),
]


@pytest.mark.parametrize(("argv", "said"), MISTAKES)
def test_a_mistake_in_the_call_is_one_line_and_exit_code_2(
    run: Run, argv: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*argv)
    assert (code, err) == (2, said + "\n")


@pytest.mark.parametrize(
    "argv", [("start",), ("check-config",), ("sign",), ("sign", "rest"), ("trigger",), ("healthcheck",)]
)
def test_every_command_explains_itself(run: Run, argv: tuple[str, ...]) -> None:
    code, out, err = run(*argv, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: soketpy {' '.join(argv)}")


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"soketpy {__version__}\n", "")


def test_check_config_prints_a_summary(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("port: 7000\nmetrics: {enabled: true}\napps: [{id: a, key: k, secret: hidden}]\n")
    code, out, err = run("check-config", str(path))
    assert (code, err) == (0, "")
    assert out == f"{path}: 0.0.0.0:7000, 1 app (a), metrics on 0.0.0.0:9601\n" + OPEN.format("0.0.0.0")


OPEN = "warning: The port is open to every network without TLS (host is {}): set tls, or put a proxy with TLS in front"
OPEN += " and name its network in proxies\n"
PUBLIC = "warning: The default secret is publicly known: use it on your own machine only (app 1)\n"


HOOKS = "apps: [{id: a, key: k, secret: s, webhooks: [{url: 'http://a/hidden', event_types: [cache_miss]}]}]\n"


def test_check_config_names_the_database_of_apps_and_the_admin_port(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "soketpy.yaml"
    path.write_text("registry: {driver: sqlite}\nadmin: {enabled: true, tokens: [a-token-of-the-tests]}\n")
    code, out, _ = run("check-config", str(path))
    assert code == 0
    first, *notes = out.splitlines()
    assert first == f"{path}: 0.0.0.0:6001, the apps in SQLite, no metrics, admin API on 127.0.0.1:6002"
    assert notes == [OPEN.format("0.0.0.0").strip(), f"note: {BLOCKED}"]


@pytest.mark.parametrize("chosen", ["allow", "block"])
def test_check_config_has_no_note_about_a_chosen_setting(tmp_path: Path, run: Run, chosen: str) -> None:
    path = tmp_path / "soketpy.yaml"
    path.write_text(f"registry: {{driver: sqlite}}\nwebhooks: {{private_addresses: {chosen}}}\n")
    code, out, _ = run("check-config", str(path))
    assert (code, out.count("\n"), "note: " in out) == (0, 2, False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "1 webhook (queue: soketpy-webhooks.db), no metrics"),
        ("webhooks: {path: /data/w.db}", "1 webhook (queue: /data/w.db), no metrics"),
        ("webhooks: {queue: memory}", "1 webhook (queue: memory, lost at a restart), no metrics"),
        ("workers: 2", "1 webhook (queue: the private Redis of the workers, lost at a restart), no metrics, 2 workers"),
        ("cluster: redis", "1 webhook (queue: Redis), no metrics, over Redis at 127.0.0.1:6379, prefix soketpy"),
    ],
)
def test_check_config_prints_where_webhooks_are_queued(run: Run, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HOOKS + content)
    assert run("check-config", str(path)) == (
        0,
        f"{path}: 0.0.0.0:6001, 1 app (a), {said}\n" + OPEN.format("0.0.0.0"),
        "",
    )


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ('"::"', "[::]:6001, 1 app (1), metrics on [::]:9601"),
        ('"::1"', "[::1]:6001, 1 app (1), metrics on [::1]:9601"),
        (
            '["127.0.0.1", "::1"]',
            "127.0.0.1:6001, [::1]:6001, 1 app (1), metrics on 127.0.0.1:9601, [::1]:9601",
        ),
    ],
)
def test_check_config_names_every_address(run: Run, tmp_path: Path, host: str, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"host: {host}\nmetrics: {{enabled: true, host: {host}}}\n")
    risks = PUBLIC + OPEN.format("::") if host == '"::"' else PUBLIC
    assert run("check-config", str(path)) == (0, f"{path}: {said}\n{risks}", "")


CLUSTER = "cluster: redis\nredis: {password: hidden, sentinel_password: hidden, "
MEETINGS = [
    ("", ""),
    ("redis: {host: redis}", "\nwarning: {path}:1: redis.host: has no effect while cluster is local"),
    ("workers: 1", ""),
    ("workers: 4", ", 4 workers"),
    ("workers: auto", ", a worker per core"),
    ("cluster: redis", ", over Redis at 127.0.0.1:6379, prefix soketpy"),
    (CLUSTER + "host: redis, port: 1, prefix: chat}", ", over Redis at redis:1, prefix chat"),
    (CLUSTER + "host: '::1'}", ", over Redis at [::1]:6379, prefix soketpy"),
    (CLUSTER + "host: '[::1]'}", ", over Redis at [::1]:6379, prefix soketpy"),
    (CLUSTER + "unix_socket: /run/redis.sock}", ", over Redis at /run/redis.sock, prefix soketpy"),
    (CLUSTER + "partitions: 2}\nworkers: 2", ", 2 workers, over Redis at 127.0.0.1:6379, prefix soketpy, 2 partitions"),
    (
        CLUSTER + "sentinels: ['a:26379', 'b:26379']}",
        ", over Sentinels a:26379, b:26379 (mymaster), prefix soketpy",
    ),
    (
        CLUSTER + "cluster_nodes: ['a:6379', 'b:6379'], prefix: chat, partitions: 12}",
        ", over a Redis Cluster by a:6379, b:6379, prefix chat, 12 partitions",
    ),
    (
        CLUSTER + "cluster_nodes: ['a:6379']}",
        ", over a Redis Cluster by a:6379, prefix soketpy, 1 partition",
    ),
]


@pytest.mark.parametrize(("content", "said"), MEETINGS)
def test_check_config_prints_the_number_of_workers_and_their_redis(
    run: Run, tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    assert run("check-config", str(path)) == (
        0,
        f"{path}: 0.0.0.0:6001, 1 app (1), no metrics{said.replace('{path}', str(path))}\n"
        + PUBLIC
        + OPEN.format("0.0.0.0"),
        "",
    )


def test_check_config_without_a_file_reads_the_same_file_as_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    risks = PUBLIC + OPEN.format("0.0.0.0")
    assert run("check-config") == (0, f"defaults: 0.0.0.0:6001, 1 app (1), no metrics\n{risks}", "")
    monkeypatch.setenv("SOKETPY_PORT", "7000")
    assert run("check-config")[1].startswith("1 environment variable: 0.0.0.0:7000, ")
    path = tmp_path / "config.yaml"
    path.write_text("host: 127.0.0.1\n")
    monkeypatch.setenv("SOKETPY_CONFIG", str(path))
    assert run("check-config")[1].startswith(f"{path}, 1 environment variable: 127.0.0.1:7000, ")


def test_check_config_names_settings_without_effect(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"database.mysql.host": "x", "databasePooling.min": 2}')
    assert run("check-config", str(path))[1].splitlines()[1:3] == [
        "without effect in this version: databasePooling.min (a connection is opened when it is needed)",
        f"warning: {path}:1: database.mysql.host: has no effect while registry.driver is not mysql",
    ]


def test_check_config_refuses_a_broken_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("metrics:\n  prot: 1\n")
    said = f"soketpy check-config: error: {path}:2: metrics.prot: no such setting; did you mean port?\n"
    assert run("check-config", str(path)) == (2, "", said)


# The worked example of Pusher's HTTP API reference, "Authentication".
PUSHER = ("--app-id", "3", "--key", "278d425bdf160c739803", "--secret", "7ad3773142a6692b25b8")
PUSHER_BODY = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
PUSHER_SIGNATURE = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"


def test_sign_rest_gives_the_signature_of_pushers_own_example(run: Run) -> None:
    argv = ("sign", "rest", "post", "/apps/3/events", "--body", PUSHER_BODY, "--timestamp", "1353088179", *PUSHER)
    code, out, err = run(*argv)
    assert (code, err) == (0, "")
    assert "\nPOST\n/apps/3/events\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179&" in out
    assert f"signature: {PUSHER_SIGNATURE}\n" in out
    assert out.splitlines()[-1].endswith(f"&auth_signature={PUSHER_SIGNATURE}")
    assert "7ad3773142a6692b25b8" not in out


@pytest.mark.parametrize("plus", ["+", "%2B"])
def test_a_url_whose_plus_was_not_encoded_is_verified_too(run: Run, plus: str) -> None:
    key = ("--app-id", "1", "--key", "a+b", "--secret", "s")
    url = run("sign", "rest", "GET", "/apps/1/channels", *key)[1].splitlines()[-1].replace("%2B", plus)
    assert f"auth_key=a{plus}b" in url
    code, out, err = run("sign", "rest", "GET", url, *key)
    assert (code, err, out.splitlines()[-1]) == (0, "", "The signature holds.")


def test_a_url_that_sign_made_is_verified_by_sign(run: Run) -> None:
    url = run("sign", "rest", "GET", "https://host/apps/1/channels?info=user_count&x=a%26b")[1].splitlines()[-1]
    assert url.startswith("https://host/apps/1/channels?info=user_count")
    code, out, err = run("sign", "rest", "GET", url)
    assert (code, err, out.splitlines()[-1]) == (0, "", "The signature holds.")


def test_a_url_whose_signature_does_not_hold_is_a_failure(run: Run) -> None:
    url = run("sign", "rest", "GET", "/apps/1/channels")[1].splitlines()[-1]
    code, out, err = run("sign", "rest", "POST", url)
    assert code == 1
    assert "\nPOST\n/apps/1/channels\n" in out
    assert err.startswith("soketpy sign: the signature does not hold: ")


def test_a_body_that_is_not_the_signed_one_is_a_failure(run: Run) -> None:
    url = run("sign", "rest", "POST", "/apps/1/events", "--body", "{}")[1].splitlines()[-1]
    assert run("sign", "rest", "POST", url, "--body", "{}")[0] == 0
    code, _, err = run("sign", "rest", "POST", url, "--body", "[]")
    assert (code, err.startswith("soketpy sign: body_md5 is not that of the body")) == (1, True)


AUTHORIZATIONS = [
    (("channel", "1234.1234", "private-foobar"), "1234.1234:private-foobar"),
    (("channel", "1.2", "presence-a", "--channel-data", '{"user_id":"1"}'), '1.2:presence-a:{"user_id":"1"}'),
    (("user", "1.2", '{"id":"1"}'), '1.2::user::{"id":"1"}'),
]


@pytest.mark.parametrize(("argv", "text"), AUTHORIZATIONS)
def test_sign_shows_the_text_and_the_auth(run: Run, argv: tuple[str, ...], text: str) -> None:
    auth = f"app-key:{sign('app-secret', text)}"
    code, out, err = run("sign", *argv)
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == text
    assert out.splitlines()[-1] == f"auth: {auth}"
    assert run("sign", *argv, "--verify", auth)[0] == 0
    assert run("sign", *argv, "--verify", auth[:-1])[0] == 1


def test_sign_takes_the_app_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKETI_DEFAULT_APP_KEY", "k")
    monkeypatch.setenv("SOKETI_DEFAULT_APP_SECRET", "s")
    assert run("sign", "channel", "1.2", "private-c")[1].endswith(f"auth: k:{sign('s', '1.2:private-c')}\n")


SIGNED = "/apps/1/channels?auth_key=app-key&auth_signature=x"
NOTES = [
    (("channel", "1.2", "presence-a", "--channel-data", '{"user_id":"1"}'), []),
    (("channel", "1.2", "presence-a", "--channel-data", "{}"), ["The channel_data is not valid: "]),
    (("channel", "1.2", "presence-a", "--channel-data", "x"), ["The channel_data is not valid: "]),
    (("channel", "1.2", "private-a b"), ["The channel name may hold only letters, digits and _ - = @ , . ;"]),
    (("channel", "1.2", f"private-{'a' * 200}"), ["The channel name is longer than the allowed 200 characters."]),
    (("user", "1.2", '{"id":"1"}'), []),
    (("user", "1.2", "{}"), ["The user_data is not valid: "]),
    (("rest", "GET", "/apps/1/channels"), []),
    (("rest", "POST", "/apps/1/events", "--body", "{a:1}"), ["the body is not valid JSON: "]),
    (("rest", "POST", "/apps/1/events", "--body", "[" * 100_000), ["the body is "]),
    (("rest", "POST", "/apps/1/events", "--body", "[]"), ["the body is not an object of JSON"]),
    (("rest", "PUT", "/apps/1/channels"), ["the REST API has the methods GET and POST, not PUT"]),
    (("rest", "GET", SIGNED), ["auth_timestamp is missing"]),
    (("rest", "GET", SIGNED + "&auth_timestamp=x"), ["auth_timestamp must be a time in Unix seconds"]),
    (("rest", "GET", SIGNED + "&auth_timestamp=0"), ["auth_timestamp is "]),
    (
        ("rest", "GET", SIGNED + f"&auth_timestamp={10**14}&auth_version=2"),
        ["auth_version must be 1.0", "auth_timestamp is "],
    ),
]


@pytest.mark.parametrize(("argv", "said"), NOTES)
def test_a_note_says_why_the_server_refuses_a_signed_request(run: Run, argv: tuple[str, ...], said: list[str]) -> None:
    _, out, err = run("sign", *argv)
    mark = "soketpy sign: note: the server refuses this: "
    noted = [line.removeprefix(mark) for line in err.splitlines() if line.startswith(mark)]
    assert len(noted) == len(said)
    assert all(line.startswith(each) for line, each in zip(noted, said, strict=True))
    assert "signature: " in out


def test_commands_read_the_file_that_soketpy_config_names(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("apps: [{id: a, keys: [{key: k, secret: s}, {key: l, secret: t}]}]\n")
    monkeypatch.setenv("SOKETPY_CONFIG", str(path))
    assert run("sign", "channel", "1.2", "private-c", "--key", "l")[1].endswith(
        f"auth: l:{sign('t', '1.2:private-c')}\n"
    )


async def test_healthcheck_says_that_a_server_is_ready(run: Run, peers: Peers) -> None:
    port = str(peers.port)
    assert await asyncio.to_thread(run, "healthcheck", "--port", port) == (0, f"http://127.0.0.1:{port} is ready\n", "")


CREDENTIALS = ("--app-id", APP.id, "--key", APP.key, "--secret", APP.keys[0].secret)


@pytest.mark.parametrize("host", ["::", "127.0.0.1,127.0.0.2", "[::]"])
async def test_healthcheck_and_trigger_reach_a_server_on_several_addresses(
    run: Run, start_server: StartServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("SOKETPY_HOST", host)
    monkeypatch.setenv("SOKETPY_PATH_PREFIX", "/realtime/")
    settings = load(None, os.environ, {})
    peers = await start_server(host=settings.host, path_prefix=settings.path_prefix)
    for argv in (("healthcheck",), ("trigger", "c", "e", "d", *CREDENTIALS)):
        code, out, err = await asyncio.to_thread(run, *argv, "--port", str(peers.port))
        assert (code, err) == (0, "")
        assert out


async def test_trigger_sends_an_event_and_prints_the_answer(run: Run, peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("my-channel")
    argv = ("trigger", "my-channel", "my-event", '{"message":"hello"}', "--port", str(peers.port), *CREDENTIALS)
    assert await asyncio.to_thread(run, *argv) == (0, "{}\n", "")
    assert await client.hear() == {"event": "my-event", "channel": "my-channel", "data": {"message": "hello"}}


@pytest.mark.parametrize(
    ("channel", "extra", "status"),
    [("my-channel", ("--secret", "wrong"), 401), ("no channel", (), 400)],
)
async def test_an_answer_that_is_no_success_is_a_failure(
    run: Run, peers: Peers, channel: str, extra: tuple[str, ...], status: int
) -> None:
    code, out, err = await asyncio.to_thread(
        run, "trigger", channel, "e", "d", "--port", str(peers.port), *CREDENTIALS, *extra
    )
    assert (code, out) == (1, "")
    assert err.startswith(f"soketpy trigger: HTTP {status}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("argv", [("healthcheck",), ("trigger", "c", "e", "d")])
def test_a_server_that_is_not_there_is_a_failure(run: Run, argv: tuple[str, ...], tmp_path: Path) -> None:
    socket = str(tmp_path / "none.sock")
    said = f"soketpy {argv[0]}: cannot reach {socket}: No such file or directory\n"
    assert run(*argv, "--unix-socket", socket) == (1, "", said)


@pytest.mark.parametrize("argv", [("healthcheck",), ("trigger", "c", "e", "d")])
def test_a_directory_or_a_file_in_the_place_of_a_socket_is_named(
    run: Run, argv: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    for path, problem in ((tmp_path, "is a directory"), (file, "is not a socket")):
        code, _, err = run(*argv, "--unix-socket", str(path))
        assert (code, err) == (1, f"soketpy {argv[0]}: cannot reach {path}: it {problem}\n")


@pytest.mark.parametrize(
    ("argv", "environ", "said"),
    [
        (("trigger", "c", "e", "d", "--tls"), {}, "the port speaks no TLS: leave out --tls"),
        (
            ("healthcheck",),
            {"SOKETPY_TLS_CERT": "c", "SOKETPY_TLS_KEY": "k"},
            "the port speaks no TLS, and tls.cert is set",
        ),
    ],
)
async def test_a_port_without_tls_is_named(
    run: Run, peers: Peers, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    port = str(peers.port)
    code, out, err = await asyncio.to_thread(run, *argv, "--port", port)
    assert (code, out, err) == (1, "", f"soketpy {argv[0]}: cannot reach https://127.0.0.1:{port}: {said}\n")


def test_a_healthcheck_with_a_broken_configuration_is_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKETPY_PROT", "1")
    said = "soketpy healthcheck: SOKETPY_PROT: no such variable; did you mean SOKETPY_PORT?\n"
    assert run("healthcheck") == (1, "", said)


def test_interrupting_a_command_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("soketpy.cli.call.call", interrupt)
    assert run("healthcheck") == (1, "", "soketpy healthcheck: interrupted\n")


def test_the_body_of_a_trigger_leaves_out_whom_it_names(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def call(_target: object, _method: str, _path: str, body: bytes) -> tuple[int, str]:
        sent.append(body)
        return 200, "{}"

    monkeypatch.setattr("soketpy.cli.call.call", call)
    run("trigger", "c", "e", "d", "--socket-id", "1.2")
    assert json.loads(sent[0]) == {"name": "e", "channels": ["c"], "data": "d", "socket_id": "1.2"}


async def test_a_trigger_with_the_key_of_an_earlier_one_publishes_nothing(run: Run, peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("my-channel")
    for key, event in (("one", "first"), ("one", "first"), ("two", "second")):
        argv = ("trigger", "my-channel", event, "{}", "--idempotency-key", key)
        assert await asyncio.to_thread(run, *argv, "--port", str(peers.port), *CREDENTIALS) == (0, "{}\n", "")
    assert [(await client.hear())["event"] for _ in range(2)] == ["first", "second"]


def test_check_config_tries_the_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "soketpy.yaml"
    file.write_text("tls: {cert: /nowhere/cert.pem, key: /nowhere/key.pem}\n")
    assert main(["check-config", str(file)]) == 2
    assert "/nowhere/cert.pem" in capsys.readouterr().err
