"""A configuration file, from its path to what is written in it."""

from pathlib import Path

from soketpy.config.errors import ConfigError
from soketpy.config.json_tree import parse_json
from soketpy.config.tree import Place, Table

LARGEST = 16 * 1024 * 1024


def read_file(path: str) -> Table:
    """What the file holds. A name in ``.json`` or ``.yaml`` says what it is; under any other, a brace begins JSON.

    Raises ConfigError where the file cannot be read or understood.
    """
    text = _text(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".json" or (suffix not in (".yaml", ".yml") and text.lstrip().startswith("{")):
        node = parse_json(text, path)
    else:
        from soketpy.config.yaml_tree import parse_yaml  # here, since PyYAML takes longer to load than all the rest

        node = parse_yaml(text, path) or Table({}, Place(path, 1))
    if not isinstance(node, Table):
        raise node.place.error("", "the file must hold settings, each under its name")
    return node


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
        raise Place(path, line).error("", "not UTF-8 text") from None
