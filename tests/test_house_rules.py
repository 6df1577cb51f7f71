"""The architecture rules: allowed imports, the pure protocol, module docstrings and file length."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "soketpy"

# The folders that each folder, and each file at the top, may import. docs/architecture.md has the same table.
MAY_IMPORT: dict[str, set[str]] = {
    "protocol": set(),
    "core": {"protocol"},
    "drivers": {"core", "protocol"},
    "registry": {"core", "protocol"},
    "web": {"core", "protocol", "registry"},
    "webhooks": {"core", "protocol"},
    "config": {"core", "protocol"},
    "process": {"config", "core", "drivers", "protocol", "registry", "web", "webhooks"},
    "cli": {"__init__", "config", "core", "process", "protocol", "registry"},
    "testing": {"config", "process"},
    "__main__": {"cli"},
    "__init__": {"config", "core", "process", "protocol"},
}

# Modules that reach the outside world, and the folders or files that may import them.
ONLY_IN = {
    "aiobotocore": {"drivers"},
    "aiosqlite": {"drivers"},
    "alembic": {"drivers"},
    "asyncmy": {"drivers"},
    "asyncpg": {"drivers"},
    "aiohttp": {"webhooks", "drivers/aws/clients.py", "cli/pusher_client.py"},
    # An operation of the core awaits the futures of ``steps``, and so never depends on a task.
    "asyncio": {"web", "webhooks", "registry", "drivers", "process", "cli", "testing", "core/steps.py"},
    "uvloop": {"process"},
    "yaml": {"config"},
    "botocore": {"drivers"},
    "hiredis": {"drivers"},
    "httptools": {"protocol"},
    "msgpack": {"drivers"},
    "nacl": {"cli/decryption.py"},
    "opentelemetry": {"drivers"},
    "prometheus_client": {"web"},
    "re2": {"core/patterns.py"},
    "requests": {"drivers/otel/exporter.py"},
    "sqlalchemy": {"drivers"},
    "sqlite3": {"drivers"},
}
NOT_IN_PROTOCOL = {"asyncio", "logging", "time", "socket", "os", "random", "secrets"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def folder(path: Path) -> str:
    """Return the folder of a module, or its own name at the top of the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Return the modules that a module imports, also those for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            inner = [name for name in names if file_of(name)]
            yield from inner
            if len(inner) < len(names):
                yield node.module


def file_of(name: str) -> Path | None:
    """Return the file of a module of this package; None for any other module."""
    parts = name.split(".")
    found = [PACKAGE.parent.joinpath(*parts).with_suffix(".py"), PACKAGE.parent.joinpath(*parts, "__init__.py")]
    return next((path for path in found if path.exists()), None)


def files_imported(path: Path) -> set[Path]:
    return {file for name in imports(path) if (file := file_of(name)) is not None and file != path}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_imports_only_what_it_may(path: Path) -> None:
    assert folder(path) in MAY_IMPORT, "a new folder: give it a row here and in docs/architecture.md"
    assert {folder(file) for file in files_imported(path)} - {folder(path)} <= MAY_IMPORT[folder(path)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_technology_is_known_where_it_belongs(path: Path) -> None:
    here = {folder(path), str(path.relative_to(PACKAGE))}
    for name in imports(path):
        assert here & ONLY_IN.get(name.partition(".")[0], here), f"{name} does not belong in {folder(path)}"


def test_the_top_level_is_folders_and_few_files() -> None:
    inside = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert sum(path.is_dir() for path in inside) <= 9
    assert sum(path.suffix == ".py" for path in inside) <= 4


@pytest.mark.parametrize("path", sorted((PACKAGE / "protocol").glob("*.py")), ids=lambda path: path.name)
def test_the_protocol_is_pure(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & NOT_IN_PROTOCOL
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {path: files_imported(path) for path in modules()}
    while graph:
        independent = {path for path, found in graph.items() if not found & graph.keys()}
        assert independent, f"a circle among {sorted(str(path.relative_to(PACKAGE)) for path in graph)}"
        for path in independent:
            del graph[path]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_opens_by_saying_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":", "."))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, "is it two modules?"


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("folder", ["soketpy", "tests", "benchmarks", "examples"])
def test_no_docstring_begins_with_a_question_word(folder: str) -> None:
    questions = {"What", "Who", "Whom", "Whose", "Whether", "How", "Where", "When", "Why", "Which"}
    paths = [path for path in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in path.parts]
    found = [f"{path}: {text}" for path in paths for text in docstrings(path) if text.split(" ")[0] in questions]
    assert not found, "begin with a verb, or with what it is"
