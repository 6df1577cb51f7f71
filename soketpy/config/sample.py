"""``config/soketpy.yaml``, written from the rows: every setting with its default and its line of help.

``python -m soketpy.config.sample`` prints it.
"""

import json
import re
from collections.abc import Iterator, Mapping

from soketpy.config.app_rows import ID, KEY, KEYS, PAIR, SECRET, default_rows
from soketpy.config.rows import Row, rows
from soketpy.config.settings import DEFAULT_APP, Settings
from soketpy.config.yaml_tree import parse_yaml

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
HEAD = """\
# Every setting of soketpy with its default. Leave out what you do not change.
# SOKETPY_ and a setting's path name it as an environment variable, such as SOKETPY_METRICS_PORT; those win over this
# file, and flags over both. soketi's own names and config files are understood too. SIGHUP takes the apps anew.
"""


def sample() -> str:
    """The whole text of the file; loading it gives ``Settings()``."""
    return "\n".join([HEAD, *_group(rows(Settings), ""), *_app_defaults(), *_apps()]) + "\n"


def _group(of: Mapping[str, Row], indent: str) -> Iterator[str]:
    for name, row in of.items():
        if name == "apps":
            continue
        if row.is_group:
            yield from ("", f"{indent}# {row.help}", f"{indent}{name}:")
            yield from _group(rows(row.type), indent + "  ")
        else:
            yield from (f"{indent}# {row.help}", f"{indent}{name}: {_shown(row.default)}")


def _app_defaults() -> Iterator[str]:
    yield from ("", "# For every app that does not say otherwise: any of an app's settings but its id and keys.")
    yield "app_defaults: {}"


def _apps() -> Iterator[str]:
    yield from ("", f"# {rows(Settings)['apps'].help} SOKETPY_APP_ID and so on set those of the first.", "apps:")
    yield from (f"  # {ID.help}", f"  - {ID.name}: {_shown(DEFAULT_APP.id)}")
    given = {"key": DEFAULT_APP.key, "secret": DEFAULT_APP.keys[0].secret}
    for row in (KEY, SECRET):
        yield from (f"    # {row.help}", f"    {row.name}: {_shown(given[row.name])}")
    pair = ", ".join(f"{name}: {_shown(value)}" for name, value in given.items() if name in PAIR)
    yield from (f"    # {KEYS.help}", f"    # {KEYS.name}: [{{{pair}}}]")
    yield from _group(default_rows(), "    ")


def _shown(value: object) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and _reads_as_text(value):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _reads_as_text(value: str) -> bool:
    node = parse_yaml(value, "")
    return getattr(node, "value", None) == value


if __name__ == "__main__":
    print(sample(), end="")
