"""The generator of ``config/soketpy.yaml``: every setting with its default and its line of help.

``python -m soketpy.config.sample`` prints the file.
"""

import json
import re
from collections.abc import Iterator, Mapping

from soketpy.config.settings import DEFAULT_APP, Settings
from soketpy.config.yaml_tree import parse_yaml
from soketpy.core.apps import app_fields, limit_fields
from soketpy.core.fields import Field, fields_of
from soketpy.core.history_rules import HistoryRule
from soketpy.core.webhooks import Webhook

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
HEAD = """\
# Every setting of soketpy with its default. Leave out the settings that you do not change.
# The environment variable of a setting is SOKETPY_ and its path, such as SOKETPY_METRICS_PORT. Variables override this
# file, and flags override both. Names and configuration files of soketi work too. SIGHUP reloads the apps.
"""


def sample() -> str:
    """Return the text of the file. Loading it gives ``Settings()``."""
    return "\n".join([HEAD, *_group(fields_of(Settings), ""), *_app_defaults(), *_apps()]) + "\n"


def _group(of: Mapping[str, Field], indent: str) -> Iterator[str]:
    for name, field in of.items():
        if name == "apps":
            continue
        if field.is_group:
            yield from ("", f"{indent}# {field.help}", f"{indent}{name}:")
            yield from _group(fields_of(field.type), indent + "  ")
        else:
            yield from (f"{indent}# {field.help}", f"{indent}{name}: {_shown(field.default)}")


def _app_defaults() -> Iterator[str]:
    yield from ("", "# Defaults of all apps: any setting of an app except its id, key, secret and keys.")
    yield "app_defaults: {}"


def _apps() -> Iterator[str]:
    yield from (
        "",
        f"# {fields_of(Settings)['apps'].help} SOKETPY_APP_ID and similar variables set the fields of the first app.",
        "apps:",
    )
    written = app_fields()
    yield from (f"  # {written['id'].help}", f"  - id: {_shown(DEFAULT_APP.id)}")
    given = {"key": DEFAULT_APP.key, "secret": DEFAULT_APP.keys[0].secret}
    for name, value in given.items():
        yield from (f"    # {written[name].help}", f"    {name}: {_shown(value)}")
    pair = ", ".join(f"{name}: {_shown(value)}" for name, value in given.items())
    yield from (f"    # {written['keys'].help}", f"    # keys: [{{{pair}}}]")
    hook = {"url": "https://example.com/webhooks", "event_types": ["channel_occupied", "channel_vacated"]}
    yield from _tables(written["webhooks"], Webhook, hook)
    yield from _tables(written["history"], HistoryRule, {"channels": "private-orders-*"})
    yield from _group(limit_fields(), "    ")


def _tables(field: Field, of: type, example: Mapping[str, object]) -> Iterator[str]:
    """Yield a list with one table as an example, in comments, because the default is none."""
    yield from (f"    # {field.help}", f"    # {field.name}:")
    first = True
    for line in _of_table(fields_of(of), example):
        is_name = not line.lstrip().startswith("#")
        yield f"    #   {'- ' if first and is_name else '' if first else '  '}{line}"
        first = first and not is_name


def _of_table(of: Mapping[str, Field], example: Mapping[str, object]) -> Iterator[str]:
    for name, field in of.items():
        yield f"# {field.help}"
        written = name.rstrip("_")
        if field.is_group:
            yield f"{written}:"
            yield from (f"  {line}" for line in _of_table(fields_of(field.type), {}))
        else:
            yield f"{written}: {_shown(example.get(name, field.default))}"


def _shown(value: object) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and _reads_as_text(value):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _reads_as_text(value: str) -> bool:
    node = parse_yaml(value, "")
    return getattr(node, "value", None) == value


if __name__ == "__main__":
    print(sample(), end="")
