"""Requests to the service as they leave this machine."""

import pytest

from wxn.api import http_session
from wxn.stacks import Stack

LAPTOP = {"access_key_id": "AKIA", "secret_access_key": "s", "region": "eu-west-1", "api_url": "http://api"}


@pytest.mark.parametrize(
    ("variables", "verify"),
    [({}, True), ({"AWS_CA_BUNDLE": "/company.pem"}, "/company.pem"), ({"REQUESTS_CA_BUNDLE": "/c"}, "/c")],
)
def test_certificates_are_those_of_boto3(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, verify: str | bool
) -> None:
    """A company's proxy that reads TLS: boto3 reaches AWS through it, and so must the calls of the API."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"AWS_CONFIG_FILE": "/dev/null"} | variables).items():
        monkeypatch.setenv(name, value)
    stack = Stack("fake", region="eu-west-1")
    stack.outputs = {"ApiUrl": "https://api"}

    assert http_session(stack).verify == verify
