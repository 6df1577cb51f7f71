"""The documentation against the code: links, defaults, codes, routes, snippets and commands."""

import ast
import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlencode

import pytest
import yaml

from soketpy.cli import _parser, main
from soketpy.config import Settings, load
from soketpy.config.draft import setting_fields
from soketpy.config.environment import variables
from soketpy.config.settings import DEFAULT_APP
from soketpy.config.soketi.names import NAMES, SoketiName
from soketpy.core.apps import StaticApps, app_fields
from soketpy.core.fields import Field
from soketpy.drivers.local.limits import LocalRateLimiter
from soketpy.protocol import signatures
from soketpy.protocol.errors import Code
from soketpy.protocol.frames import CloseCode
from soketpy.web.cors import CorsHeaders
from soketpy.web.rest import Rest
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for page in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("deploy/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    )
    if "node_modules" not in page.parts
)
EXAMPLE_KEY, EXAMPLE_SECRET = "278d425bdf160c739803", "7ad3773142a6692b25b8"


@dataclass(frozen=True)
class Snippet:
    """A fenced block: its language, the name of the file that it is (if any), and its text."""

    page: Path
    line: int
    language: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def snippets_of(page: Path) -> Iterator[Snippet]:
    lines = iter(enumerate(page.read_text().splitlines(), 1))
    for number, line in lines:
        opening = re.fullmatch(r"( *)```(\w*) ?(.*)", line)
        if opening is None:
            continue
        inside = []
        for _, inner in lines:
            if inner.strip() == "```":
                break
            inside.append(inner.removeprefix(opening[1]))
        yield Snippet(page, number, opening[2], opening[3], "\n".join(inside) + "\n")


SNIPPETS = [snippet for page in PAGES for snippet in snippets_of(page)]


def snippets(*languages: str, name: str | None = None) -> list[Snippet]:
    found = [each for each in SNIPPETS if each.language in languages and name in (None, each.name)]
    assert found
    return found


def snippet(page: str, language: str, containing: str = "") -> Snippet:
    """The first of this page, language and content."""
    return next(each for each in snippets(language) if each.page == ROOT / page and containing in each.text)


def prose_of(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.M | re.S)


def rows_of(page: str, first: str) -> list[list[str]]:
    """The cells of every table row whose first cell matches."""
    rows = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in text_of(page).splitlines() if line.startswith("| ")]
    return [row for row in rows if re.fullmatch(first, row[0])]


# Links


def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_or_heading_leads_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    found, new = {ROOT / "README.md"}, [ROOT / "README.md"]
    while new:
        page = new.pop()
        for path in re.findall(r"\]\(([^)\s#]+\.md)", prose_of(page)):
            target = (page.parent / path).resolve()
            if "://" not in path and target not in found:
                found.add(target)
                new.append(target)
    assert not set(PAGES) - found - {ROOT / "docs/README.md"}


# Facts of the code


def value_of(cell: str) -> Any:
    return yaml.safe_load(cell.strip("`"))


def default_of(row: Field) -> object:
    return list(row.default) if isinstance(row.default, tuple) else row.default


def test_every_setting_is_documented_with_its_default() -> None:
    wanted = {
        path: default_of(row)
        for path, row in setting_fields().items()
        if path != "apps" and not path.startswith("app_defaults.")
    }
    found: dict[str, str] = {}
    for section in text_of("docs/configuration.md").split("\n## ")[1:]:
        if not section.startswith("Apps\n"):
            found |= dict(re.findall(r"^\| `([\w.]+)` \| (`.*?`) \|", section, flags=re.M))
    assert {path: value_of(cell) for path, cell in found.items()} == wanted


def test_every_field_of_an_app_is_documented_with_its_default() -> None:
    section = text_of("docs/configuration.md").split("\n## Apps\n")[1]
    found = dict(re.findall(r"^\| `(\w+)` \| (`.*?`|–) \|", section, flags=re.M))
    wanted = {name: default_of(row) for name, row in app_fields().items()}
    wanted |= {"id": DEFAULT_APP.id, "key": DEFAULT_APP.key, "secret": DEFAULT_APP.keys[0].secret, "keys": "–"}
    assert {name: value_of(cell) for name, cell in found.items()} == wanted


def test_every_environment_variable_that_is_named_is_known() -> None:
    known = {*variables(), "SOKETPY_CONFIG", "SOKETPY_ADMIN_TOKEN"}
    for page in PAGES:
        for name in re.findall(r"\bSOKETPY_[A-Z][A-Z_]*[A-Z]\b", page.read_text()):
            assert name in known, f"{page}: {name}"


def rows_of_soketi() -> dict[str, tuple[str, str]]:
    """The variable and the meaning of each key of soketi, and of each field of its apps."""
    section = text_of("docs/migrate-from-soketi.md").split("\n## Settings and their names\n")[1]
    rows = re.findall(r"^\| `([\w.]+)` \| (?:`(\w+)`|–) \| (.*) \|$", section, flags=re.M)
    found = {key: (variable, meaning) for key, variable, meaning in rows}
    assert len(found) == len(rows)
    return found


