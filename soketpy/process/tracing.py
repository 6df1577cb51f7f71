"""The tracer of a process, by the settings. Its libraries are imported only if traces are exported."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from soketpy.config import Settings
from soketpy.config.tracing import url_problem
from soketpy.core.fields import shown
from soketpy.core.tracing import Tracer
from soketpy.process.measuring import installed_version
from soketpy.process.stopping import Deadline

INSTALL = "pip install 'soketpy[otel]'"

PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
"""The variables that choose the protocol of the exporter. The first one that is set decides."""

TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
SAMPLER, RATIO = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"

SAMPLERS = tuple(f"{prefix}{name}" for prefix in ("", "parentbased_") for name in ("always_on", "always_off"))
RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")


def check_tracing(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigError if a library is missing, or for variables of OpenTelemetry that this server cannot follow."""
    if not settings.tracing.enabled:
        return
    try:
        from soketpy.drivers.otel import exporter, tracer
    except ImportError as fault:
        raise settings.mistake("tracing.enabled", f"traces need the library {fault.name}: {INSTALL}") from None
    problem = _protocol_problem(environ) or _timeout_problem(environ)
    if problem is None and settings.tracing.sample_ratio is None:
        problem = _sampler_problem(environ)
    if problem is None and (wrong := url_problem(exporter.endpoint_of(settings.tracing.endpoint, environ))):
        problem = f"the URL of OTEL_EXPORTER_OTLP_ENDPOINT {wrong}"
    if problem is None:
        problem = tracer.variables_problem()
    if problem is not None:
        raise settings.mistake("tracing.enabled", problem)


def _protocol_problem(environ: Mapping[str, str]) -> str | None:
    variable = next((name for name in PROTOCOLS if environ.get(name)), None)
    if variable is None or environ[variable] == "http/protobuf":
        return None
    return f"traces are exported by http/protobuf only, and {variable} is {shown(environ[variable])}"


def _timeout_problem(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the variables of the timeout, in seconds. The SDK would use 10 s instead."""
    for name in TIMEOUTS:
        if not (text := environ.get(name)):
            continue
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0
        if not 0 < seconds < float("inf"):
            return f"{name} must be a number of seconds above 0, not {shown(text)}"
    return None


def _sampler_problem(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the variables of the sampler. The SDK would export all traces instead."""
    name, ratio = environ.get(SAMPLER, "").lower(), environ.get(RATIO, "")
    if name and name not in SAMPLERS + RATIO_SAMPLERS:
        return f"{SAMPLER} must be one of {', '.join(SAMPLERS + RATIO_SAMPLERS)}, not {shown(name)}"
    if name in RATIO_SAMPLERS and ratio:
        try:
            valid = 0 <= float(ratio) <= 1
        except ValueError:
            valid = False
        if not valid:
            return f"{RATIO} must be a number from 0 to 1, not {shown(ratio)}"
    return None


def tracer_of(settings: Settings) -> Tracer:
    """Return a tracer. Raise ConfigError as ``check_tracing`` does."""
    check_tracing(settings)
    from soketpy.drivers.otel.exporter import exporter_of
    from soketpy.drivers.otel.tracer import OtelTracer, ratio_sampler, resource_of

    given, version = settings.tracing, installed_version()
    return OtelTracer(
        exporter_of(given.endpoint, pairs(given.headers)),
        resource_of(given.service_name, pairs(given.resource), version),
        version,
        None if given.sample_ratio is None else ratio_sampler(given.sample_ratio),
    )


@asynccontextmanager
async def tracing(settings: Settings, deadline: Deadline) -> AsyncIterator[Tracer | None]:
    """Run the tracer of a server, if the settings want one."""
    if not settings.tracing.enabled:
        yield None
        return
    tracer = tracer_of(settings)
    try:
        yield tracer
    finally:
        await deadline.stop("The exporter of traces", tracer.stop)


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return the names and values of texts such as NAME=VALUE."""
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
