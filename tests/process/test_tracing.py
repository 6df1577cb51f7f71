"""The settings of traces: what the server needs for them, and what it does without them."""

import subprocess
import sys
from pathlib import Path

import pytest

from soketpy.cli import main
from tests.patience import PATIENCE


def test_a_server_without_tracing_loads_no_library(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, soketpy\n"
        "async def run():\n"
        "    async with soketpy.Server(host='127.0.0.1', port=0): pass\n"
        "asyncio.run(run())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'requests'))])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "traces are exported by http/protobuf only, and OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
            "the URL of OTEL_EXPORTER_OTLP_ENDPOINT is not an http:// or https:// URL with a host",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "sometimes"},
            "OTEL_TRACES_SAMPLER must be one of always_on, always_off, parentbased_always_on, parentbased_always_off,"
            " traceidratio, parentbased_traceidratio, not 'sometimes'",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "5%"},
            "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, not '5%'",
        ),
        *(
            ({name: value}, f"{name} must be a number of seconds above 0, not {value!r}")
            for name in ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
            for value in ("abc", "-1", "nan")
        ),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "a variable OTEL_… is invalid: max_queue_size must be a positive integer."),
    ],
)
def test_variables_that_the_server_cannot_follow_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    Path("soketpy.yaml").write_text("tracing:\n  enabled: true\n")
    for command in (["check-config", "soketpy.yaml"], ["start", "--port", "0", "--config", "soketpy.yaml"]):
        assert main(command) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error == f"soketpy {command[0]}: error: soketpy.yaml:2: tracing.enabled: {problem}"


def test_a_missing_library_is_one_line_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "soketpy.drivers.otel.exporter", raising=False)
    monkeypatch.delattr("soketpy.drivers.otel.exporter", raising=False)
    Path("soketpy.yaml").write_text("tracing: {enabled: true}\n")
    assert main(["check-config", "soketpy.yaml"]) == 2
    assert "tracing.enabled: traces need the library opentelemetry" in (error := capsys.readouterr().err)
    assert error.endswith(": pip install 'soketpy[otel]'\n")
