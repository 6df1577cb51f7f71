"""The bound on the apps with a connection limit that a node counts."""

import pytest

from soketpy.drivers.redis import quotas
from soketpy.drivers.redis.cluster import RedisCluster
from tests.fakes import House

pytestmark = pytest.mark.parametrize("nodes", ["two nodes"], indirect=True)


def test_apps_without_connections_are_forgotten_if_very_many_are_counted(
    nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "MOST_IDLE", 2)
    house = House()
    one, other = (each for each in house._clusters if isinstance(each, RedisCluster))
    apps = [f"app-{number}" for number in range(5)]

    def counted() -> set[str]:
        return {app_id for each in one.partitions for app_id in each.roster._quotas._counts}

    for app_id in apps:
        assert house.ask(one.roster.connect(app_id, 0, 1))
    for app_id in apps[:4]:
        one.roster.disconnect(app_id)
    house.until(lambda: len(counted()) == 2)
    assert apps[4] in counted()
    assert house.ask(one.roster.connect(apps[0], 0, 1))
    assert not house.ask(other.roster.connect(apps[0], 0, 1))
    assert not house.ask(other.roster.connect(apps[4], 0, 1))
    assert house.ask(other.roster.connect(apps[1], 0, 1))
