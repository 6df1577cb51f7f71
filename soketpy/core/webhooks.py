"""The webhooks of an app: where each one sends events, and which events it wants."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from soketpy.core.fields import setting
from soketpy.protocol.event_types import EVENT_TYPES

HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""The pattern of a header's name (RFC 9110, section 5.6.2)."""


def url_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a webhook, as the end of a sentence, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "is not an http:// or https:// URL with a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or a password: use headers"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions for the channel of an event. All given ones must hold. Events without a channel pass."""

    channel_name_starts_with: str | None = setting(None, "Only channels whose names start with this text.")
    channel_name_ends_with: str | None = setting(None, "Only channels whose names end with this text.")

    def passes(self, channel: str) -> bool:
        """Return whether a channel fulfils the conditions. The channel of an event without one is empty."""
        if not channel:
            return True
        start, end = self.channel_name_starts_with, self.channel_name_ends_with
        return (start is None or channel.startswith(start)) and (end is None or channel.endswith(end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook. It has either a ``url`` or a ``lambda_function``. ``repr`` does not show the headers.

    ``headers`` is a tuple of pairs of name and value; a mapping in its place becomes one.
    """

    url: str | None = setting(None, "URL that events are posted to.", check_text=url_problem)
    lambda_function: str | None = setting(None, "Name or ARN of the AWS Lambda function that gets events.")
    event_types: tuple[str, ...] = setting((), "Events to send.", choices=EVENT_TYPES)
    filter: Filter = field(default=Filter(), metadata={"help": "Conditions for the channels of events."})
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    batching: bool | None = setting(None, "Send several events in one request; null for the server's setting.")
    id: str = field(init=False, compare=False)
    """A short text that identifies the webhook in its app. It does not depend on the headers or on batching."""

    def __post_init__(self) -> None:
        if (self.url is None) == (self.lambda_function is None):
            raise ValueError("a Webhook needs either a url or a lambda_function")
        given: Any = self.headers
        pairs = given.items() if isinstance(given, Mapping) else given
        object.__setattr__(self, "headers", tuple((str(name), str(value)) for name, value in pairs))
        object.__setattr__(self, "event_types", tuple(self.event_types))
        identity = repr((self.target, sorted(self.event_types), self.filter))
        object.__setattr__(self, "id", hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12])

    @property
    def target(self) -> str:
        """Return the URL, or the name of the Lambda function after ``lambda:``."""
        return self.url if self.url is not None else f"lambda:{self.lambda_function}"

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


WebhookTypes = Callable[[str], frozenset[str]]
"""Returns the names of the events that at least one webhook of an app (by its id) wants."""
