"""Signed calls are held to what boto3's are held to, on moto behind a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.conftest import PATH
from tests.integration.raw_server import RawServer
from tests.integration.signed_adapters import break_down, moto_behind, wire
from tests.integration.test_contracts import (  # the tests are run here with the fixtures below
    DynamoDbLedgerAt,
    LedgerAt,
    QueueAt,
    SqsQueueAt,
    SsmStore,
    Store,
    TestLedgerStore,
    TestQueue,
    test_a_store_that_is_down_says_so_with_awss_code,
    test_a_token_alone_makes_no_account,
    test_all_accounts_are_loaded_the_broken_ones_too,
    test_what_is_saved_is_read_and_loaded,
)
from wechat_notify.aws.ledger import LedgerTable
from wechat_notify.aws.signed import Caller

__all__ = [
    "TestLedgerStore",
    "TestQueue",
    "test_a_store_that_is_down_says_so_with_awss_code",
    "test_a_token_alone_makes_no_account",
    "test_all_accounts_are_loaded_the_broken_ones_too",
    "test_what_is_saved_is_read_and_loaded",
]


@pytest.fixture
def signed_aws(aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """An empty AWS, which the adapters call over a socket."""
    with RawServer(moto_behind()) as server:
        caller = Caller(
            {
                "AWS_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_ENDPOINT_URL": server.url,
            }
        )
        wire(monkeypatch, caller)
        yield aws
        caller.close()


class _SignedQueueAt(SqsQueueAt):
    def break_down(self, code: str) -> None:
        break_down(self._monkeypatch, code)


class _SignedLedgerAt(DynamoDbLedgerAt):
    def break_down(self, code: str) -> None:
        break_down(self._monkeypatch, code)


class _SignedStore(SsmStore):
    def break_down(self, code: str) -> None:
        break_down(self._monkeypatch, code)


@pytest.fixture
def queue(signed_aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> QueueAt:
    return _SignedQueueAt(signed_aws, monkeypatch)


@pytest.fixture
def ledger(
    signed_aws: Callable[..., Any],  # noqa: ARG001
    ledger_table: LedgerTable,
    monkeypatch: pytest.MonkeyPatch,
) -> LedgerAt:
    return _SignedLedgerAt(ledger_table, "shop", monkeypatch)


@pytest.fixture
def store(
    signed_aws: Callable[..., Any],  # noqa: ARG001
    put: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Store:
    assert PATH
    return _SignedStore(put, monkeypatch)
