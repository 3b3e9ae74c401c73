"""The signatures, held to botocore's byte for byte; and where AWS is."""

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest import mock
from urllib.parse import quote

import botocore.session
import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.regions import EndpointResolver
from hypothesis import given, settings
from hypothesis import strategies as st

from wechat_notify.aws import calls
from wechat_notify.aws.calls import Credentials, endpoint_url, sign

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
VALUES = st.text(VISIBLE, min_size=1, max_size=40)
NAMES = st.sampled_from(["content-type", "x-amz-target", "x-amzn-query-mode", "x-amz-abc", "a"])
PARTS = st.text(min_size=1, max_size=20).filter(lambda name: name.strip("."))
PATHS = st.one_of(
    st.just("/"),
    PARTS.map(lambda name: f"/2015-03-31/functions/{quote(name, safe='')}/invocations"),
    PARTS.map(lambda name: f"/prefix/{quote(name, safe='')}/"),
)


def by_botocore(
    keys: BotocoreCredentials, url: str, fields: dict[str, str], body: bytes, **where: Any
) -> Any:
    request = AWSRequest("POST", url, headers=fields, data=body)
    then = dt.datetime.fromtimestamp(where["now"], dt.UTC)
    with mock.patch.object(auth, "get_current_datetime", return_value=then):
        auth.SigV4Auth(keys, where["service"], where["region"]).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@settings(max_examples=500, deadline=None)
@given(
    fields=st.dictionaries(NAMES, VALUES),
    host=st.sampled_from(["dynamodb.cn-north-1.amazonaws.com.cn", "127.0.0.1:4566", "[::1]:8000"]),
    path=PATHS,
    body=st.binary(max_size=200),
    secret=st.text(min_size=1, max_size=40),
    token=st.one_of(st.none(), VALUES),
    now=st.integers(0, 4 * 10**9),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    service=st.sampled_from(sorted(calls._APIS)),
)
def test_a_signature_is_botocores(
    *,
    fields: dict[str, str],
    host: str,
    path: str,
    body: bytes,
    secret: str,
    token: str | None,
    now: int,
    region: str,
    service: str,
) -> None:
    mine = sign(
        Credentials("AKIAEXAMPLE", secret, token),
        service,
        region,
        path=quote(path, safe="/~"),
        fields={**fields, "host": host},
        body=body,
        now=now,
    )
    theirs = by_botocore(
        BotocoreCredentials("AKIAEXAMPLE", secret, token),
        f"http://{host}{path}",
        fields,
        body,
        now=now,
        region=region,
        service=service,
    )
    lines = mine.decode().split("\r\n")
    assert lines.pop() == ""
    assert dict(line.split(": ", 1) for line in lines) == theirs


def test_keys_of_other_days_regions_services_and_secrets_are_others() -> None:
    credentials = Credentials("A", "secret")
    keys = {
        credentials.key(day, region, service)
        for day in ("20260301", "20260302")
        for region in ("eu-central-1", "cn-north-1")
        for service in calls._APIS
    }
    keys.add(Credentials("A", "other").key("20260301", "eu-central-1", "ssm"))
    assert len(keys) == 2 * 2 * 5 + 1
    assert credentials.key("20260301", "cn-north-1", "ssm") in keys


def test_credentials_show_nothing() -> None:
    credentials = Credentials("CANARY-1", "CANARY-2", "CANARY-3")
    assert "CANARY" not in f"{credentials} {credentials!r}"


SESSION = botocore.session.Session()


@pytest.mark.parametrize("service", sorted(calls._APIS))
@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc"])
def test_services_are_where_botocore_finds_them(service: Any, partition: str) -> None:
    resolver = EndpointResolver(SESSION.get_component("data_loader").load_data("endpoints"))
    regions = SESSION.get_available_regions(service, partition)
    assert regions
    for region in regions:
        found: Any = resolver.construct_endpoint(service, region, partition)
        assert f"https://{found['hostname']}" == endpoint_url(service, region)


def test_services_are_spoken_to_as_their_models_say() -> None:
    load: Any = SESSION.get_component("data_loader").load_service_model
    for service, api in calls._APIS.items():
        metadata = load(service, "service-2")["metadata"]
        assert metadata.get("signingName", metadata["endpointPrefix"]) == service
        assert metadata["serviceId"].upper() == api.endpoint
        if service == "lambda":
            assert metadata["protocols"] == ["rest-json"]
            continue
        assert f"{metadata['targetPrefix']}." == api.target
        assert f"application/x-amz-json-{metadata['jsonVersion']}" == api.content_type
        assert ("awsQueryCompatible" in metadata) is (service == "sqs")
