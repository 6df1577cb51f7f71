"""A setting that takes one value or a list: the addresses to listen on."""

from pathlib import Path

import pytest

from soketpy.config import load
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
