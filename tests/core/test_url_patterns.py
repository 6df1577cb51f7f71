"""App ids and keys that the configuration accepts work unchanged in every URL. Others are errors with their line."""

import string
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from soketpy.config import ConfigError, load
from soketpy.core.apps import App
from soketpy.protocol.handshake import app_key, parse_upgrade
from soketpy.protocol.requests import bare_path, parse_head, parse_query
from tests.web.wire import HANDSHAKE

SAFE = string.ascii_letters + string.digits + "-._~!$'()*+,;=@"
EVERY = [*map(chr, range(0x80)), "\x80", "\xa0", "é", "日", "\u2028", "😀"]
DOTS = [".", ".."]

Written = Callable[..., App]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return the app of a file with this id and key."""

    def written(id: str = "1", key: str = "k") -> App:
        path = tmp_path / "config.json"
        text = msgspec.json.encode({"id": id, "key": key, "secret": "s"}).decode()
        path.write_text(f'{{"apps": [\n{text}\n]}}')
        [app] = load(str(path), {}, {}).apps
        return app

    return written


def as_it_is(text: str) -> str:
    return text


def encoded(text: str) -> str:
    """Return the text with every byte percent-encoded, as RFC 3986 allows."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def key_of(target: str) -> str | None:
    """Return the key in a request for a WebSocket."""
    found = parse_upgrade("\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *HANDSHAKE]).encode())
    return None if found is None else app_key(found.path, "")


@pytest.mark.parametrize("spell", [as_it_is, encoded])
@pytest.mark.parametrize("key", [*SAFE.replace(".", ""), f"a{SAFE}z", "...", ".a", "a..", "a+b=="])
def test_a_key_that_is_taken_works_in_every_url(written: Written, key: str, spell: Callable[[str], str]) -> None:
    assert written(key=key).key == key
    assert key_of(f"/app/{spell(key)}?protocol=7&client=js") == key
    query = f"auth_key={spell(key)}&auth_timestamp=1"
    assert parse_head(f"GET /apps/1/channels?{query} HTTP/1.1\r\nHost: a".encode()) is not None
    assert dict(parse_query(query, plus_is_space=spell is encoded))["auth_key"] == key


@pytest.mark.parametrize("app_id", [*SAFE.replace(".", ""), "&", f"a{SAFE}&z", "..."])
def test_an_id_that_is_taken_works_in_every_path(written: Written, app_id: str) -> None:
    assert written(id=app_id).id == app_id
    request = parse_head(f"GET /apps/{app_id}/channels HTTP/1.1\r\nHost: a".encode())
    assert request.target.split("/")[2] == app_id


@pytest.mark.parametrize("wrong", [each for each in EVERY if each not in SAFE], ids=repr)
@pytest.mark.parametrize("place", ["{}", "a{}", "{}a", "a{}b"])
def test_a_key_with_any_other_character_is_an_error_with_its_line(written: Written, wrong: str, place: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.json:2: apps\[0\]\.key: must "):
        written(key=place.format(wrong))


@pytest.mark.parametrize("wrong", [each for each in EVERY if each not in SAFE + "&"], ids=repr)
@pytest.mark.parametrize("place", ["{}", "a{}", "{}a", "a{}b"])
def test_an_id_with_any_other_character_is_an_error_with_its_line(written: Written, wrong: str, place: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.json:2: apps\[0\]\.id: must "):
        written(id=place.format(wrong))


@pytest.mark.parametrize("dots", DOTS)
def test_dots_that_a_client_resolves_in_a_path_are_an_error(written: Written, dots: str) -> None:
    for app in ({"id": dots}, {"key": dots}):
        with pytest.raises(ConfigError, match=r"and not \. or \.\., not"):
            written(**app)


@pytest.mark.parametrize(
    "environ",
    [
        {"SOKETPY_APP_KEY": "a&b"},
        {"SOKETPY_APPS": '[{"id":"1","key":"a&b","secret":"s"}]'},
        {"SOKETPY_APPS": '[{"id":"1","keys":[{"key":"a&b","secret":"s"}]}]'},
        {"SOKETI_DEFAULT_APP_KEY": "a&b"},
    ],
)
def test_a_key_that_a_variable_gives_is_held_to_the_same_rule(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"must be text of A-Z, .*, not 'a&b'") as refused:
        load(None, environ, {})
    assert str(refused.value).startswith(next(iter(environ)))


@pytest.mark.parametrize("prefix", [f"/{SAFE}&:", "/a/b/", "/.well-known", "/...", "", "/"])
def test_a_path_prefix_that_is_taken_works_as_it_is(prefix: str) -> None:
    settings = load(None, {"SOKETPY_PATH_PREFIX": prefix}, {})
    whole = f"{settings.prefix}/app/k"
    request = parse_head(f"GET {whole} HTTP/1.1\r\nHost: a".encode())
    assert bare_path(request.target, settings.prefix) == "/app/k"


@pytest.mark.parametrize(
    "prefix", ["/é", '/"', "/a b", "/<a>", "/a|b", "/a\\b", "/a%20b", "/..", "/./a", "/a/..", "/a/../b"]
)
def test_a_path_prefix_that_a_client_would_encode_or_resolve_is_an_error(prefix: str) -> None:
    with pytest.raises(ConfigError, match="SOKETPY_PATH_PREFIX: must be a path such as /realtime"):
        load(None, {"SOKETPY_PATH_PREFIX": prefix}, {})


@pytest.mark.parametrize(
    ("path", "bare"), [("/rt", "/"), ("/rt/", "/"), ("/rt//", "/"), ("/rta", "/rta"), ("/", "/"), ("/ready", "/ready")]
)
def test_the_path_prefix_alone_is_the_root(path: str, bare: str) -> None:
    assert bare_path(path, "/rt") == bare
