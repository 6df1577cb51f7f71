"""The reader of a configuration file."""

from pathlib import Path

from soketpy.config.errors import ConfigError
from soketpy.config.json_tree import parse_json
from soketpy.config.tree import ConfigNode, Position

LARGEST = 16 * 1024 * 1024


def read_file(path: str) -> dict[str, ConfigNode]:
    """Return the table that a file holds. A file is JSON or YAML by its name; with another name, a brace begins JSON.

    Raise ConfigError if the file cannot be read or is invalid.
    """
    text = _text(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".json" or (suffix not in (".yaml", ".yml") and text.lstrip().startswith("{")):
        node = parse_json(text, path)
    else:
        from soketpy.config.yaml_tree import parse_yaml  # imported late, because importing PyYAML is slow

        node = parse_yaml(text, path) or ConfigNode({}, Position(path, 1))
    if not isinstance(node.value, dict):
        raise node.position.error("", "the file must hold settings, each under its name")
    return node.value


def check_is_file(path: str | None) -> None:
    """Raise ConfigError for a pipe or a device, such as ``<(command)`` of a shell: a second read would find nothing.

    A path without a file is no error: ``read_file`` reports it.
    """
    try:
        readable = path is None or Path(path).is_file() or not Path(path).exists()
    except (OSError, ValueError):
        return
    if not readable:
        raise ConfigError(f"{path}: is not a file, so it cannot be read again: restart the server to change it")


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except ValueError:
        raise ConfigError(f"{path!r}: not the path of a file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > LARGEST:
        raise ConfigError(f"{path}: larger than {LARGEST // 1024 // 1024} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Position(path, line).error("", "not UTF-8 text") from None
