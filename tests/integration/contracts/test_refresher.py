"""The refresher: the fake, and the function behind Lambda's HTTP."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from tests import fakes
from tests.integration.conftest import RefreshLambda
from tests.integration.contracts.samples import ClientsAt
from tests.integration.raw_server import RawServer
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.errors import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.tokens.token import Refresher


class RefresherAt(Protocol):
    refresher: Refresher
    service: fakes.Service

    def make_busy(self) -> None: ...


class FakeRefresherAt:
    def __init__(self) -> None:
        self.service = fakes.Service()
        self.refresher: Refresher = self.service.refresher

    def make_busy(self) -> None:
        self.service.refresher.busy = float("inf")


class LambdaRefresherAt:
    """The same core behind the function's handler, behind the Lambda service's HTTP, behind a call."""

    def __init__(self, service: fakes.Service, function: RefreshLambda, clients: Clients) -> None:
        self.service = service
        self.refresher: Refresher = RefreshFunction(clients, "token-refresh")
        self._function = function

    def make_busy(self) -> None:
        self._function.busy = True


@pytest.fixture(params=["fake", "Lambda"])
def refresher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[RefresherAt]:
    if request.param == "fake":
        yield FakeRefresherAt()
        return
    clients_at: ClientsAt = request.getfixturevalue("clients_at")
    service, function = fakes.Service(), RefreshLambda()
    service.lend(monkeypatch)
    with RawServer(function.script) as server:
        yield LambdaRefresherAt(service, function, clients_at(server.url))


def test_stored_token_is_returned(refresher: RefresherAt) -> None:
    stored = refresher.service.store.tokens["shop"]
    assert refresher.refresher.ask("shop", None) == stored
    assert refresher.refresher.ask("shop", "another digest") == stored
    assert refresher.service.wechat.fetches == []


def test_a_rejected_token_is_replaced(refresher: RefresherAt) -> None:
    stored = refresher.service.store.tokens["shop"]
    refresher.service.wechat.renew("wx-shop")
    replaced = refresher.refresher.ask("shop", stored.digest)
    assert replaced.value != stored.value
    assert refresher.service.store.tokens["shop"] == replaced


def test_an_account_without_credentials_is_unknown(refresher: RefresherAt) -> None:
    with pytest.raises(UnknownAccountError):
        refresher.refresher.ask("nobody", None)


def test_token_failure_comes_through_unchanged(refresher: RefresherAt) -> None:
    refused = fakes.answer(40164, "invalid ip", field="x", retry_after=1.5)
    refresher.service.wechat.refuse_tokens("wx-shop", refused)
    digest = refresher.service.store.tokens["shop"].digest
    with pytest.raises(TokenUnavailableError) as raised:
        refresher.refresher.ask("shop", digest)
    assert raised.value.outcome == refused


def test_a_busy_refresher_says_so(refresher: RefresherAt) -> None:
    refresher.make_busy()
    with pytest.raises(RefresherBusyError):
        refresher.refresher.ask("shop", None)


def test_refresher_without_store_has_failed(refresher: RefresherAt) -> None:
    refresher.service.store.failing["load"] = "ThrottlingException"
    with pytest.raises(StorageError) as raised:
        refresher.refresher.ask("shop", None)
    assert raised.value.code == "FunctionError"
