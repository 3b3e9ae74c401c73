"""Requests for third-party platforms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.token_refresh.handler import lambda_handler
from tests.fakes import FakeContext, Service
from tests.fakes.platform import refused
from tests.unit.core.platform.world import SHOP, World
from wechat_notify.bootstrap import token_refresh
from wechat_notify.core.outcomes import outcome_from_dict
from wechat_notify.core.platform.ports import Merchant
from wechat_notify.telemetry import InvocationError

AUTHORIZE: dict[str, Any] = {
    "component": "platform",
    "request": "authorize",
    "account": SHOP,
    "app_id": SHOP,
    "authorization_code": "code",
    "at": 100,
}
REVOKE = {"component": "platform", "request": "revoke", "account": SHOP, "app_id": SHOP, "at": 200}
CODE = {"component": "platform", "request": "pre_auth_code"}


@pytest.fixture
def world(service: Service, monkeypatch: pytest.MonkeyPatch) -> World:
    """In the place of the service's own parts; its telemetry stays."""
    del service
    world = World()
    world.wechat.authorize(SHOP, "code")
    monkeypatch.setattr(token_refresh, "authorizations", lambda: world.authorizations)
    return world


def ask(event: dict[str, Any]) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(json.dumps(lambda_handler(event, FakeContext())))
    return answered


def test_merchant_comes_and_goes(world: World, service: Service) -> None:
    assert [ask(event) for event in (AUTHORIZE, AUTHORIZE, REVOKE)] == [
        {"result": "authorized"},
        {"result": "unchanged"},
        {"result": "revoked"},
    ]
    assert world.store.refresh_tokens == {}
    lines = service.lines("invocation finished")
    assert [(line["request"], line["account"]) for line in lines][-1] == ("revoke", SHOP)


@pytest.mark.usefixtures("world")
def test_code_of_a_page() -> None:
    answered = ask(CODE)
    assert answered == {
        "result": "pre_auth_code",
        "app_id": "wxplatform",
        "pre_auth_code": "code-2",
        "expires_in": 1800.0,
    }


def test_release_test_is_answered(world: World) -> None:
    request = {"request": "release_test", "account": SHOP, "authorization_code": "code", "openid": "openid"}
    assert ask({"component": "platform", **request}) == {"result": "sent"}
    assert len(world.wechat.texts) == 1


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"component": "nobody"}, "unknown_account"),
        ({"account": "shop"}, "account_taken"),
        ({"component": "Platform"}, "bad_request"),
        ({"request": "delete"}, "bad_request"),
        ({"at": "now"}, "bad_request"),
        ({"authorization_code": ""}, "bad_request"),
        ({"more": 1}, "bad_request"),
    ],
)
def test_refused_requests(world: World, change: dict[str, Any], result: str) -> None:
    world.store.merchants["shop"] = Merchant("shop", SHOP, "another")
    assert ask({**AUTHORIZE, **change})["result"] == result
    assert world.wechat.calls == []


def test_failure_is_told(world: World) -> None:
    """The codes of pages and merchants are secrets."""
    answered = ask({**AUTHORIZE, "authorization_code": "expired"})
    assert answered["result"] == "failed"
    assert "authorize" in outcome_from_dict(answered["failure"]).hint.en
    world.wechat.refuse_ticket = 61005
    world.wechat.component_token_now = ""
    assert outcome_from_dict(ask(CODE)["failure"]).errcode == refused(61005).outcome.errcode


def test_no_code_is_seen(world: World, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    world.wechat.authorize(SHOP, "a-code-for-once")
    ask({**AUTHORIZE, "authorization_code": "a-code-for-once"})
    ask({**AUTHORIZE, "authorization_code": {"a-code-for-once": 1}})
    assert world.works()
    seen = service.log.getvalue() + capsys.readouterr().out
    assert len(service.lines()) == 2
    hidden = ("a-code-for-once", "access-", "refresh-", "component-1")
    assert [secret for secret in hidden if secret in seen] == []


def test_store_that_does_not_answer(world: World) -> None:
    world.store.failing = {"save_refresh_token"}
    with pytest.raises(InvocationError, match=r"^StorageError$"):
        ask(AUTHORIZE)