def test_every_key_and_every_variable_of_soketi_has_one_row() -> None:
    facts = json.loads(text_of("tests/config/soketi_names.json"))
    keys = {key.removeprefix("appManager.array.apps.0."): name for name, key in facts["variables"].items()}
    of_libraries = {"database.mysql.ssl", "database.postgres.ssl", "database.redis.tls"}
    wanted = {*facts["keys"], *of_libraries, *(names[0] for names in facts["app_fields"])}
    assert {key: variable for key, (variable, _) in rows_of_soketi().items()} == {
        key: keys.get(key, "") for key in wanted
    }


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_the_row_of_a_name_of_soketi_has_its_meaning(name: SoketiName) -> None:
    _, meaning = rows_of_soketi()[name.path]
    settings = [name.to, name.needs, *(to for _, to in name.chosen)]
    assert all(f"`{each}`" in meaning for each in settings if each)
    if reason := name.does or name.refused:
        assert meaning == reason


def test_the_choices_of_soketi_are_documented_with_the_values_that_soketpy_has() -> None:
    text = text_of("docs/migrate-from-soketi.md")
    for name in NAMES:
        if name.has:
            has = ", ".join(f"`{value}`" for value in name.has)
            later = ", ".join(f"`{value}`" for value in name.later)
            after = f"{has}; not yet {later} |" if later else f"{has} |"
            assert f"| `{name.path}`, `SOKETI_{name.variable}` | {after}" in text


def test_every_close_code_is_documented_and_no_other() -> None:
    listed = [int(row[0]) for row in rows_of("docs/channels.md", r"\d{4}")]
    assert listed == sorted(int(code) for code in Code)
    prose = text_of("docs/channels.md")
    own = set(CloseCode) - {CloseCode.NORMAL, CloseCode.PROTOCOL_ERROR, CloseCode.NO_STATUS}
    assert all(f"{int(code)} for " in prose or f"{int(code)} where " in prose for code in own)


def test_every_route_of_the_rest_api_is_documented() -> None:
    rest = Rest(cast(Any, None), StaticApps(), LocalRateLimiter(lambda: 0.0), CorsHeaders())
    text = text_of("docs/rest-api.md")
    assert rest._routes
    for route, (method, *_) in rest._routes.items():
        path = route.replace("*", "[A-Z]+")
        assert re.search(rf"`{method} /apps/ID/{path}[`?]", text), f"{method} {route}"


def test_every_status_that_the_rest_api_answers_is_documented() -> None:
    sources = set((ROOT / "soketpy/web").glob("*.py")) - {ROOT / "soketpy/web/admin_port.py"}
    names = {name for source in sources for name in re.findall(r"HTTPStatus\.([A-Z_]+)\b", source.read_text())}
    listed = {int(row[0]) for row in rows_of("docs/rest-api.md", r"\d{3}")}
    assert listed == {HTTPStatus[name].value for name in names}


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), flags=re.M))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)", page.read_text(), flags=re.M))
        assert named <= targets, page


# Snippets


@pytest.mark.parametrize("snippet", [each for each in SNIPPETS if each.name], ids=str)
def test_the_line_above_a_snippet_names_its_file(snippet: Snippet) -> None:
    """Code hosts hide the name in the fence, so that readers need the one above it."""
    above = snippet.page.read_text().splitlines()[: snippet.line - 1]
    line = next(line for line in reversed(above) if line.strip())
    assert f"`{snippet.name}`" in line


@pytest.mark.parametrize("snippet", snippets("python"), ids=str)
def test_a_python_snippet_is_python(snippet: Snippet) -> None:
    ast.parse(snippet.text)


@pytest.mark.parametrize("snippet", snippets("json"), ids=str)
def test_a_json_snippet_is_json(snippet: Snippet) -> None:
    json.loads(snippet.text)


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=str)
def test_a_yaml_snippet_says_which_file_it_is_and_is_yaml(snippet: Snippet) -> None:
    assert snippet.name
    assert yaml.safe_load(snippet.text)


@pytest.mark.parametrize(
    "snippet", [*snippets("yaml", name="soketpy.yaml"), *snippets("json", name="config.json")], ids=str
)
def test_a_configuration_snippet_loads(snippet: Snippet, tmp_path: Path) -> None:
    file = tmp_path / snippet.name
    file.write_text(snippet.text)
    secrets = [each.text for each in SNIPPETS if each.page == snippet.page and each.name == "secrets.env"]
    environ = dict(line.split("=", 1) for text in secrets for line in text.splitlines())
    settings = load(str(file), environ, {})
    assert settings != Settings()
    assert not settings.ignored


def commands() -> list[tuple[str, dict[str, str], list[str]]]:
    """Each command line of soketpy in a shell snippet: where it stands, the variables before it, its arguments."""
    found = []
    for each in snippets("sh"):
        for line in each.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            given = [word for word in words if re.match(r"SOKET(PY|I)_[A-Z_]+=", word)]
            words = words[len(given) :]
            if words and words[0] in ("soketpy", "/opt/soketpy/bin/soketpy"):
                found.append((str(each), dict(word.split("=", 1) for word in given), words[1:]))
    assert found
    return found


