"""The options of a client of AWS: region, endpoint and credentials. No text of this module shows a credential."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from soketpy.core.arguments import check_types
from soketpy.core.fields import FieldError, check_texts, fields_of, kind, setting, shown

DEFAULT_REGION = "us-east-1"
"""The region without any other sign of one, as in soketi."""

LIBRARY = "aiobotocore"

INSTALL = f"pip install {LIBRARY}"

REGION: dict[str, Any] = {"pattern": r"[a-z0-9-]{1,40}", "like": "a region such as eu-central-1"}

SDK_NAMES = {
    "accessKeyId": "access_key_id",
    "secretAccessKey": "secret_access_key",
    "sessionToken": "session_token",
    "endpointUrl": "endpoint",
}
"""The names of options in the AWS SDK for JavaScript, which soketi uses."""

_CREDENTIALS = "credentials"


def endpoint_problem(url: str) -> str | None:
    """Return what is wrong with the URL of an AWS service, as the end of a sentence, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "is not an http:// or https:// URL with a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or a password"
    return None


def function_problem(function: str) -> str | None:
    """Return why a Lambda function cannot be used, as the end of a sentence, or None. The library is not imported."""
    return None if has_library() else f"needs the library {LIBRARY}: {INSTALL}"


def has_library() -> bool:
    """Return whether the library for AWS is installed, without importing it."""
    return sys.modules.get(LIBRARY) is not None or find_spec(LIBRARY) is not None


def queue_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a queue of SQS, as the end of a sentence, or None."""
    problem = endpoint_problem(url)
    if problem is None and not url.endswith(".fifo"):
        problem = "does not end with .fifo: only a FIFO queue keeps the order of events"
    return problem


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsOptions:
    """The options of a client. ``repr`` does not show the credentials.

    Without credentials, a client looks for them as the AWS command line does: variables, files, the role of a machine.
    """

    region: str | None = setting(None, "Region of AWS; null for that of the ARN or URL, or else us-east-1.", **REGION)
    endpoint: str | None = setting(
        None, "URL of the service, for tests and proxies; null for that of AWS.", check_text=endpoint_problem
    )
    access_key_id: str | None = setting(
        None,
        "Access key; null for the credentials of the environment, of ~/.aws or of the machine's role.",
        secret=True,
        needs="secret_access_key",
    )
    secret_access_key: str | None = setting(None, "Secret of the access key.", secret=True, needs="access_key_id")
    session_token: str | None = setting(
        None, "Session token of temporary credentials.", secret=True, needs="access_key_id"
    )

    def __post_init__(self) -> None:
        check_types(self)
        check_texts(self)


def sdk_options(given: Mapping[str, object]) -> AwsOptions:
    """Return the options that soketi passes to the AWS SDK (its ``client_options``), in the SDK's names or in ours.

    Raise FieldError for an unknown name, a wrong value, and a part of the credentials without the other part.
    """
    options = dict(given)
    inner = options.pop(_CREDENTIALS, None)
    if inner is not None:
        if not isinstance(inner, Mapping):
            raise FieldError(_CREDENTIALS, f"must be a table, not {kind(inner)}")
        options |= inner
    known = fields_of(AwsOptions)
    values: dict[str, Any] = {}
    for name, value in options.items():
        ours = SDK_NAMES.get(name, name)
        if ours not in known:
            names = ", ".join(("region", "endpoint", _CREDENTIALS, *list(SDK_NAMES)[:3]))
            raise FieldError(shown(name), f"soketpy has no such option of a client; it has: {names}")
        try:
            values[ours] = known[ours].check(value)
        except FieldError as fault:
            raise FieldError(name, fault.problem) from None
    for name in options:
        ours = SDK_NAMES.get(name, name)
        needed = known[ours].needs
        if values[ours] is not None and needed is not None and values.get(needed) is None:
            written = next((sdk for sdk, each in SDK_NAMES.items() if each == needed and ours != name), needed)
            raise FieldError(name, f"has no effect without {written}")
    return AwsOptions(**values)


def region_of(options: AwsOptions, region: str | None, name: str) -> str:
    """Return the region of a client: of its options, or ``region``, or that in an ARN or a URL of SQS, or the default.

    The order of the first two is that of soketi.
    """
    found = re.match(r"arn:[a-z-]+:[a-z]+:([a-z0-9-]+):|https?://sqs\.([a-z0-9-]+)\.", name)
    return options.region or region or (found[1] or found[2] if found else DEFAULT_REGION)
