"""Signed calls against the emulator, which checks the signatures of an IAM user's keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Service
from tests.e2e.test_contracts import EmulatedBusAt, _names, aws
from tests.integration.signed_adapters import break_down, wire
from tests.integration.test_contracts import (  # the tests are run here with the fixtures below
    BusAt,
    DynamoDbLedgerAt,
    LedgerAt,
    QueueAt,
    SqsQueueAt,
    TestBus,
    TestLedgerStore,
    TestQueue,
)
from wechat_notify.aws.ledger import LedgerTable
from wechat_notify.aws.signed import Caller
from wechat_notify.core.outcomes import StorageError

__all__ = ["TestBus", "TestLedgerStore", "TestQueue", "aws"]


def environ(service: Service, **changed: str) -> dict[str, str]:
    return {
        "AWS_REGION": service.client("sqs").meta.region_name,
        "AWS_ENDPOINT_URL": service.client("sqs").meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": service.state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": service.state.secret_access_key,
        **changed,
    }


@pytest.fixture
def caller(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    made = Caller(environ(service))
    wire(monkeypatch, made)
    yield made
    made.close()


class _SignedQueueAt(SqsQueueAt):
    def break_down(self, code: str) -> None:
        break_down(self._monkeypatch, code)


class _SignedLedgerAt(DynamoDbLedgerAt):
    def break_down(self, code: str) -> None:
        break_down(self._monkeypatch, code)


class _SignedBusAt(EmulatedBusAt):
    def break_down(self, code: str) -> None:
        break_down(self._monkeypatch, code)


@pytest.fixture
def queue(aws: Any, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> QueueAt:  # noqa: ARG001
    return _SignedQueueAt(aws, monkeypatch, f"signed-{next(_names)}")


@pytest.fixture
def ledger(service: Service, aws: Any, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> LedgerAt:  # noqa: ARG001
    table = service.stack.deployment.outputs["LedgerTableName"]
    return _SignedLedgerAt(LedgerTable(table, 86_400), f"signed-{next(_names)}", monkeypatch)


@pytest.fixture
def bus(service: Service, aws: Any, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Iterator[BusAt]:  # noqa: ARG001
    built = _SignedBusAt(service, aws, monkeypatch)
    yield built
    built.remove()


def test_the_refresher_is_invoked_and_the_token_is_read(service: Service, caller: Caller) -> None:
    function = service.stack.deployment.outputs["TokenRefreshFunctionName"]
    request = json.dumps({"account": service.state.account, "rejected": None})
    assert json.loads(caller.invoke(function, request, "ask"))["result"] == "token"
    name = f"{service.stack.deployment.outputs['ParameterPath']}/{service.state.account}/access-token"
    found = caller.call("ssm", "GetParameter", "read", Name=name, WithDecryption=True)
    assert json.loads(found["Parameter"]["Value"])["value"]
    with pytest.raises(StorageError, match="ResourceNotFoundException"):
        caller.invoke("no-such-function", request, "ask")
    with pytest.raises(StorageError, match="ParameterNotFound"):
        caller.call("ssm", "GetParameter", "read", Name=name + "s", WithDecryption=True)


@pytest.mark.parametrize("changed", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_a_signature_by_other_keys_is_refused(service: Service, changed: str) -> None:
    other = Caller(environ(service, **{changed: "AKIAOTHERKEYOTHERKEY"}))
    url = service.state.send_queue_url
    codes = []
    calls: list[Callable[[], object]] = [
        lambda: other.call("dynamodb", "GetItem", "do", TableName="t", Key={"pk": {"S": "1"}}),
        lambda: other.call("ssm", "GetParameter", "do", Name="n"),
        lambda: other.call("sqs", "SendMessage", "do", QueueUrl=url, MessageBody="b"),
        lambda: other.call("events", "PutEvents", "do", Entries=[]),
        lambda: other.invoke("f", "{}", "do"),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        codes.append(raised.value.code)
    other.close()
    assert set(codes) <= {
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }, codes
