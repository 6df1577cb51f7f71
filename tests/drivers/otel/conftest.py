"""A collector for traces, and servers that export to it at once."""

from collections.abc import AsyncIterator

import pytest

from tests.collector import Collector, collecting


@pytest.fixture(autouse=True)
def exports_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector
