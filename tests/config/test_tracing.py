"""The settings of traces: their mistakes, their secrets, and what a reload does with them."""

from pathlib import Path

import pytest

from soketpy import Settings
from soketpy.config import ConfigError, load
from soketpy.config.changes import changed_settings
from soketpy.config.tracing import Tracing


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "endpoint: collector:4317",
            "tracing.endpoint: 'collector:4317' is not an http:// or https:// URL with a host",
        ),
        ("endpoint: 'http://'", "tracing.endpoint: 'http://' is not an http:// or https:// URL with a host"),
        (
            "endpoint: 'https://user:well-hidden@collector'",
            "tracing.endpoint: must not contain a user or a password: use tracing.headers",
        ),
        ("headers: ['Authorization: well-hidden']", "tracing.headers[0]: must be a header as NAME=VALUE, not text"),
        (
            "sample_ratio: 5",
            "tracing.sample_ratio: must be a number from 0 to 1, or null for OTEL_TRACES_SAMPLER, not 5",
        ),
        ("resource: [production]", "tracing.resource[0]: must be an attribute as NAME=VALUE, not 'production'"),
        ("service_name: ''", "tracing.service_name: must not be empty"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_without_a_secret(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"tracing:\n  {text}\n")
    with pytest.raises(ConfigError) as raised:
        load(str(path), {}, {})
    assert str(raised.value) == f"{path}:2: {problem}"


def test_variables_set_lists_too() -> None:
    environ = {"SOKETPY_TRACING_ENABLED": "true", "SOKETPY_TRACING_HEADERS": "one=1,two=2=2"}
    assert load(None, environ, {}).tracing == Tracing(enabled=True, headers=("one=1", "two=2=2"))


def test_no_text_shows_the_headers() -> None:
    assert "well-hidden" not in repr(Settings(tracing=Tracing(headers=("api-key=well-hidden",))))


def test_settings_without_effect_get_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("tracing:\n  sample_ratio: 0.5\n")
    warning = f"{path}:2: tracing.sample_ratio: has no effect while tracing.enabled is false"
    assert load(str(path), {}, {}).warnings == (warning,)


def test_a_reload_says_that_they_wait_for_a_restart() -> None:
    assert changed_settings(Settings(), Settings(tracing=Tracing(enabled=True))) == ["tracing.enabled"]
