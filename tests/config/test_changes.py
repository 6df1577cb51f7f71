"""The difference between two configurations, in words and without values."""

from dataclasses import replace

import pytest

from soketpy import App, Key
from soketpy.config.changes import changes
from soketpy.config.settings import Redis, Settings, Tls

ONE = App(id="one", keys=(Key("one-key", "one-hidden"),))
TWO = App(id="two", keys=(Key("two-key", "two-hidden"),))
THREE = App(id="three", keys=(Key("three-key", "three-hidden"),))
BEFORE = Settings(apps=(ONE, TWO))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (BEFORE, None),
        (replace(BEFORE, sources=("other",), warnings=("other",)), None),
        (replace(BEFORE, apps=(TWO, ONE)), None),
        (replace(BEFORE, apps=(ONE, THREE)), "apps added: three; apps removed: two"),
        (
            replace(BEFORE, apps=(replace(ONE, client_events=True, keys=THREE.keys), TWO)),
            "apps changed: one (keys, client_events)",
        ),
        (
            replace(BEFORE, redis=Redis(password="hidden"), tls=Tls(passphrase="hidden")),
            "settings changed: tls.passphrase, redis.password",
        ),
        (replace(BEFORE, app_defaults={"watchlists": False}), "settings changed: app_defaults.watchlists"),
    ],
)
def test_changes_are_named_without_values(after: Settings, said: str | None) -> None:
    found = changes(BEFORE, after)
    assert (None if found is None else str(found)) == said
    assert "hidden" not in str(said)


def test_a_line_names_ten_apps_and_the_number_of_the_others() -> None:
    many = tuple(App(id=str(number), keys=(Key(f"key-{number}", "s"),)) for number in range(100))
    assert (
        str(changes(Settings(apps=()), Settings(apps=many))) == "apps added: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 90 more"
    )
