"""The rules of the house: who may import whom, what stays pure, and that every module says what it is for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "soketpy"

# What each room may import of this package besides itself, the lowest layer first: docs/architecture.md explains them.
PROTOCOL = {"protocol"}
PORTS = PROTOCOL | {"apps", "limits", "cache", "presence", "cluster", "users", "metrics", "counts", "containment"}
RULES = PORTS | {"authorization", "admission", "triggers"}
HEART = RULES | {"steps", "slices", "hub", "node", "connection", "refusals", "reload"}
MAY_IMPORT: dict[str, set[str]] = {
    "protocol": set(),
    "apps": PROTOCOL,
    "limits": PROTOCOL,
    "cache": PROTOCOL,
    "counts": PROTOCOL | {"containment"},
    "metrics": PROTOCOL,
    "users": PROTOCOL,
    "memory": set(),
    "containment": {"limits"},
    "steps": {"containment"},
    "slices": {"containment", "steps"},
    "refusals": {"containment", "limits"},
    "reload": PROTOCOL | {"apps", "cluster", "connection", "containment", "slices", "steps"},
    "deadlines": {"containment"},
    "descriptors": set(),
    "presence": PROTOCOL,
    "cluster": PROTOCOL | {"presence", "cache", "limits", "steps"},
    "contained_node": {"cluster", "containment", "presence"},
    "authorization": PROTOCOL | {"apps"},
    "admission": PROTOCOL | {"apps"},
    "triggers": PROTOCOL | {"apps"},
    "hub": PROTOCOL | {"steps"},
    "connection": RULES | {"node", "steps"},
    "node": RULES | {"contained_node", "hub", "connection", "steps", "slices", "refusals", "reload"},
    "web": HEART | {"deadlines"},
    "drivers": PORTS | {"steps"},
    "config": PROTOCOL | {"apps"},
    "tls": {"config"},
    "log": set(),
    "signals": {"config", "log"},
    "listening": {"config"},
    "server": HEART
    | {"web", "joining", "config", "tls", "descriptors", "deadlines", "listening", "log", "memory", "signals"},
    "joining": {"cluster", "config", "drivers"},
    "worker": {"cluster", "config", "log", "memory", "metrics", "server", "signals"},
    "private_redis": {"cluster", "config"},
    "requirements": {"config", "joining", "private_redis", "tls"},
    "workers": {"requirements", "worker", "private_redis", "cluster", "config", "log", "metrics", "server", "signals"}
    | {"descriptors", "listening"},
    "testing": {"config", "server"},
    "cli": PROTOCOL | {"cluster", "config", "server", "workers", "requirements", "log", "__init__"},
    "__main__": {"cli"},
    "__init__": {"apps", "config", "server"},
}

# What the outside world may be reached through, and where.
ONLY_IN = {
    "aiohttp": {"web", "server"},
    # An operation of the core awaits what ``steps`` gives, and so never depends on a task.
    "asyncio": {
        "web",
        "drivers",
        "server",
        "cli",
        "signals",
        "worker",
        "workers",
        "private_redis",
        "testing",
        "steps",
        "listening",
    },
    "uvloop": {"server"},
    "yaml": {"config"},
    "hiredis": {"drivers"},
    "msgpack": {"drivers"},
    "prometheus_client": {"metrics", "web"},
}
NOT_IN_PROTOCOL = {"asyncio", "logging", "time", "socket", "os", "random", "secrets"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The room of a module: its name, or that of the package which it is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The modules that a module imports when it runs; imports for type checkers do not count."""
    tree = ast.parse(path.read_text())
    only_for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in only_for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: imports are absolute here"
            if node.module == "soketpy":
                yield from (f"soketpy.{alias.name}" for alias in node.names)
            else:
                yield node.module


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for name in imports(path):
        if name.startswith("soketpy."):
            part = name.split(".")[1]
            known = (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").exists()
            found.add(part if known else "__init__")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_its_layer_may(path: Path) -> None:
    assert room(path) in MAY_IMPORT, "a new room: give it a layer here and in docs/architecture.md"
    assert rooms_imported(path) - {room(path)} <= MAY_IMPORT[room(path)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_technology_is_known_in_its_own_room_only(path: Path) -> None:
    for name in imports(path):
        rooms = ONLY_IN.get(name.partition(".")[0])
        assert rooms is None or room(path) in rooms, f"{name} does not belong in {room(path)}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "protocol").glob("*.py")), ids=lambda path: path.name)
def test_the_protocol_is_pure(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & NOT_IN_PROTOCOL
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {path: set[Path]() for path in modules()}
    for path, found in graph.items():
        for name in imports(path):
            parts = name.split(".")[1:] if name.startswith("soketpy") else []
            for candidate in (PACKAGE.joinpath(*parts).with_suffix(".py"), PACKAGE.joinpath(*parts, "__init__.py")):
                if parts and candidate in graph and candidate != path:
                    found.add(candidate)
    while graph:
        leaves = {path for path, found in graph.items() if not found & graph.keys()}
        assert leaves, f"a circle among {sorted(str(path.relative_to(PACKAGE)) for path in graph)}"
        for leaf in leaves:
            del graph[leaf]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_opens_by_saying_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":", "."))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_one_room(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, "is it two rooms?"
