"""Rows that a database cannot read, and rows that contradict each other: they affect no other app."""

import pytest

from soketpy.core.app_registry import BrokenApp, RegistryUnavailable
from soketpy.core.apps import App, Key
from tests.drivers.sql.conftest import Place

GOOD = [f"{number:02}" for number in range(20)]

VIEW = """
CREATE VIEW apps AS SELECT id, {0}key{0}, CASE WHEN id = '07-bad' THEN
(SELECT other.secret FROM tenants other WHERE other.id <> tenants.id) ELSE secret END AS secret FROM tenants
"""
"""One row of this view needs a subquery that returns more than one row, which is an error."""


def good(app_id: str) -> App:
    return App(id=app_id, keys=(Key(f"key-{app_id}", "s"),))


@pytest.fixture
def faulty(place: Place) -> Place:
    quote = place.server.quote
    place.sql(f"CREATE TABLE tenants (id varchar(255), {quote}key{quote} varchar(255), secret varchar(255))")
    for app_id in (*GOOD, "07-bad"):
        place.insert("tenants", id=app_id, key=f"key-{app_id}", secret="s")
    place.owned(VIEW.format(quote))
    return place


async def test_a_row_that_cannot_be_read_affects_no_other(faulty: Place) -> None:
    registry = await faulty.open()
    every = sorted([*GOOD, "07-bad"])
    for found in (
        await registry.fetch(every, []),
        await registry.fetch([], [f"key-{each}" for each in every]),
        await registry.fetch(every, [f"key-{each}" for each in every]),
        await registry.page(),
    ):
        assert sorted(each.id for each in found) == every
        assert sorted(each.id for each in found if each == good(each.id)) == GOOD
        [bad] = [each for each in found if isinstance(each, BrokenApp)]
        assert bad.keys == ("key-07-bad",)
        assert bad.problem.startswith("the row cannot be read (")


async def test_a_page_with_a_row_that_cannot_be_read_has_its_apps_in_order(faulty: Place) -> None:
    registry = await faulty.open()
    assert [each.id for each in await registry.page("06", 3)] == ["07", "07-bad", "08"]


async def test_a_column_that_is_lost_is_a_fault_of_the_database(place: Place) -> None:
    quote = place.server.quote
    place.owned(f"CREATE TABLE apps (id varchar(9), {quote}key{quote} varchar(9), secret varchar(9))")
    place.insert(id="1", key="k", secret="s")
    registry = await place.open()
    assert len(await registry.fetch(["1"], [])) == 1
    place.sql("ALTER TABLE apps DROP COLUMN secret")
    with pytest.raises(RegistryUnavailable, match="has no column secret"):
        await registry.fetch(["1"], [])


async def test_a_column_with_a_new_type_needs_no_second_lookup(postgres: Place) -> None:
    postgres.owned("CREATE TABLE apps (id varchar(9), key varchar(9), secret varchar(9), max_connections integer)")
    postgres.insert(id="1", key="key-1", secret="s")
    registry = await postgres.open()
    assert await registry.fetch(["1"], []) == [good("1")]
    postgres.sql("ALTER TABLE apps ALTER COLUMN max_connections TYPE bigint")
    assert await registry.fetch(["1"], []) == [good("1")]


async def test_two_rows_with_one_id_are_no_valid_app(place: Place) -> None:
    quote = place.server.quote
    place.owned(f"CREATE TABLE apps (id varchar(9), {quote}key{quote} varchar(9), secret varchar(9))")
    for app_id, key in (("1", "a"), ("1", "b"), ("2", "key-2")):
        place.insert(id=app_id, key=key, secret="s")
    registry = await place.open()
    for found in (
        await registry.fetch(["1", "2"], []),
        await registry.fetch([], ["b", "key-2"]),
        await registry.fetch(["1", "2"], ["a", "key-2"]),
        await registry.page(),
    ):
        broken, other = sorted(found, key=lambda each: each.id)
        assert isinstance(broken, BrokenApp)
        assert broken.problem == "id: several rows have this id"
        assert sorted(broken.keys) == ["a", "b"]
        assert other == good("2")
