"""The metrics of webhooks, and their sum over processes."""

import pickle
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from soketpy.config import settings as config
from soketpy.core.webhook_traffic import LATENCIES, WebhookTraffic, WebhookTrafficByHost
from soketpy.core.webhooks import Webhook
from soketpy.process.counting import Report, Totals
from soketpy.web.metrics import Metrics
from tests.conftest import StartServer, until
from tests.fakes import APP
from tests.receiver import answer_with, receiving
from tests.web.samples import sample_value
from tests.web.test_metrics import OPEN, ask

KEY = ("app-id", "example.com")


def busy(scale: int = 1) -> WebhookTraffic:
    """Return counters of which each is different."""
    sent, failed, retried, dead, dropped = (each * scale for each in (1, 2, 3, 4, 5))
    traffic = WebhookTraffic(sent, failed, retried, dead, dropped, queued=6 * scale, oldest=7.0 * scale)
    for seconds in (0.005, 0.01, 0.02, 60.0):
        traffic.requested(seconds * scale)
    return traffic


def metrics_of(traffic: WebhookTrafficByHost) -> Metrics:
    return Metrics("soketi_", 6001, {}, lambda app_id: 0, webhooks=lambda: traffic)


def test_every_counter_has_the_app_and_the_host() -> None:
    metrics = metrics_of(WebhookTrafficByHost({KEY: busy()}))
    labels = {"app_id": "app-id", "host": "example.com", "port": "6001"}
    names = ("sent_total", "failed_total", "retried_total", "dead_total", "dropped_total", "queued", "oldest_seconds")
    found = [sample_value(metrics, f"soketpy_webhook_{name}", labels) for name in names]
    assert found == [1, 2, 3, 4, 5, 6, 7]


def test_durations_are_a_histogram() -> None:
    metrics = metrics_of(WebhookTrafficByHost({KEY: busy()}))
    labels = {"app_id": "app-id", "host": "example.com", "port": "6001"}
    name = "soketpy_webhook_request_seconds"
    bounds = ("0.01", "0.025", "10", "+Inf")
    found = [sample_value(metrics, f"{name}_bucket", {**labels, "le": bound}) for bound in bounds]
    assert found == [2, 3, 3, 4]
    assert sample_value(metrics, f"{name}_count", labels) == 4
    assert sample_value(metrics, f"{name}_sum", labels) == 60.035


def test_the_counters_of_processes_are_added_and_those_of_an_ended_one_stay() -> None:
    totals = Totals(lambda: 0.0)
    ended, running, idle = totals.open(), totals.open(), totals.open()
    totals.add(idle, Report())
    for worker, traffic in ((ended, busy()), (running, busy(10))):
        totals.add(worker, pickle.loads(pickle.dumps(Report(webhooks={KEY: traffic}))))
    totals.close(ended)
    total = totals.webhooks()[KEY]
    assert (total.sent, total.failed, total.retried, total.dead, total.dropped) == (11, 22, 33, 44, 55)
    assert (total.queued, total.oldest) == (60, 70)
    assert sum(total.latencies) == 8
    assert len(total.latencies) == len(LATENCIES) + 1


async def test_a_server_shows_the_webhooks_that_it_sends(start_server: StartServer) -> None:
    async with receiving() as receiver:
        receiver.answer = answer_with(500, 410, 200)
        webhook = Webhook(url=receiver.url("/s3cret?token=s3cret"), event_types=("channel_occupied",))
        peers = await start_server(metrics=OPEN, apps=(replace(APP, webhooks=(webhook,)),))
        client = await peers.client()
        await client.subscribe("one")
        await receiver.wait_for(2)
        await client.subscribe("two")
        await receiver.wait_for(3)

        async def metrics() -> dict[str, float]:
            text = (await ask(peers, "/metrics")).text
            assert "s3cret" not in text
            samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
            labels = {"app_id": "app-id", "host": f"127.0.0.1:{receiver.port}", "port": str(peers.port)}
            return {each.name: each.value for each in samples if each.labels == labels}

        async def shown() -> bool:
            found = await metrics()
            return found.get("soketpy_webhook_sent_total") == 1

        await until(shown)
        found = await metrics()
        counters = ("failed_total", "retried_total", "dead_total", "request_seconds_count")
        assert [found[f"soketpy_webhook_{name}"] for name in counters] == [2, 1, 1, 3]


async def test_the_length_of_a_queue_and_the_age_of_its_oldest_delivery_are_shown(start_server: StartServer) -> None:
    async with receiving() as receiver:
        receiver.answer = answer_with(429, Retry_After="3600")
        webhook = Webhook(url=receiver.url(), event_types=("channel_occupied",))
        given = config.Webhooks(queue="memory")
        peers = await start_server(apps=(replace(APP, webhooks=(webhook,)),), webhooks=given)
        client = await peers.client()
        for number in range(30):
            await client.subscribe(f"channel-{number}")
        await receiver.wait_for(1)
        webhooks = peers.server._webhooks
        key = ("app-id", f"127.0.0.1:{receiver.port}")

        async def counted() -> bool:
            await webhooks.statistics.measure([webhooks.queue])  # type: ignore[attr-defined]
            return peers.server.webhook_traffic()[key].queued == 30

        await until(counted)
        assert peers.server.webhook_traffic()[key].oldest > 0
