"""The counters of apps."""

from soketpy.core.traffic import TrafficByApp
from soketpy.core.webhook_traffic import WebhookTraffic, WebhookTrafficByHost


def test_the_counters_of_an_app_that_is_gone_are_removed_at_the_second_call_without_traffic() -> None:
    traffic = TrafficByApp()
    traffic["gone"].connections = traffic["used"].connections = 1
    traffic.forget_unused(lambda app_id: app_id == "used")
    assert set(traffic) == {"gone", "used"}
    traffic["gone"].received(5)
    traffic.forget_unused(lambda app_id: app_id == "used")
    assert set(traffic) == {"gone", "used"}
    traffic.forget_unused(lambda app_id: app_id == "used")
    assert set(traffic) == {"used"}


def test_an_app_that_was_in_use_in_between_keeps_its_counters() -> None:
    traffic = TrafficByApp()
    traffic["app"].connections = 1
    for in_use in (False, True, False):
        traffic.forget_unused(lambda _, now=in_use: now)  # type: ignore[misc]
    assert set(traffic) == {"app"}


def test_the_counters_of_webhooks_are_removed_at_the_second_call_without_a_queue_and_without_deliveries() -> None:
    traffic = WebhookTrafficByHost()
    hosts = {name: ("app", name) for name in ("gone", "used", "queued", "busy")}
    for host in hosts.values():
        traffic[host].sent = 1
    traffic[hosts["queued"]].queued = 1
    for _ in range(3):
        traffic.forget_unused(lambda app_id, host: host == "used")
        traffic[hosts["busy"]].requested(0.1)
    assert set(traffic) == {hosts[name] for name in ("used", "queued", "busy")}
    traffic[hosts["queued"]] = WebhookTraffic(sent=2)
    for _ in range(2):
        traffic.forget_unused(lambda app_id, host: host == "used")
    assert set(traffic) == {hosts["used"]}
