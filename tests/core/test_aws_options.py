"""The options of AWS clients: the names of the AWS SDK, regions, and secrets that no text shows."""

import pytest

from soketpy.core.aws_options import AwsOptions, region_of, sdk_options
from soketpy.core.fields import FieldError


@pytest.mark.parametrize(
    "given",
    [
        {"credentials": {"accessKeyId": "a-key", "secretAccessKey": "a-secret", "sessionToken": "a-token"}},
        {"accessKeyId": "a-key", "secretAccessKey": "a-secret", "sessionToken": "a-token"},
        {"access_key_id": "a-key", "secret_access_key": "a-secret", "session_token": "a-token"},
    ],
)
def test_credentials_may_have_the_names_of_the_sdk_or_ours(given: dict[str, object]) -> None:
    read = sdk_options({"region": "eu-west-1", "endpoint": "http://localhost:4566", **given})
    assert read == AwsOptions(
        region="eu-west-1",
        endpoint="http://localhost:4566",
        access_key_id="a-key",
        secret_access_key="a-secret",
        session_token="a-token",
    )
    assert not any(secret in repr(read) for secret in ("a-key", "a-secret", "a-token"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"maxRetries": 3}, "'maxRetries': soketpy has no such option of a client; it has: region, endpoint, "),
        ({"credentials": ["a-secret"]}, "credentials: must be a table, not a list"),
        ({"credentials": {"secretAccessKey": 5}}, "secretAccessKey: must be text, or null for none, not a number"),
        ({"accessKeyId": "a-secret"}, "accessKeyId: has no effect without secretAccessKey"),
        ({"credentials": {"sessionToken": "a-secret"}}, "sessionToken: has no effect without accessKeyId"),
        ({"region": "Frankfurt"}, "region: must be a region such as eu-central-1, or null for none, not 'Frankfurt'"),
        ({"endpoint": "http://u:a-secret@host"}, "endpoint: must not contain a user or a password"),
    ],
)
def test_a_wrong_option_is_refused_without_showing_secrets(given: dict[str, object], said: str) -> None:
    with pytest.raises(FieldError) as raised:
        sdk_options(given)
    assert str(raised.value).startswith(said)
    assert "a-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "region", "name", "used"),
    [
        (AwsOptions(region="eu-west-1"), "eu-west-2", "arn:aws:lambda:eu-west-3:1:function:f", "eu-west-1"),
        (AwsOptions(), "eu-west-2", "arn:aws:lambda:eu-west-3:1:function:f", "eu-west-2"),
        (AwsOptions(), None, "arn:aws-cn:lambda:cn-north-1:1:function:f", "cn-north-1"),
        (AwsOptions(), None, "https://sqs.ap-south-1.amazonaws.com/1/webhooks.fifo", "ap-south-1"),
        (AwsOptions(), None, "http://127.0.0.1:5000/1/webhooks.fifo", "us-east-1"),
        (AwsOptions(), None, "my-function", "us-east-1"),
    ],
)
def test_the_region_comes_from_options_then_the_name_then_the_default(
    options: AwsOptions, region: str | None, name: str, used: str
) -> None:
    assert region_of(options, region, name) == used
