"""Samples of metrics, read from the text that Prometheus gets."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from soketpy.web.exposition import as_text
from soketpy.web.metrics import Metrics


def text_of(metrics: Metrics) -> str:
    """Return the metrics as Prometheus gets them."""
    return asyncio.run(as_text(metrics.families())).decode()


def sample_value(metrics: Metrics, name: str, labels: dict[str, str]) -> float | None:
    """Return the value of a sample now, or None if there is no such sample."""
    for family in text_string_to_metric_families(text_of(metrics)):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None
