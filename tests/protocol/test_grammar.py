"""JSON that msgspec does not accept but the grammar allows is accepted; other text is refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol import grammar

DEEP = 20_000
TOO_DEEP = 1_000_000
"""More than any Python decodes. Since Python 3.14 the limit is the size of the stack."""

VALID = [
    r'"\ud83d"',
    r'"\udc00"',
    r'"\ud83d\ude00"',
    r'"\ud83dx"',
    r'"\udc00\ud83d"',
    r'{"\ud83d":1}',
    r'["\u0000\/\b\f\n\r\t\"\\"]',
    "1e999",
    "-1e-999",
    "9" * 200,
    "9" * 5_000,
    "-0",
    "0.0e-0",
    "1E+5",
    " \t\n\r[ 1 , {} ] ",
    '{"a":1,"a":2}',
    '{"":null}',
    '{"a":[{"b":[]}],"c":{}}',
    "true",
    "null",
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    '[[],[{"a":' * DEEP + "1" + "}]]" * DEEP,
]

INVALID = [
    "",
    " ",
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "-",
    "1.",
    ".5",
    "+1",
    "1e",
    "0x1",
    "1 1",
    "tru",
    '"\n"',
    '"\x00"',
    r'"\x"',
    r'"\u12"',
    r'"\U0041"',
    '"',
    "'a'",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1]]",
    "[1}",
    '{"a":1,}',
    '{"a" 1}',
    "{a:1}",
    "{1:1}",
    '{"a":1 "b":2}',
    '{"a":}',
    "{,}",
    "/**/1",
    "\ufeff1",
    "\u00a01",
    "[" * DEEP,
    "[" * DEEP + "}" * DEEP,
    '{"a":' * DEEP + "}" * DEEP,
]


class Opaque(msgspec.Struct):
    """Something with a payload."""

    data: msgspec.Raw
    name: str = ""


def readable(text: str) -> bool:
    """Return whether the text is accepted as a payload, which must be unchanged."""
    whole = f'{{"data":{text}}}'
    try:
        assert bytes(grammar.read(whole.encode(), Opaque).data).decode() == text.strip(" \t\n\r")
        grammar.check(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", VALID, ids=lambda text: text[:20])
def test_what_the_grammar_allows_is_read_and_not_touched(text: str) -> None:
    assert readable(text)
    assert grammar.is_json(text.encode())


@pytest.mark.parametrize("text", INVALID, ids=lambda text: text[:20])
def test_what_the_grammar_forbids_is_refused(text: str) -> None:
    assert not readable(text)
    assert not grammar.is_json(text.encode())
    with pytest.raises(ValueError, match=r"\w"):
        grammar.check(text)


def test_a_text_that_is_not_utf_8_is_no_json() -> None:
    assert not grammar.is_json(b'"\xff"')


def _forbidden(name: str) -> None:
    raise ValueError(name)


@given(st.text(st.sampled_from('{}[],:"\\u0d8e1.-+ \n\x00é'), max_size=12))
def test_any_text_is_judged_as_pythons_own_reader_judges_it(text: str) -> None:
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_forbidden)
        valid = True
    except ValueError:
        valid = False
    try:
        grammar.check(text)
        assert valid
    except ValueError:
        assert not valid


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_a_payload_that_msgspec_takes_is_the_same_to_both(value: Any, escaped: bool, indent: int | None) -> None:
    text = json.dumps({"data": value, "name": "\ud83d" if escaped else "é"}, ensure_ascii=escaped, indent=indent)
    found = grammar.read(text.encode(), Opaque)
    assert json.loads(bytes(found.data)) == value
    compact = grammar.compact(bytes(found.data))
    assert compact == json.dumps(value, ensure_ascii=escaped, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"data":"\\ud83d"', "it is truncated"),
        ('{"data":"\\ud83d",}', "invalid character or value (byte 17)"),
        ('["\\ud83d"]', "it is not an object"),
        ('{"data":NaN}', "invalid character or value (byte 8)"),
    ],
)
def test_the_reason_is_the_true_one(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        grammar.read(text.encode(), Opaque)
    assert str(refused.value) == reason


def test_a_field_that_is_nested_too_deeply_is_refused_with_that_reason() -> None:
    class Named(msgspec.Struct):
        names: list[str]

    text = '{"names":' + "[" * TOO_DEEP + "]" * TOO_DEEP + ',"more":"\\ud83d"}'
    with pytest.raises(ValueError, match="nested too deeply"):
        grammar.read(text.encode(), Named)


@pytest.mark.parametrize("text", ['{"name":"\\ud83d"}', '{"data":"\\ud83d","name":5}'])
def test_a_field_that_is_missing_or_of_another_type_is_named(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"`data`|name"):
        grammar.read(text.encode(), Opaque)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("[]", []),
        (" [ ] ", []),
        ('[1, "a,]" ,[2,3],{"a":[4]}]', ["1", '"a,]"', "[2,3]", '{"a":[4]}']),
        (r'["\ud83d"]', [r'"\ud83d"']),
    ],
)
def test_the_elements_of_an_array_are_the_texts_between_its_commas(text: str, elements: list[str]) -> None:
    assert list(grammar.elements(text)) == elements


@pytest.mark.parametrize("text", ["{}", "5", "", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[1] x"])
def test_what_is_no_array_has_no_elements(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        list(grammar.elements(text))


def test_a_field_that_nobody_knows_is_left_out() -> None:
    found = grammar.read(b'{"more":[1],"data":1,"name":"a"}', Opaque)
    assert (bytes(found.data), found.name) == (b"1", "a")


# A text, and how many bytes its value has: a string those of its characters, any other value those of its text as
# JavaScript writes it.
SIZES = [
    (' "a" ', 1),
    ('"あ"', 3),
    (r'"\u3042"', 3),
    (r'"\u0041"', 1),
    (r'"\/"', 1),
    (r'"\u000a\n"', 2),
    (r'"\u0000"', 1),
    (r'"\u0022\u005c"', 2),
    (r'"\ud83d\ude00"', 4),
    (r'"\ud83d"', 3),
    (r'"\ud83d\u3042"', 6),
    (r'"\u3042\ud83d\/"', 7),
    ('["あ"]', 7),
    (r'["\u3042"]', 7),
    (r'["\u0041"]', 5),
    (r'["\/"]', 5),
    (r'["\u000a\n"]', 8),
    (r'["\u0000"]', 10),
    (r'["\u0022\u005c"]', 8),
    (r'["\ud83d"]', 10),
    (r'["\ud83d\u3042"]', 13),
    (r'["\u3042\ud83d\/"]', 14),
    (r'["\ud83d\ude00","\ud83d"]', 17),
    ('{ "a" : [ 1 , 2.0 ] }', 11),
    ("[1e3,2E0]", 8),
    ('{"a":1,"a":1}', 7),
    ("9" * 5_000, 5_000),
    ("[" * DEEP + "]" * DEEP, 2 * DEEP),
]


@pytest.mark.parametrize(("text", "size"), SIZES, ids=lambda part: str(part)[:20])
def test_the_size_is_that_of_the_value_and_not_of_its_spelling(text: str, size: int) -> None:
    assert grammar.size(text.encode()) == size


@given(json_values)
def test_every_spelling_of_a_value_has_one_size(value: Any) -> None:
    short = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    long = json.dumps(value, indent=4).replace("/", r"\/").encode()
    assert grammar.size(long) == grammar.size(short)


def test_many_members_of_one_name_do_not_hide_their_size() -> None:
    text = "{" + ",".join(['"a":1'] * 1_000) + "}"
    assert grammar.size(text.encode()) == len(text)
