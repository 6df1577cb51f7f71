"""Environment variables: ``SOKETPY_`` and a setting's path, ``SOKETPY_APP_`` and a field of the first app.

A list is JSON or has commas between its values; ``SOKETPY_APPS`` is the JSON of all apps. Unknown variables are errors,
except those that Kubernetes adds for services of the namespace.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from soketpy.config.draft import APPS, Draft, setting_fields
from soketpy.config.errors import ConfigError, guess, quote_name, with_all_words
from soketpy.config.hints import hint_of_variable
from soketpy.config.problems import ANY
from soketpy.config.soketi.names import BY_PATH, VARIABLES
from soketpy.config.soketi.names import PREFIX as SOKETI_PREFIX
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import QUOTED, is_quoted
from soketpy.core.apps import app_fields

PREFIX = "SOKETPY_"
CONFIG_FILE = "SOKETPY_CONFIG"
ADMIN_TOKEN = "SOKETPY_ADMIN_TOKEN"  # noqa: S105 - a variable of the command `soketpy apps`
FIRST_APP = "SOKETPY_APP_"
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_TLS_OF_DATABASE = re.compile(r"DB_(POSTGRES|MYSQL)_(?:SSL|TLS)")
_SERVICE_LINK = re.compile(r"([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+")


@cache
def variables() -> Mapping[str, str]:
    """Return the path of the setting of every variable; for a field of the first app, ``apps.0.`` and the field."""
    known = {PREFIX + path.upper().replace(".", "_"): path for path in setting_fields()}
    return known | {FIRST_APP + name.upper(): f"apps.0.{name}" for name in app_fields()}


def read_environment(environ: Mapping[str, str]) -> tuple[Draft, int]:
    """Return what the variables give, with their mistakes, and how many variables there are."""
    draft, count = Draft(), 0
    for name, text in given(environ, PREFIX):
        if name in (CONFIG_FILE, ADMIN_TOKEN):
            continue
        count += 1
        path = variables().get(name)
        if path is None:
            draft.problems.add(unknown(name, PREFIX, [CONFIG_FILE, *variables()]))
            draft.problems.unsure.add(ANY)
            continue
        node = ConfigNode(text, Position(name, name="" if path != APPS else None), loose=True)
        first, _, field = path.partition(".0.")
        with draft.problems.noted(APPS if field else first.rpartition(".")[0]):
            if field:
                draft.put_app(0, field, node)
            else:
                draft.put(first, node)
    return draft, count


def check_path(environ: Mapping[str, str]) -> None:
    """Raise ConfigError if the path of the configuration file has quotes around it."""
    position = Position(CONFIG_FILE, name="")
    if is_quoted(ConfigNode(environ.get(CONFIG_FILE), position, loose=True)):
        raise position.error("", QUOTED)


def given(environ: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the variables with this prefix in the order of their names, without those that Kubernetes adds."""
    for name, text in sorted(environ.items()):
        if name.startswith(prefix) and not _is_service_link(name.removeprefix(prefix), text):
            yield name, text


def unknown(name: str, prefix: str, known: Iterable[str]) -> ConfigError:
    """Return the error for an unknown variable. ``known`` are the variables with this prefix."""
    if prefix == PREFIX and (said := hint_of_variable(name.removeprefix(prefix), variables(), prefix)):
        return ConfigError(f"{quote_name(name)}: no such variable{said}")
    rest, names = name.removeprefix(prefix), [each.removeprefix(prefix) for each in known]
    if prefix != PREFIX and (database := _TLS_OF_DATABASE.match(rest)):  # soketi has no such variable
        return ConfigError(f"{quote_name(name)}: no such variable; did you mean {PREFIX}{database[1]}_TLS?")
    said = guess(rest, names, prefix)
    if with_all_words(rest, names) is None and (other := _of_the_other_prefix(rest, prefix)):
        said = f"; did you mean {other}?"
    return ConfigError(f"{quote_name(name)}: no such variable{said}")


def _of_the_other_prefix(rest: str, prefix: str) -> str | None:
    """Return the ``SOKETPY_`` variable for a name that is known under the other prefix, or None."""
    if prefix != PREFIX:
        return PREFIX + rest if PREFIX + rest in variables() else None
    soketis = BY_PATH.get(VARIABLES.get(SOKETI_PREFIX + rest, ""))
    return PREFIX + soketis.target.upper().replace(".", "_") if soketis and soketis.target else None


def _is_service_link(rest: str, text: str) -> bool:
    if _SERVICE_LINK.fullmatch(rest):
        return True
    return rest.endswith("PORT") and _SERVICE_URL.fullmatch(text) is not None
