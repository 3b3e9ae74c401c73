"""The callbacks of a third-party platform and of its merchants."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from functions.callback.handler import lambda_handler
from local.simulator.receipts import sign
from tests.fakes import OPENID, START, FakeContext, Service
from tests.unit.functions.callback.requests import KEY, RECEIPT, TOKEN, Request, logged
from wechat_notify.aws.callback_keys import CallbackKey, CallbackKeys
from wechat_notify.wechat.callbacks.cipher import CallbackCipher

APP_ID = "wxplatform"
MERCHANT = "wx1234567890abcdef"


def event(info: str, **fields: object) -> str:
    told = {"AppId": APP_ID, "CreateTime": int(START), "InfoType": info, **fields}
    return f"<xml>{''.join(f'<{name}><![CDATA[{value}]]></{name}>' for name, value in told.items())}</xml>"


TICKET = event("component_verify_ticket", ComponentVerifyTicket="ticket@1")
AUTHORIZED = event(
    "authorized",
    AuthorizerAppid=MERCHANT,
    AuthorizationCode="code@1",
    AuthorizationCodeExpiredTime=1772352245,
    PreAuthCode="pre@1",
)
UNAUTHORIZED = event("unauthorized", AuthorizerAppid=MERCHANT)
TEXT = (
    f"<xml><ToUserName>gh_1</ToUserName><FromUserName>{OPENID}</FromUserName><CreateTime>1</CreateTime>"
    "<MsgType>text</MsgType><Content>{}</Content><MsgId>1</MsgId></xml>"
)


@pytest.fixture
def service(service: Service) -> Service:
    keys = (CallbackKey(token=TOKEN, encoding_aes_key=KEY),)
    stored = CallbackKeys(app_id=APP_ID, keys=keys, aliases={"wxAliased": "shop"}, release_test=True)
    service.callback_keys.stored["platform"] = stored
    service.callback_keys.stored["live"] = stored.model_copy(update={"release_test": False})
    service.callback_keys.stored["bank"] = stored
    service.callback_keys.platforms = {"platform", "live"}
    return service


def ask(text: str, app_id: str | None = None, component: str = "platform") -> tuple[int, str]:
    """What is answered to an event of the platform, or of the merchant with this appid."""
    called = Request(text, app_id=APP_ID).event()
    called["pathParameters"] = {"component": component, **({"appid": app_id} if app_id else {})}
    called["routeKey"] = "POST /v1/callbacks/components/{component}" + ("/{appid}" if app_id else "")
    response = lambda_handler(called, FakeContext())
    return response["statusCode"], response["body"]


def queued(service: Service) -> list[dict[str, Any]]:
    return [json.loads(body) for body in service.callback_queue.bodies]


@pytest.mark.parametrize("text", [TICKET, AUTHORIZED, AUTHORIZED.replace("</xml>", "<xml>"), UNAUTHORIZED])
def test_events_of_the_platform(service: Service, text: str) -> None:
    """Two of WeChat's own examples end with another opening tag."""
    assert ask(text) == (200, "success")
    (body,) = queued(service)
    assert body["account"] == "platform"
    assert body["fields"]["AppId"] == APP_ID
    assert body.get("merchant") == (None if text == TICKET else MERCHANT)


def test_alias_of_a_merchant(service: Service) -> None:
    ask(UNAUTHORIZED.replace(MERCHANT, "wxAliased"))
    ask(RECEIPT, "wxAliased")
    assert [(body["account"], body.get("merchant")) for body in queued(service)] == [
        ("platform", "shop"),
        ("shop", None),
    ]


def test_receipt_of_a_merchant(service: Service) -> None:
    """Encrypted with the platform's keys and its appid; the message is the merchant's."""
    assert ask(RECEIPT, MERCHANT) == (200, "success")
    (body,) = queued(service)
    assert (body["account"], body["fields"]["Event"]) == (MERCHANT, "TEMPLATESENDJOBFINISH")


@pytest.mark.parametrize(
    ("text", "app_id"),
    [
        (TICKET.replace(APP_ID, "wxanother"), None),
        (AUTHORIZED.replace("code@1", ""), None),
        (UNAUTHORIZED.replace(MERCHANT, "../shop"), None),
        (RECEIPT, "../shop"),
        (RECEIPT, "bank"),  # an account of its own: the keys of no other one speak for it
        (UNAUTHORIZED.replace(MERCHANT, "bank"), None),
        (TICKET, "platform"),
        (UNAUTHORIZED, MERCHANT),
    ],
)
def test_what_makes_no_sense_is_dropped(service: Service, text: str, app_id: str | None) -> None:
    """The ticket of one platform would be stored as that of another, which never had a token again."""
    assert ask(text, app_id) == (200, "success")
    assert (queued(service), logged(service)["result"]) == ([], "unreadable")


def test_keys_of_an_account_open_no_other(service: Service) -> None:
    """The bank's keys sign a receipt for a message of the merchant: only a platform has merchants."""
    assert ask(RECEIPT, MERCHANT, component="bank") == (200, "success")
    assert (queued(service), logged(service)["result"]) == ([], "unreadable")


@pytest.mark.parametrize("component", ["nobody", "Platform"])
def test_platform_of_nobody(service: Service, component: str) -> None:
    assert ask(TICKET, component=component) == (403, "refused")
    assert queued(service) == []


@pytest.mark.parametrize(("text", "app_id"), [(TICKET, None), (UNAUTHORIZED, None), (RECEIPT, "bank")])
def test_platform_in_plain_mode(service: Service, text: str, app_id: str | None) -> None:
    """WeChat encrypts for all platforms; who sees a push in plain mode must not speak for other accounts."""
    service.callback_keys.store("platform", APP_ID, (TOKEN, None), mode="plain")
    called = Request(text).plain_event()
    called["pathParameters"] = {"component": "platform", **({"appid": app_id} if app_id else {})}
    assert lambda_handler(called, FakeContext())["statusCode"] == 403
    assert (queued(service), logged(service)["reason"]) == ([], "not_encrypted")


def test_other_events_of_the_platform(service: Service) -> None:
    assert ask(event("notify_third_fasteregister")) == (200, "success")
    assert queued(service) == []


# ---------------------------------------------------------------- WeChat's release test


def test_text_is_answered(service: Service) -> None:
    status, body = ask(TEXT.format("TESTCOMPONENT_MSG_TYPE_TEXT"), MERCHANT)
    assert (status, queued(service)) == (200, [])
    sealed = {child.tag: child.text or "" for child in fromstring(body)}
    nonce = Request().nonce
    assert sealed["MsgSignature"] == sign(TOKEN, sealed["TimeStamp"], nonce, sealed["Encrypt"])
    answered = fromstring(CallbackCipher(KEY, APP_ID).decrypt(sealed["Encrypt"]))
    told = {child.tag: child.text for child in answered}
    assert told.pop("CreateTime")
    assert told == {
        "ToUserName": OPENID,
        "FromUserName": "gh_1",
        "MsgType": "text",
        "Content": "TESTCOMPONENT_MSG_TYPE_TEXT_callback",
    }


def test_code_is_for_later(service: Service) -> None:
    assert ask(TEXT.format("QUERY_AUTH_CODE:code@1"), MERCHANT) == (200, "")
    asked = {"account": MERCHANT, "code": "code@1", "openid": OPENID}
    assert queued(service) == [{"account": "platform", "fields": {}, "release_test": asked}]


@pytest.mark.parametrize(
    ("content", "component"),
    [("QUERY_AUTH_CODE:code@1", "live"), ("TESTCOMPONENT_MSG_TYPE_TEXT", "live"), ("你好", "platform")],
)
def test_texts_of_people_are_ignored(service: Service, content: str, component: str) -> None:
    assert ask(TEXT.format(content), MERCHANT, component) == (200, "success")
    assert queued(service) == []


def test_secrets_are_not_logged(service: Service) -> None:
    for text in (TICKET, AUTHORIZED):
        ask(text)
    ask(TEXT.format("QUERY_AUTH_CODE:code@2"), MERCHANT)
    seen = service.log.getvalue()
    assert len(service.lines()) == 3
    assert [secret for secret in ("ticket@1", "code@1", "code@2", OPENID) if secret in seen] == []


def test_key_of_another_platform(service: Service) -> None:
    request = replace(Request(TICKET), app_id="wxanother")
    called = {**request.event(), "pathParameters": {"component": "platform"}}
    assert lambda_handler(called, FakeContext())["statusCode"] == 403
    assert queued(service) == []
