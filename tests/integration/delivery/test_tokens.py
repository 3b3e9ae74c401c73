"""Tokens that are fetched, rejected and replaced on a message's way."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from tests.integration.conftest import PATH
from tests.integration.delivery.conftest import Service, message
from wechat_notify import bootstrap
from wechat_notify.aws.parameters import StoredTokens
from wechat_notify.core.errors import UnknownAccountError
from wechat_notify.core.outcomes import ErrorClass, Status


def test_token_is_fetched_once(service: Service) -> None:
    for _ in range(3):
        assert service.send(message()).attempts == 1
    assert service.lambda_service.invoked == [{"account": "shop", "rejected": None}]
    assert service.token_calls() == {"normal": 1}


@pytest.mark.parametrize(("ended", "errcode"), [("revoke", 40001), ("expire", 42001)])
def test_ended_token_is_replaced_once(service: Service, ended: str, errcode: int) -> None:
    service.send(message())
    service.tell(f"tokens/{ended}", app_id="wxapp")
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2}
    assert [arrival["errcode"] for arrival in service.arrivals()] == [0, errcode, 0]
    assert service.send(message()).attempts == 1


def test_sticky_revoked_token_is_forced_once(service: Service) -> None:
    service.send(message())
    service.tell("tokens/revoke", app_id="wxapp", sticky=True)
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2, "forced": 1}
    # Once more within half a minute WeChat would not refresh, so it is not asked to.
    service.tell("tokens/revoke", app_id="wxapp", sticky=True)
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.outcome.error_class) == (Status.FAILED, ErrorClass.TOKEN)
    assert delivery.outcome.unjudged
    assert delivery.outcome.retryable
    assert delivery.outcome.retry_after is not None
    assert 0 < delivery.outcome.retry_after <= 40
    assert service.token_calls() == {"normal": 3, "forced": 1}
    assert [arrival["accepted"] for arrival in service.arrivals()] == [True, False, True, False]


def test_token_of_another_account_is_replaced(service: Service) -> None:
    service.tell("apps", app_id="wxother", secret="other-secret")
    service.add_account("other", "wxother", "other-secret")
    service.send(message(), "other")
    others = StoredTokens(bootstrap.aws(), PATH).read("other")
    assert others
    service.put("shop/access-token", json.dumps(asdict(others)))
    service.tell("tokens/revoke", app_id="wxother")
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert [arrival["app_id"] for arrival in service.arrivals()] == ["wxother", "wxother", "wxapp"]


def test_openid_of_another_account_is_refused(service: Service) -> None:
    service.tell("apps", app_id="wxapp", openids=["oA"])
    delivery = service.send(message("oB"))
    assert (delivery.outcome.errcode, delivery.outcome.error_class) == (40003, ErrorClass.RECIPIENT)
    assert service.send(message("oA")).outcome.status is Status.SENT


def test_account_known_by_token_or_refresher(service: Service) -> None:
    sender = bootstrap.dispatcher()._sender
    assert not sender.has_credentials("nobody")
    assert sender.has_credentials("shop")
    assert service.lambda_service.invoked == [
        {"account": "nobody", "rejected": None},
        {"account": "shop", "rejected": None},
    ]
    assert sender.has_credentials("shop")
    assert len(service.lambda_service.invoked) == 2
    assert service.token_calls() == {"normal": 1}


def test_an_unknown_account_sends_nothing(service: Service) -> None:
    with pytest.raises(UnknownAccountError):
        service.send(message(), "nobody")
    assert service.arrivals() == []


@pytest.mark.parametrize(
    ("app_id", "secret", "errcode"), [("wxapp", "wrong", 40125), ("wxnone", "app-secret", 40013)]
)
def test_wrong_credentials_send_nothing(service: Service, app_id: str, secret: str, errcode: int) -> None:
    service.add_account("wrong", app_id, secret)
    delivery = service.send(message(), "wrong")
    assert (delivery.outcome.errcode, delivery.outcome.error_class) == (errcode, ErrorClass.CONFIG)
    assert delivery.outcome.unjudged
    assert not delivery.outcome.retryable
    assert (delivery.attempts, service.arrivals()) == (0, [])


def test_unreadable_credentials_send_nothing(service: Service) -> None:
    service.put("broken/credentials", "wxapp app-secret")
    outcome = service.send(message(), "broken").outcome
    assert (outcome.error_class, outcome.unjudged) == (ErrorClass.CONFIG, True)
    assert "app-secret" not in repr(outcome)
    assert service.token_calls() == {}


def test_unlisted_ip_address_sends_nothing(service: Service) -> None:
    service.tell("apps", app_id="wxapp", ip_whitelist=["10.0.0.0/8"])
    outcome = service.send(message()).outcome
    assert (outcome.errcode, outcome.error_class, outcome.unjudged) == (40164, ErrorClass.CONFIG, True)
    assert outcome.rid


def test_concurrent_rejections_cause_one_refresh(service: Service) -> None:
    service.send(message("warm-up"))
    service.tell("tokens/revoke", app_id="wxapp")
    with ThreadPoolExecutor(8) as pool:
        deliveries = list(pool.map(lambda number: service.send(message(f"o{number}")), range(24)))
    assert {delivery.outcome.status for delivery in deliveries} == {Status.SENT}
    assert service.token_calls() == {"normal": 2}
    accepted = [
        json.loads(arrival["body"])["touser"] for arrival in service.arrivals() if arrival["accepted"]
    ]
    assert sorted(accepted) == sorted(["warm-up", *(f"o{number}" for number in range(24))])


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_rejected_tokens_end_after_two_attempts(service: Service, errcode: int) -> None:
    """So answers WeChat where the token is good and of the wrong kind of account."""
    delivery = service.send(message(f"errcode-{errcode}"))
    assert (delivery.outcome.errcode, delivery.attempts) == (errcode, 2)
    assert service.token_calls() == {"normal": 2, "forced": 1}


@pytest.mark.parametrize("errcode", [41001, 42002, 42006, 42007])
def test_other_token_errcodes_replace_nothing(service: Service, errcode: int) -> None:
    delivery = service.send(message(f"errcode-{errcode}"))
    assert (delivery.outcome.errcode, delivery.attempts) == (errcode, 1)
    assert service.token_calls() == {"normal": 1}


def test_failed_token_endpoint_sends_nothing(service: Service) -> None:
    service.tell("faults", effect="status", status=502, path="/cgi-bin/stable_token", count=1)
    delivery = service.send(message())
    assert (delivery.outcome.error_class, delivery.attempts) == (ErrorClass.TRANSIENT, 0)
    assert delivery.outcome.retryable
    assert delivery.outcome.unjudged
    assert service.arrivals() == []
