"""The rules of an app's fields for data from outside, wherever it comes from: errors name the field."""

import pytest

from soketpy.core.apps import app_fields
from soketpy.core.fields import FieldError

VALUES: list[tuple[str, object, object]] = [
    ("id", "1", "1"),
    ("client_events", True, True),
    ("max_connections", 5, 5),
    ("max_connections", None, None),
    ("max_connections", -1, None),
    ("max_event_payload_in_kb", 5, 5.0),
    ("allowed_origins", ["https://a.com", "b.com"], ("https://a.com", "b.com")),
]
WRONG: list[tuple[str, object, str]] = [
    ("id", "a/b", "id: must be text of A-Z, a-z, 0-9 and -._~!$'()*+,;=@&, and not . or .., not 'a/b'"),
    ("key", "", "key: must not be empty"),
    ("secret", 12345, "secret: must be text, not a number; put it in quotes"),
    ("client_events", 1, "client_events: must be true or false, not 1"),
    ("max_connections", 0, "max_connections: must be a whole number of 1 or more, or null for no limit, not 0"),
    ("max_user_id_length", None, "max_user_id_length: must be a whole number of 1 or more, not null"),
    ("max_event_payload_in_kb", "5", "max_event_payload_in_kb: must be a number above 0, not '5', which is text"),
    ("allowed_origins", "a.com", "allowed_origins: must be a list, not text"),
    ("allowed_origins", ["a.com", "b.com/c"], "allowed_origins[1]: 'b.com/c' matches no origin"),
    ("allowed_origins", [{}], "allowed_origins[0]: must be text, not a table"),
]


@pytest.mark.parametrize(("name", "value", "checked"), VALUES)
def test_a_value_gets_the_type_of_its_field(name: str, value: object, checked: object) -> None:
    found = app_fields()[name].check(value)
    assert (found, type(found)) == (checked, type(checked))


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_an_error_names_the_field(name: str, value: object, said: str) -> None:
    with pytest.raises(FieldError) as caught:
        app_fields()[name].check(value)
    assert str(caught.value).startswith(said)
