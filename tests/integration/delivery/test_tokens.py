"""Tokens that are fetched, rejected and replaced on a message's way."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.delivery.conftest import Service, message
from wechat_notify.core.errors import UnknownAccountError
from wechat_notify.core.outcomes import ErrorClass, Status


def test_token_is_fetched_once(service: Service) -> None:
    for _ in range(3):
        assert service.send(message()).posts == 1
    assert service.lambda_service.invoked == [{"account": "shop", "rejected": None}]
    assert service.token_calls() == {"normal": 1}


@pytest.mark.parametrize(("ended", "errcode"), [("revoke", 40001), ("expire", 42001)])
def test_ended_token_is_replaced_once(service: Service, ended: str, errcode: int) -> None:
    service.send(message())
    service.tell(f"tokens/{ended}", app_id="wxapp")
    exchange = service.send(message())
    assert (exchange.outcome.status, exchange.posts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2}
    assert [arrival["errcode"] for arrival in service.arrivals()] == [0, errcode, 0]
    assert service.send(message()).posts == 1


def test_sticky_revoked_token_is_forced_once(service: Service) -> None:
    service.send(message())
    service.tell("tokens/revoke", app_id="wxapp", sticky=True)
    exchange = service.send(message())
    assert (exchange.outcome.status, exchange.posts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2, "forced": 1}
    # Once more within half a minute WeChat would not refresh, so it is not asked to.
    service.tell("tokens/revoke", app_id="wxapp", sticky=True)
    outcome = service.send(message()).outcome
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.TOKEN)
    assert outcome.unjudged
    assert outcome.retryable
    assert outcome.retry_after is not None
    assert 0 < outcome.retry_after <= 40
    assert service.token_calls() == {"normal": 3, "forced": 1}
    assert [arrival["accepted"] for arrival in service.arrivals()] == [True, False, True, False]


def test_concurrent_rejections_cause_one_refresh(service: Service) -> None:
    service.send(message("warm-up"))
    service.tell("tokens/revoke", app_id="wxapp")
    with ThreadPoolExecutor(8) as pool:
        exchanges = list(pool.map(lambda number: service.send(message(f"o{number}")), range(24)))
    assert {exchange.outcome.status for exchange in exchanges} == {Status.SENT}
    assert service.token_calls() == {"normal": 2}
    accepted = [
        json.loads(arrival["body"])["touser"] for arrival in service.arrivals() if arrival["accepted"]
    ]
    assert sorted(accepted) == sorted(["warm-up", *(f"o{number}" for number in range(24))])


def test_an_unknown_account_sends_nothing(service: Service) -> None:
    with pytest.raises(UnknownAccountError):
        service.send(message(), "nobody")
    assert service.arrivals() == []


def test_wrong_credentials_send_nothing(service: Service) -> None:
    service.add_account("wrong", "wxapp", "wrong")
    exchange = service.send(message(), "wrong")
    assert (exchange.outcome.errcode, exchange.outcome.error_class) == (40125, ErrorClass.CONFIG)
    assert exchange.outcome.unjudged
    assert not exchange.outcome.retryable
    assert (exchange.posts, service.arrivals()) == (0, [])
