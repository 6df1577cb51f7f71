"""A reader of the webhooks of an app, from a file or a variable."""

from collections.abc import Iterable
from typing import Any

from soketpy.config.errors import guess, quote_name
from soketpy.config.problems import Problems
from soketpy.config.tables import read_values, table_of
from soketpy.config.tree import ConfigNode
from soketpy.config.values import convert, items_of
from soketpy.core.aws_options import AwsOptions, sdk_options
from soketpy.core.fields import Field, FieldError, fields_of
from soketpy.core.webhook_headers import MOST, Headers, name_problem, value_problem
from soketpy.core.webhooks import Filter, LambdaOptions, Webhook
from soketpy.protocol.event_types import EVENT_TYPES

_HEADER = Field(name="headers", type=str, help="", secret=True, check_text=value_problem)


def read_webhooks(node: ConfigNode, path: str) -> tuple[Webhook, ...]:
    """Return the webhooks of an app. ``path`` is the name of their list in an error.

    Raise ConfigError, which never shows a URL or the value of a header.
    """
    found: dict[str, int] = {}
    webhooks, problems = list[Webhook](), Problems()
    for at, item in enumerate(items_of(node, path)):
        with problems.noted():
            webhook = _webhook(item, f"{path}[{at}]")
            if (first := found.setdefault(webhook.id, at)) != at:
                problem = f"has the target, event_types and filter of {path}[{first}]: remove one of the two"
                raise item.position.error(f"{path}[{at}]", problem)
            webhooks.append(webhook)
    problems.check()
    return tuple(webhooks)


def _webhook(node: ConfigNode, path: str) -> Webhook:
    table = table_of(node, path, "a table with a url and event_types")
    _check_single_target(table, path)
    given = _values(Webhook, table, path, "no such setting of a webhook")
    _check_target(node, table, given, path)
    if "event_types" not in given:
        raise node.position.error(path, "must have event_types, a list of the events to send")
    try:
        return Webhook(**given)
    except ValueError as error:
        raise node.position.error(path, str(error)) from None


def _values(of: type, table: dict[str, ConfigNode], path: str, unknown: str) -> dict[str, Any]:
    return read_values(of, table, path, unknown, _value, _names_of_filter if of is Filter else guess)


def _names_of_filter(name: str, names: Iterable[str]) -> str:
    return f"; a filter has {', '.join(names)}"


def _value(field: Field, name: str, node: ConfigNode, path: str) -> object:
    if name == "headers":
        return _headers(node, path)
    if name == "event_types":
        return _event_types(node, path)
    if name == "client_options":
        return client_options(node, path)
    return _group(field, node, path) if field.is_group else convert(field, node, path)


def _group(field: Field, node: ConfigNode, path: str) -> object:
    if node.value is None:
        return field.default
    first = next(iter(fields_of(field.type)))
    table = table_of(node, path, f"a table of settings, such as {first}")
    return field.type(**_values(field.type, table, path, "no such setting"))


def client_options(node: ConfigNode, path: str) -> AwsOptions:
    """Return the options of a client of AWS. They may have the names of the AWS SDK."""
    if node.value is None:
        return AwsOptions()
    table = table_of(node, path, "a table of settings, such as credentials")
    try:
        return sdk_options({name: _plain(each) for name, each in table.items()})
    except FieldError as error:
        raise node.at.error(path, str(error)) from None


def _plain(node: ConfigNode) -> object:
    return {name: _plain(each) for name, each in node.value.items()} if isinstance(node.value, dict) else node.value


def _check_single_target(table: dict[str, ConfigNode], path: str) -> None:
    """Raise ConfigError if the webhook has two targets."""
    if all(name in table and table[name].value not in (None, "") for name in ("url", "lambda_function")):
        problem = f"given next to url ({table['url'].at}): a webhook has one target"
        raise table["lambda_function"].at.error(f"{path}.lambda_function", problem)


def _check_target(node: ConfigNode, table: dict[str, ConfigNode], given: dict[str, object], path: str) -> None:
    """Raise ConfigError if the webhook has no target, or options of a Lambda function without the function."""
    url, function = given.get("url"), given.get("lambda_function")
    if url is None and function is None:
        raise node.position.error(path, "must have a url or a lambda_function")
    if function is None and given.get("lambda_", LambdaOptions()) != LambdaOptions():
        raise table["lambda"].at.error(f"{path}.lambda", "has no effect without lambda_function")


def _event_types(node: ConfigNode, path: str) -> object:
    for at, item in enumerate(node.value if isinstance(node.value, list) else ()):
        if isinstance(item.value, str) and item.value not in EVENT_TYPES and (meant := guess(item.value, EVENT_TYPES)):
            raise item.position.error(f"{path}[{at}]", f"no such event: {quote_name(item.value)}{meant}")
    found = convert(fields_of(Webhook)["event_types"], node, path)
    if not found:
        raise node.position.error(path, "must have at least one event: without one, the webhook sends nothing")
    return found


def _headers(node: ConfigNode, path: str) -> Headers:
    if node.value is None:
        return Headers()
    table, seen = table_of(node, path, "a table of names and values"), dict[str, str]()
    for name, each in table.items():
        where = f"{path}.{quote_name(name)}"
        if (problem := name_problem(name)) is not None:
            raise each.at.error(where, problem)
        if (first := seen.setdefault(name.lower(), name)) != name:
            raise each.at.error(where, f"given twice, first at {table[first].at}")
    if len(table) > MOST:
        raise node.at.error(path, f"must have at most {MOST} headers")
    return Headers({name: str(convert(_HEADER, each, f"{path}.{quote_name(name)}")) for name, each in table.items()})
