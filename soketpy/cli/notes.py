"""Notes on standard error: reasons why the server refuses a request with a valid signature, and doubtful data."""

import sys
from collections.abc import Iterator, Mapping

METHODS = ("GET", "POST")
"""The methods of the REST API."""

LONGEST_NAME = 200
"""Most characters of a channel's name, if the app has no other limit."""


def note(command: str, problems: Iterator[str], refused: bool = True) -> None:
    """Print each problem. ``refused`` says that the server refuses the request for it."""
    why = "the server refuses this: " if refused else ""
    for problem in problems:
        print(f"soketpy {command}: note: {why}{' '.join(problem.split())}", file=sys.stderr)


def of_data(channel: str, data: str) -> Iterator[str]:
    """Yield the problems of the data of an event: broken JSON, and plain data on an encrypted channel."""
    import json

    from soketpy.protocol.channels import kind_of

    if data.lstrip()[:1] in ("{", "[", '"'):
        try:
            json.loads(data)
        except ValueError as error:
            yield f"the data looks like JSON, and is not valid JSON: {error}; it is sent as it is"
        except RecursionError:
            yield "the data looks like JSON, and is nested too deeply; it is sent as it is"
    if kind_of(channel).encrypted:
        yield "clients cannot decrypt this: `soketpy trigger` does not encrypt the events of encrypted channels"


def of_channel(channel: str, channel_data: str | None) -> Iterator[str]:
    """Yield the problems of a channel and with its member, of a presence channel."""
    from soketpy.protocol.channels import kind_of, name_fault

    if (fault := name_fault(channel, LONGEST_NAME)) is not None:
        yield fault
    if channel_data is not None and kind_of(channel).presence:
        from soketpy.protocol.events import parse_member

        try:
            parse_member(channel_data)
        except ValueError as error:
            yield str(error)


def of_user(user_data: str) -> Iterator[str]:
    """Yield the problems of the user of a sign-in."""
    from soketpy.protocol.events import parse_user

    try:
        parse_user(user_data)
    except ValueError as error:
        yield str(error)


def of_method(method: str) -> Iterator[str]:
    """Yield the problems of the method of a request."""
    if method not in METHODS:
        yield f"the REST API has the methods {' and '.join(METHODS)}, not {method}"


def of_body(body: bytes) -> Iterator[str]:
    """Yield the problems of the body of a request. An empty one is valid for some requests."""
    import json

    if not body:
        return
    try:
        document = json.loads(body)
    except RecursionError:
        yield "the body is nested too deeply"
    except ValueError as error:
        yield f"the body is not valid JSON: {error}"
    else:
        if not isinstance(document, dict):
            yield "the body is not an object of JSON, such as {…}"


def of_query(query: Mapping[str, str], now: float) -> Iterator[str]:
    """Yield the problems of the parameters of a signed request."""
    from soketpy.protocol.signatures import WINDOW

    if query.get("auth_version", "1.0") != "1.0":
        yield "auth_version must be 1.0"
    written = query.get("auth_timestamp", "")
    if not (written.isascii() and written.isdigit() and len(written) < 16):
        yield "auth_timestamp must be a time in Unix seconds" if written else "auth_timestamp is missing"
    elif abs(apart := int(written) - now) > WINDOW:
        when = f"{abs(apart):.0f} s {'ahead' if apart > 0 else 'ago'}"
        yield f"auth_timestamp is {when}, and may differ from the server's clock by {WINDOW} s"
