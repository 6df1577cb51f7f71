"""The webhooks of an app: where each one sends events, and which events it wants."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from soketpy.core.arguments import check_types
from soketpy.core.aws_options import REGION, AwsOptions, function_problem, region_of
from soketpy.core.fields import check_texts, fields_of, setting
from soketpy.core.patterns import compile_pattern, pattern_problem
from soketpy.core.webhook_headers import Headers, headers_of
from soketpy.protocol.event_types import EVENT_TYPES

LONGEST_URL = 2048
"""Characters that the URL of a webhook may have."""


def url_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a webhook, without the URL (which may contain a token), or None."""
    if len(url) > LONGEST_URL:
        return f"must have at most {LONGEST_URL} characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as fault:
        is_port = str(fault).startswith("Port ")
        return "must have a port from 0 to 65535" if is_port else "must be a valid http:// or https:// URL"
    if parts.scheme not in ("http", "https") or not host:
        return "must be an http:// or https:// URL with a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or a password: write them in headers"
    if " " in url:
        return "must not contain spaces"
    return None


class _Derived:
    """A value that a filter computes once from its fields."""

    __slots__ = ("found_in",)

    found_in: Callable[[str], object] | None
    """Returns a true value if ``channel_name_matches`` is found in a channel's name. None without a pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(_Derived):
    """Conditions for the channel of an event. All given ones must hold. Events without a channel pass.

    The constructor raises TypeError for a condition that is not a str, and ValueError for an empty one and for a
    pattern that RE2 does not take.
    """

    channel_name_starts_with: str | None = setting(None, "Only channels whose names start with this text.")
    channel_name_ends_with: str | None = setting(None, "Only channels whose names end with this text.")
    channel_name_matches: str | None = setting(
        None, "Only channels in whose names this regular expression (RE2) is found.", check_text=pattern_problem
    )

    def __post_init__(self) -> None:
        check_types(self)
        check_texts(self)
        pattern = self.channel_name_matches
        object.__setattr__(self, "found_in", None if pattern is None else compile_pattern(pattern))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the fields only; the pattern is compiled again."""
        return partial(Filter, **{name: getattr(self, name) for name in fields_of(Filter)}), ()

    def passes(self, channel: str) -> bool:
        """Return whether a channel fulfils the conditions. The channel of an event without one is empty."""
        if not channel:
            return True
        start, end = self.channel_name_starts_with, self.channel_name_ends_with
        if (start is not None and not channel.startswith(start)) or (end is not None and not channel.endswith(end)):
            return False
        return self.found_in is None or bool(self.found_in(channel))


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaOptions:
    """The options of a Lambda function. In a file, ``async_`` is ``async``."""

    region: str | None = setting(None, "Region of the function; null for that of its ARN, or else us-east-1.", **REGION)
    async_: bool = setting(False, "Let AWS queue the event, and do not wait for the function's result.")
    client_options: AwsOptions = field(default=AwsOptions(), metadata={"help": "Endpoint and credentials."})

    def __post_init__(self) -> None:
        check_types(self)
        check_texts(self)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Webhook:
    """One webhook. It has either a ``url`` or a ``lambda_function``, and at least one event type.

    A list in the place of a tuple becomes a tuple. The constructor raises TypeError for a value of another type than
    its field has, and ValueError for a value that cannot work. Headers, the path of the URL and the options of a
    function may have secrets: neither ``repr`` nor an error shows them. In a file, ``lambda_`` is ``lambda``.
    """

    url: str | None = setting(None, "URL that events are posted to.", check_text=url_problem, secret=True)
    lambda_function: str | None = setting(
        None,
        "Name or ARN of the AWS Lambda function that gets events.",
        pattern=r"[A-Za-z0-9$_.:-]{1,256}",
        like="the name or ARN of a Lambda function",
        check_text=function_problem,
    )
    lambda_: LambdaOptions = field(default=LambdaOptions(), metadata={"help": "Options of the Lambda function."})
    event_types: Sequence[str] = setting((), "Names of the events to send; at least one.", choices=EVENT_TYPES)
    filter: Filter = field(default=Filter(), metadata={"help": "Conditions for the channels of events."})
    headers: Mapping[str, str] = field(default=Headers(), metadata={"help": "Further headers of each request."})
    batching: bool | None = setting(None, "Send several events in one request; null for webhooks.batching.")
    id: str = field(init=False, compare=False)
    """A short text that identifies the webhook in its app. It does not depend on the headers or on batching."""

    def __post_init__(self) -> None:
        check_types(self)
        if (self.url is None) == (self.lambda_function is None):
            raise ValueError("Webhook must have either a url or a lambda_function")
        if not self.event_types:
            raise ValueError("Webhook.event_types must have at least one event type")
        check_texts(self)
        object.__setattr__(self, "headers", headers_of(self.headers, "Webhook.headers"))
        object.__setattr__(self, "event_types", tuple(dict.fromkeys(map(str, self.event_types))))
        identity = repr((self.target, sorted(self.event_types), self.filter))
        object.__setattr__(self, "id", hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12])

    def __repr__(self) -> str:
        return f"Webhook(id={self.id!r}, host={self.host!r}, event_types={self.event_types!r})"

    @property
    def target(self) -> str:
        """Return the URL, or ``lambda:``, the region and the name or ARN of the Lambda function."""
        return self.url if self.url is not None else f"lambda:{self.region}:{self.lambda_function}"

    @property
    def region(self) -> str:
        """Return the region of the Lambda function."""
        return region_of(self.lambda_.client_options, self.lambda_.region, self.lambda_function or "")

    @property
    def host(self) -> str:
        """Return the host of the URL, or the target of another kind: a label for metrics and the log."""
        return host_of(self.target)

    def wants(self, event_type: str, channel: str) -> bool:
        """Return whether the webhook sends an event of this type, on this channel or (if empty) on none."""
        return event_type in self.event_types and self.filter.passes(channel)


def host_of(target: str) -> str:
    """Return the host and the port of a URL, or the target itself if it is a Lambda function."""
    return target if target.startswith("lambda:") else urlsplit(target).netloc


def first_repeated(webhooks: Sequence[Any]) -> int | None:
    """Return the position of the first webhook that has the id of an earlier one, or None.

    Such a webhook would send the same events to the same target again.
    """
    seen: set[str] = set()
    for at, webhook in enumerate(webhooks):
        if webhook.id in seen:
            return at
        seen.add(webhook.id)
    return None


WebhookTypes = Callable[[str], frozenset[str]]
"""Returns the names of the events that at least one webhook of an app (by its id) wants."""
