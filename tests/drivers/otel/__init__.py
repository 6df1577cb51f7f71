"""Tests of the tracer on the SDK of OpenTelemetry."""
