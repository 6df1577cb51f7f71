"""A setting that takes one value or a list: the addresses to listen on."""

from pathlib import Path

import pytest

from soketpy.config import ConfigError, load
from soketpy.config.addresses import Host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ('"::"', "::"),
        ("127.0.0.1", "127.0.0.1"),
        ('["127.0.0.1"]', "127.0.0.1"),
        ('["127.0.0.1", "::1"]', ("127.0.0.1", "::1")),
        ("\n  - localhost\n  - 10.0.0.1", ("localhost", "10.0.0.1")),
    ],
)
def test_a_file_gives_one_address_or_several(tmp_path: Path, text: str, host: Host) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"host: {text}\n")
    assert load(str(file), {}, {}).host == host
    file.write_text("metrics:\n  host: " + text.replace("\n", "\n  ") + "\n")
    assert load(str(file), {}, {}).metrics.host == host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("::", "::"),
        ("[::]", "[::]"),
        ("127.0.0.1, ::1", ("127.0.0.1", "::1")),
        ("[::1],127.0.0.1", ("[::1]", "127.0.0.1")),
        ('["127.0.0.1", "::1"]', ("127.0.0.1", "::1")),
    ],
)
def test_a_variable_and_a_flag_give_one_address_or_several(text: str, host: Host) -> None:
    for name in ("SOKETPY_HOST", "SOKETI_HOST"):
        assert load(None, {name: text}, {}).host == host
    assert load(None, {"SOKETPY_METRICS_HOST": text}, {}).metrics.host == host
    assert load(None, {}, {"host": text}).host == host


@pytest.mark.parametrize(("written", "prefix"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/b/", "/a/b")])
def test_a_path_prefix_may_end_with_a_slash(written: str, prefix: str) -> None:
    for name in ("SOKETPY_PATH_PREFIX", "SOKETI_PATH_PREFIX"):
        assert load(None, {name: written}, {}).prefix == prefix


@pytest.mark.parametrize(
    "host",
    ["127.1", "localhost", "a_b.example", "bücher.example", "example.com.", "fe80::1%eth0", "::ffff:1.2.3.4", "-a-"],
)
def test_a_host_that_the_resolver_may_know_is_taken(host: str) -> None:
    assert load(None, {"SOKETPY_HOST": host, "SOKETPY_REDIS_HOST": host}, {}).host == host


@pytest.mark.parametrize(
    ("main", "metrics", "same"),
    [
        ("0.0.0.0", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("localhost", "0.0.0.0", True),
        ("::", "127.0.0.1", True),
        ("LOCALHOST", "localhost", True),
        ("10.0.0.1", "127.0.0.1", False),
        ("0.0.0.0", "::1", False),
        ("10.0.0.1,127.0.0.1", "::1,127.0.0.1", True),
    ],
)
def test_the_metrics_port_may_be_the_main_port_of_another_address_only(main: str, metrics: str, same: bool) -> None:
    given = {"SOKETPY_HOST": main, "SOKETPY_METRICS_HOST": metrics, "SOKETPY_METRICS_PORT": "6001"}
    assert load(None, given, {}).port == 6001
    try:
        load(None, {**given, "SOKETPY_METRICS_ENABLED": "1"}, {})
    except ConfigError as fault:
        said = str(fault)
    else:
        said = ""
    assert said == (
        "SOKETPY_METRICS_PORT: port and metrics.port are both 6001; give them different ports" if same else ""
    )


@pytest.mark.parametrize(
    "given", [{"SOKETPY_UNIX_SOCKET": "/run/s"}, {"SOKETPY_PORT": "0", "SOKETPY_METRICS_PORT": "0"}]
)
def test_ports_that_are_not_taken_twice_are_no_mistake(given: dict[str, str]) -> None:
    environ = {"SOKETPY_METRICS_ENABLED": "1", "SOKETPY_METRICS_PORT": "6001", **given}
    assert load(None, environ, {}).metrics.enabled
