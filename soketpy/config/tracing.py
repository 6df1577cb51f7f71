"""The settings of traces. What they leave out, the variables of OpenTelemetry (``OTEL_*``) decide."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from soketpy.core.fields import setting

_PAIR = r"[^\s=,]+=[^\x00-\x1f\x7f]*"


def url_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a collector, as the end of a sentence, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host or " " in url:
        return "is not an http:// or https:// URL with a host"
    return None


def endpoint_problem(url: str) -> str | None:
    """Return what is wrong with ``tracing.endpoint``, as the end of a sentence, or None."""
    if (problem := url_problem(url)) is not None:
        return problem
    return "must not contain a user or a password: use tracing.headers" if "@" in urlsplit(url).netloc else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Traces of REST calls and webhooks. ``repr`` does not show the headers."""

    enabled: bool = setting(False, "Export traces of REST calls and webhooks (OpenTelemetry). Needs soketpy[otel].")
    endpoint: str | None = setting(
        None,
        "URL of the collector (OTLP over HTTP); null for OTEL_EXPORTER_OTLP_ENDPOINT, or http://localhost:4318.",
        check_text=endpoint_problem,
    )
    headers: tuple[str, ...] = setting(
        (),
        "Headers of each export, such as api-key=0123, next to those of OTEL_EXPORTER_OTLP_HEADERS.",
        secret=True,
        pattern=_PAIR,
        like="a header as NAME=VALUE",
    )
    sample_ratio: float | None = setting(
        None,
        "Part of the traces that begin here which is exported, from 0 to 1; null for OTEL_TRACES_SAMPLER, or all.",
        least=0,
        most=1,
        null="OTEL_TRACES_SAMPLER",
    )
    service_name: str | None = setting(
        None, "Name of the service in all spans; null for OTEL_SERVICE_NAME, or soketpy.", null="OTEL_SERVICE_NAME"
    )
    resource: tuple[str, ...] = setting(
        (),
        "Further attributes of the service, such as deployment.environment.name=staging.",
        pattern=_PAIR,
        like="an attribute as NAME=VALUE",
    )
