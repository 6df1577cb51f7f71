"""The counters of traffic, and their form for Prometheus."""

from soketpy.core.traffic import TrafficByApp
from soketpy.web.metrics import Metrics
from tests.web.samples import sample_value, text_of

# soketi's names, as its dashboards ask for them.
COUNTERS = {
    "new_connections_total": 1,
    "new_disconnections_total": 2,
    "ws_messages_received_total": 3,
    "socket_received_bytes": 40,
    "ws_messages_sent_total": 5,
    "socket_transmitted_bytes": 60,
    "http_calls_received_total": 2,
    "http_received_bytes": 30,
    "http_transmitted_bytes": 7,
}


def busy() -> TrafficByApp:
    """Return the traffic of one app, every counter of it different."""
    by_app = TrafficByApp()
    traffic = by_app["app-id"]
    traffic.connections, traffic.disconnections = 1, 2
    for size in (10, 10, 20):
        traffic.received(size)
    traffic.sent(5, 60)
    traffic.answered(10, 3)
    traffic.answered(20, 4)
    return by_app


def test_an_app_has_traffic_as_soon_as_it_is_asked_for() -> None:
    by_app = TrafficByApp()
    assert by_app["app-id"] is by_app["app-id"]
    assert by_app["other"] is not by_app["app-id"]
    assert list(by_app) == ["app-id", "other"]


def test_every_counter_is_shown_under_soketis_name() -> None:
    metrics = Metrics("soketi_", 6001, busy(), lambda app_id: 9)
    labels = {"app_id": "app-id", "port": "6001"}
    found = {name: sample_value(metrics, f"soketi_{name}", labels) for name in COUNTERS}
    assert found == COUNTERS
    assert sample_value(metrics, "soketi_connected", labels) == 9


def test_the_prefix_is_a_setting() -> None:
    metrics = Metrics("mine_", 1, busy(), lambda app_id: 0)
    text = text_of(metrics)
    assert "mine_new_connections_total{" in text
    assert "soketi_" not in text


def test_the_gauge_is_computed_whenever_it_is_asked_for() -> None:
    connected = {"app-id": 3}
    metrics = Metrics("soketi_", 6001, busy(), connected.__getitem__)
    labels = {"app_id": "app-id", "port": "6001"}
    assert sample_value(metrics, "soketi_connected", labels) == 3
    connected["app-id"] = 0
    assert sample_value(metrics, "soketi_connected", labels) == 0


def test_apps_are_told_apart() -> None:
    by_app = busy()
    by_app["other"].connections = 70
    metrics = Metrics("soketi_", 6001, by_app, lambda app_id: len(app_id))
    other = {"app_id": "other", "port": "6001"}
    assert sample_value(metrics, "soketi_new_connections_total", other) == 70
    assert sample_value(metrics, "soketi_connected", other) == 5


def test_every_metric_has_a_help_and_the_type_that_prometheus_expects() -> None:
    metrics = Metrics("soketi_", 6001, busy(), lambda app_id: 0)
    text = text_of(metrics)
    assert "# TYPE soketi_connected gauge" in text
    assert "# TYPE soketi_new_connections_total counter" in text
    assert text.count("# HELP") == len(COUNTERS) + 1
