"""The counters of apps."""

from soketpy.core.traffic import TrafficByApp


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
