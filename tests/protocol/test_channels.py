"""Names and kinds of channels."""

import pytest

from soketpy.protocol.channels import PUBLIC, Kind, kind_of, name_fault, user_channel, user_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("news", PUBLIC),
        ("cache-news", Kind(cache=True)),
        ("private-news", Kind(guarded=True)),
        ("private-cache-news", Kind(guarded=True, cache=True)),
        ("private-encrypted-news", Kind(guarded=True, encrypted=True)),
        ("private-encrypted-cache-news", Kind(guarded=True, encrypted=True, cache=True)),
        ("presence-news", Kind(guarded=True, presence=True)),
        ("presence-cache-news", Kind(guarded=True, presence=True, cache=True)),
        ("#server-to-user-1", Kind(user=True)),
        # A prefix counts only where it stands in front, whole and in lower case.
        ("my-private-news", PUBLIC),
        ("private", PUBLIC),
        ("Private-news", PUBLIC),
        ("cache-private-news", Kind(cache=True)),
        ("private-encryptednews", Kind(guarded=True)),
    ],
)
def test_the_prefix_of_a_name_decides_its_kind(name: str, kind: Kind) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["a", "A-z_0=9@,.;", "presence-", "x" * 200, "#server-to-user-1", "#server-to-user-é"])
def test_a_good_name_has_no_fault(name: str) -> None:
    assert name_fault(name, 200) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "The channel name is empty."),
        ("x" * 201, "The channel name is longer than the allowed 200 characters."),
        ("#news", "A channel name that starts with # must be #server-to-user- and a user id."),
        ("#server-to-user-", "A channel name that starts with # must be #server-to-user- and a user id."),
        ("#server-to-user-\n", "A channel name that starts with # must be #server-to-user- and a user id."),
        ("private-#1", "The channel name may hold only letters, digits and _ - = @ , . ;"),
        ("two words", "The channel name may hold only letters, digits and _ - = @ , . ;"),
        ("news\n", "The channel name may hold only letters, digits and _ - = @ , . ;"),
        ("néws", "The channel name may hold only letters, digits and _ - = @ , . ;"),
        ("a/b", "The channel name may hold only letters, digits and _ - = @ , . ;"),
    ],
)
def test_a_bad_name_is_told_its_fault(name: str, fault: str) -> None:
    assert name_fault(name, 200) == fault


def test_the_longest_name_is_a_setting() -> None:
    assert name_fault("x" * 164, 164) is None
    assert name_fault("x" * 165, 164) is not None


def test_the_channel_of_a_user_and_the_user_of_a_channel_are_a_pair() -> None:
    assert user_channel("ada") == "#server-to-user-ada"
    assert user_of(user_channel("ada")) == "ada"
