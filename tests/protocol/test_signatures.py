"""The signed texts and the check of signatures. The expected values are Pusher's own examples.

Sources: "Generating authentication and authorization strings" and "HTTP API reference" in Pusher's documents.
"""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol import signatures

KEY, SECRET = "278d425bdf160c739803", "7ad3773142a6692b25b8"

PRIVATE_SIGNATURE = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"

SIGNED = [
    pytest.param(
        signatures.channel_text("1234.1234", "private-foobar", None),
        "1234.1234:private-foobar",
        PRIVATE_SIGNATURE,
        id="private channel",
    ),
    # Pusher's page shows this signature beside "Mr. Channels"; it is that of the name which the page used to have.
    pytest.param(
        signatures.channel_text("1234.1234", "presence-foobar", '{"user_id":10,"user_info":{"name":"Mr. Pusher"}}'),
        '1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Pusher"}}',
        "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c",
        id="presence channel",
    ),
    pytest.param(
        signatures.user_text("1234.1234", '{"id":"12345"}'),
        '1234.1234::user::{"id":"12345"}',
        "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba",
        id="user",
    ),
]

BODY = rb'{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}'
BODY_MD5 = "ec365a775a4cd0599faeb73354201b6f"
REST_SIGNATURE = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"


anything = st.text(st.characters(exclude_categories=[]))  # lone surrogates too


@pytest.mark.parametrize(("text", "expected", "signature"), SIGNED)
def test_pushers_examples_are_signed_as_pusher_signs_them(text: str, expected: str, signature: str) -> None:
    assert text == expected
    assert signatures.sign(SECRET, text) == signature
    assert signatures.holds(SECRET, text, signature)


def test_pushers_example_of_a_rest_request_is_signed_as_pusher_signs_it() -> None:
    query = [
        ("auth_key", KEY),
        ("auth_timestamp", "1353088179"),
        ("auth_version", "1.0"),
        ("body_md5", BODY_MD5),
        ("auth_signature", REST_SIGNATURE),
    ]
    assert signatures.body_md5(BODY) == BODY_MD5
    text = signatures.rest_text("POST", "/apps/3/events", query)
    assert text == (
        "POST\n/apps/3/events\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0"
        "&body_md5=ec365a775a4cd0599faeb73354201b6f"
    )
    assert signatures.sign(SECRET, text) == REST_SIGNATURE


def test_a_signed_query_is_that_of_pushers_example() -> None:
    query = signatures.signed_query(KEY, SECRET, "post", "/apps/3/events", BODY, 1353088179)
    assert query == (
        f"auth_key={KEY}&auth_timestamp=1353088179&auth_version=1.0&body_md5={BODY_MD5}&auth_signature={REST_SIGNATURE}"
    )


def test_a_signed_query_without_a_body_has_no_checksum() -> None:
    query = parse_qs(signatures.signed_query(KEY, SECRET, "GET", "/apps/3/channels", b"", 1, {"info": "user_count"}))
    assert "body_md5" not in query
    assert query["info"] == ["user_count"]


def test_a_signed_query_encodes_what_it_signs_decoded() -> None:
    query = signatures.signed_query(KEY, SECRET, "GET", "/", b"", 1, {"filter": "a b&c"})
    assert "filter=a+b%26c" in query
    text = f"GET\n/\nauth_key={KEY}&auth_timestamp=1&auth_version=1.0&filter=a b&c"
    assert parse_qs(query)["auth_signature"] == [signatures.sign(SECRET, text)]


def test_parameters_are_signed_in_the_order_of_their_lower_cased_names() -> None:
    # Pusher's own example of the rule: auth_key=foo&name=Something else.
    text = signatures.rest_text("get", "/x", [("Name", "Something else"), ("auth_key", "foo")])
    assert text == "GET\n/x\nauth_key=foo&name=Something else"


def test_parameters_of_the_same_name_keep_their_order() -> None:
    assert signatures.rest_text("GET", "/", [("a", "2"), ("a", "1")]) == "GET\n/\na=2&a=1"


@pytest.mark.parametrize(
    "signature",
    ["", "0" * 64, PRIVATE_SIGNATURE[:-1], PRIVATE_SIGNATURE + " ", PRIVATE_SIGNATURE.upper(), "ключ", "\ud800", "\0"],
)
def test_a_wrong_signature_does_not_hold(signature: str) -> None:
    assert not signatures.holds(SECRET, "1234.1234:private-foobar", signature)


def test_a_signature_by_another_secret_does_not_hold() -> None:
    assert not signatures.holds(SECRET, "text", signatures.sign("another", "text"))


@given(anything, anything, anything)
def test_whatever_is_signed_or_given_as_a_signature_raises_nothing(secret: str, text: str, signature: str) -> None:
    assert signatures.holds(secret, text, signatures.sign(secret, text))
    assert not signatures.holds(secret, text, signature + "not hexadecimal")


@pytest.mark.parametrize(
    ("auth", "parts"),
    [
        ("key:signature", ("key", "signature")),
        ("key:a:b", ("key", "a:b")),
        ("key", ("key", "")),
        (":signature", ("", "signature")),
        ("", ("", "")),
    ],
)
def test_an_auth_is_a_key_and_a_signature(auth: str, parts: tuple[str, str]) -> None:
    assert signatures.split_auth(auth) == parts
