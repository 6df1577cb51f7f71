"""Traces, with the SDK of OpenTelemetry."""