@pytest.mark.parametrize(("where", "environ", "words"), commands())
def test_a_command_of_the_documentation_is_understood(where: str, environ: dict[str, str], words: list[str]) -> None:
    assert _parser().parse_args(words).command == words[0], where
    load(None, environ, {})


def test_a_command_that_prose_names_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"`soketpy ([a-z-]+)", prose_of(page)):
            assert f"\n    {name} " in _parser().format_help() or f"\n    {name}\n" in _parser().format_help(), name


def test_the_readme_shows_the_snippet_that_the_server_prints() -> None:
    shown = textwrap.indent(snippet("README.md", "js", "pusher-js").text, "  ")
    words = [sys.executable, "-m", "soketpy", "start", "--host", "127.0.0.1", "--port", "0", "--hint"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOKET")}
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        printed = "".join(takewhile(lambda line: line != "Send an event:\n", server.stdout))
        server.terminate()
    assert shown in re.sub(r"wsPort: \d+", "wsPort: 6001", printed)


# Signatures


def test_the_worked_signatures_are_those_of_the_code() -> None:
    body = snippet("docs/rest-api.md", "json", "project-3").text.strip().encode()
    text = snippet("docs/rest-api.md", "text", "POST").text.rstrip("\n")
    prose = text_of("docs/rest-api.md")
    query = signatures.signed_query(EXAMPLE_KEY, EXAMPLE_SECRET, "POST", "/apps/3/events", body, 1353088179)
    assert f"The MD5 of the body is `{signatures.body_md5(body)}`" in prose
    assert f"Its signature is `{signatures.sign(EXAMPLE_SECRET, text)}`" in prose
    assert query.endswith(signatures.sign(EXAMPLE_SECRET, text))


@pytest.mark.parametrize("page", ["docs/rest-api.md", "docs/channels.md"])
def test_the_python_that_signs_by_hand_comes_to_the_documented_signature(page: str) -> None:
    by_hand = snippet(page, "python", "assert signature ==").text
    exec(compile(by_hand, page, "exec"), {})


@pytest.mark.parametrize("form", ["rest", "channel"])
def test_the_command_that_signs_comes_to_the_documented_signature(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"rest": "docs/rest-api.md", "channel": "docs/channels.md"}[form]
    (words,) = [words for where, _, words in commands() if where.startswith(page) and EXAMPLE_KEY in words]
    documented = re.search(r'assert signature == "(\w+)"', snippet(page, "python", "assert signature").text)
    assert main(words) == 0
    assert documented is not None
    assert f"signature: {documented[1]}\n" in capsys.readouterr().out


def test_the_signature_that_a_command_verifies_holds(capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = [words for _, _, words in commands() if "--verify" in words]
    assert main(words) == 0
    assert "The signature holds." in capsys.readouterr().out


# Programs


async def test_the_quickstart_brings_a_client_into_the_room_and_an_event_to_it(
    start_server: StartServer, tmp_path: Path
) -> None:
    peers = await start_server(apps=(replace(APP, id="1"),))
    client = await peers.client()
    program = ast.parse(snippet("docs/quickstart.md", "python", "class Site").text)
    assert "serve_forever" in ast.unparse(program.body.pop())
    names: dict[str, Any] = {"__name__": "app"}
    exec(compile(program, "app.py", "exec"), names)
    with ThreadingHTTPServer(("127.0.0.1", 0), names["Site"]) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        auth = await asyncio.to_thread(ask_for_auth, site.server_port, client.id, "presence-room")
        await asyncio.to_thread(site.shutdown)
        thread.join()
    await client.say("pusher:subscribe", {"channel": "presence-room", **auth})
    joined = await client.hear()
    assert (joined["event"], joined["data"]["presence"]["count"]) == ("pusher_internal:subscription_succeeded", 1)

    await client.subscribe("my-channel")
    trigger = snippet("docs/quickstart.md", "python", "client.trigger").text.replace("6001", str(peers.port))
    await asyncio.to_thread(run, tmp_path, "trigger.py", trigger)
    assert (await client.hear())["data"] == {"message": "hello"}


def ask_for_auth(port: int, socket_id: str, channel: str) -> dict[str, str]:
    form = urlencode({"socket_id": socket_id, "channel_name": channel}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/pusher/auth", form, timeout=PATIENCE) as answer:
        auth: dict[str, str] = json.load(answer)
    return auth


def run(folder: Path, name: str, text: str, *options: str) -> str:
    """Run a Python program of the documentation to its end; return what it printed."""
    (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, *options, name], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_program_of_the_readme_embeds_a_server(tmp_path: Path) -> None:
    program = snippet("README.md", "python", "async with Server").text
    assert "port=6001" in program
    (tmp_path / "program.py").write_text(program.replace("port=6001", "port=0"))
    with subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert re.fullmatch(r"Listening on http://127\.0\.0\.1:\d+\n", process.stdout.readline())
        process.terminate()


def test_the_test_of_the_readme_passes_with_the_fixture(tmp_path: Path) -> None:
    test = snippet("README.md", "python", "soketpy_server").text
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    assert environ
    out = run(tmp_path, "test_orders.py", test, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "1 passed" in out
