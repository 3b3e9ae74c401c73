"""The public address of WeChat's callbacks: what it takes, what it refuses, and what it never logs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from functions.callback.handler import lambda_handler
from tests.fakes import OPENID, START, FakeContext, Service
from tests.unit.functions.callback.requests import (
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    RECEIPT,
    TOKEN,
    Request,
    ask,
    counted,
    logged,
)
from wechat_notify.telemetry import InvocationError
from wechat_notify.wechat.callbacks.door import MAX_AGE

Capture = pytest.CaptureFixture[str]
TAKEN = (200, "success")
REFUSED = (403, "refused")


def queued(service: Service) -> list[dict[str, Any]]:
    return [json.loads(body) for body in service.callback_queue.bodies]


@pytest.mark.parametrize("encoded", [False, True])
def test_receipt_is_queued(service: Service, capsys: Capture, *, encoded: bool) -> None:
    assert ask(Request(encoded=encoded).event()) == TAKEN
    (body,) = queued(service)
    assert (body["account"], body["fields"]["MsgID"]) == ("shop", "3045934662186581610")
    assert service.callback_queue.groups == ["shop"]
    assert logged(service)["result"] == "queued"
    assert counted(capsys) == {"CallbacksReceived": 1}


@pytest.mark.parametrize(("signature", "answer"), [(None, (200, "4375120948")), ("0" * 40, REFUSED)])
def test_check_of_the_address(service: Service, signature: str | None, answer: tuple[int, str]) -> None:
    assert ask(Request(signature=signature).check_event()) == answer
    assert queued(service) == []


WITHOUT_CIPHER = "<xml><Encrypt><![CDATA[{}]]></Encrypt></xml>"
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Encrypt>&a;</Encrypt></xml>'


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request(signature="0" * 40), "signature"),
        (Request(signature=""), "signature"),
        (Request(signature="签名"), "signature"),
        (Request(token="guessed"), "signature"),
        (Request(body=WITHOUT_CIPHER.format("AAAA")), "signature"),
        (Request(timestamp=str(int(START - MAX_AGE - 1))), "timestamp"),
        (Request(timestamp=str(int(START + MAX_AGE + 2))), "timestamp"),
        (Request(timestamp=""), "timestamp"),
        (Request(timestamp="-1"), "timestamp"),
        (Request(timestamp="١٧٧٢٣٤٨٦٤٥"), "timestamp"),
        (Request(timestamp="9" * 4300), "timestamp"),
        (Request(app_id="wx-another"), "cipher"),
        (Request(key=OTHER_KEY), "cipher"),
        (Request(account="bank"), "unknown_account"),
        (Request(account="Shop"), "unknown_account"),
        (Request(account="../shop"), "unknown_account"),
        (Request(body=RECEIPT), "not_encrypted"),
        (Request(body=""), "body"),
        (Request(body="<xml>"), "body"),
        (Request(body=BOMB), "body"),
        (Request(body=OUTSIDE), "body"),
        (Request(body=f"<xml>{'a' * 1024 * 1024}</xml>"), "body"),
        (Request(body="<xml>" + "<a>" * 100_000), "body"),
        (Request(body='{"Encrypt": "a", "Encrypt": "b"}'), "body"),
        (Request(body="<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>"), "not_encrypted"),
    ],
)
def test_strangers_are_refused(service: Service, capsys: Capture, request_: Request, reason: str) -> None:
    assert ask(request_.event()) == REFUSED
    assert queued(service) == []
    line = logged(service)
    assert (line["reason"], line["status_code"]) == (reason, 403)
    assert "account" not in line
    assert counted(capsys) == {"CallbacksRefused": 1}


def test_parameter_that_cannot_be_used_is_told_with_its_account(service: Service) -> None:
    """To WeChat it looks as any refusal; the operator who wrote it finds it in the log."""
    service.callback_keys.unusable.add("shop")
    assert ask(Request().event()) == REFUSED
    line = logged(service)
    assert (line["reason"], line["account"]) == ("unusable_keys", "shop")


def test_receipts_that_nobody_matches_are_not_queued(service: Service) -> None:
    service.matches_receipts = False
    assert ask(Request().event()) == TAKEN
    assert queued(service) == []
    assert logged(service)["result"] == "ignored"


@pytest.mark.parametrize(
    "encrypted",
    ["AAAA", "A" * 64, "!!!!", ""],
    ids=["too short", "padding", "not base64", "empty"],
)
def test_signed_nonsense_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch, encrypted: str
) -> None:
    """Whatever the cipher is, the answer is the same: it is no oracle of the padding."""
    monkeypatch.setattr("tests.unit.functions.callback.requests.encrypt", lambda *_: encrypted)
    assert ask(Request().event()) == REFUSED
    assert queued(service) == []


TEXT = RECEIPT.replace("event", "text").replace("<Status>", "<Content>我的地址</Content><Status>")


CONSENT = RECEIPT.replace("TEMPLATESENDJOBFINISH", "subscribe_msg_popup_event").replace(
    "<MsgID>3045934662186581610</MsgID>",
    "<List><TemplateId>T</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>",
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (RECEIPT.replace("TEMPLATESENDJOBFINISH", "subscribe"), "ignored"),
        (RECEIPT.replace("TEMPLATESENDJOBFINISH", "<b>bold</b>"), "ignored"),
        (RECEIPT.replace("TEMPLATESENDJOBFINISH", "pic_weixin").replace("<xml>", "<xml><a/><a/>"), "ignored"),
        (TEXT, "ignored"),
        (RECEIPT.replace(f"<![CDATA[{OPENID}]]>", ""), "unreadable"),
        (RECEIPT.replace("3045934662186581610", "one"), "unreadable"),
        (RECEIPT.replace("<xml>", "<xml><MsgID>1</MsgID>"), "unreadable"),
        (BOMB, "unreadable"),
        ("{}", "ignored"),
        ("[]", "unreadable"),
        ("nonsense", "unreadable"),
    ],
)
def test_rest_is_answered_success(service: Service, capsys: Capture, text: str, result: str) -> None:
    """After failures WeChat would stop pushing for a minute."""
    assert ask(Request(text).event()) == TAKEN
    assert queued(service) == []
    assert logged(service)["result"] == result
    name = "CallbacksUnreadable" if result == "unreadable" else "CallbacksReceived"
    assert counted(capsys) == {name: 1}


@pytest.mark.parametrize(
    "text",
    [
        CONSENT,
        CONSENT.replace("popup", "change").replace("accept", "reject"),
        RECEIPT.replace("TEMPLATESENDJOBFINISH", "unsubscribe"),
        RECEIPT.replace("TEMPLATESENDJOBFINISH", "user_authorization_revoke").replace(
            "<MsgID>3045934662186581610</MsgID>", f"<OpenID>{OPENID}</OpenID>"
        ),
    ],
)
def test_decisions_on_consents_are_queued(service: Service, text: str) -> None:
    assert ask(Request(text).event()) == TAKEN
    assert len(queued(service)) == 1
    assert logged(service)["result"] == "queued"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (RECEIPT.replace("TEMPLATESENDJOBFINISH", "subscribe"), "subscribe"),
        (TEXT, "message_text"),
        (CONSENT.replace("accept", "filter"), "decision_filter"),
        (RECEIPT, None),
    ],
)
def test_name_of_what_is_not_needed_is_logged(service: Service, text: str, name: str | None) -> None:
    ask(Request(text).event())
    assert logged(service).get("ignored") == name


def test_replay_is_taken_once(service: Service) -> None:
    event = Request().event()
    assert [ask(event), ask(event)] == [TAKEN, TAKEN]
    assert len(queued(service)) == 1
    assert [line["result"] for line in service.lines("invocation finished")] == ["queued", "repeated"]


def test_replay_under_another_name(service: Service) -> None:
    """Beside the signature of the body, nobody looks at the other one: whoever changes it sends a replay."""
    event = Request().event()
    forged = {**event["queryStringParameters"], "signature": "0" * 40}
    assert [ask(event), ask({**event, "queryStringParameters": forged})] == [TAKEN, TAKEN]
    assert len(queued(service)) == 1


def test_queue_that_does_not_answer(service: Service) -> None:
    """API Gateway answers 500, WeChat repeats it, and then it is taken."""
    event = Request().event()
    service.callback_queue.failing = "ServiceUnavailable"
    with pytest.raises(InvocationError, match="StorageError"):
        lambda_handler(event, FakeContext())
    service.callback_queue.failing = None
    assert ask(event) == TAKEN
    assert len(queued(service)) == 1


def test_keys_that_cannot_be_read(service: Service) -> None:
    service.callback_keys.failing = "InternalServerError"
    with pytest.raises(InvocationError, match="StorageError"):
        lambda_handler(Request().event(), FakeContext())


def test_compatible_mode_believes_encrypted_part(service: Service) -> None:
    """Beside it anything may stand, such as the photos that somebody has picked."""
    service.callback_keys.store("shop", "wx-shop", (TOKEN, KEY), mode="compatible")
    forged = "<FromUserName>forged</FromUserName><MsgID>1</MsgID><Status>success</Status><a>1</a><a>2</a>"
    assert ask(Request(shown=forged).event()) == TAKEN
    (body,) = queued(service)
    assert (body["fields"]["FromUserName"], body["fields"]["MsgID"]) == (OPENID, "3045934662186581610")


def test_plain_mode(service: Service) -> None:
    service.callback_keys.store("shop", "wx-shop", (TOKEN, None), mode="plain")
    assert ask(Request().plain_event()) == TAKEN
    assert ask(Request(signature="0" * 40, nonce="2").plain_event()) == REFUSED
    assert len(queued(service)) == 1


@pytest.mark.parametrize("given", [(TOKEN, KEY), (OTHER_TOKEN, OTHER_KEY), (OTHER_TOKEN, KEY)])
def test_rotation_takes_both_keys(service: Service, given: tuple[str, str]) -> None:
    """Also the new token with the old EncodingAESKey, while WeChat has changed one of the two."""
    service.callback_keys.store("shop", "wx-shop", (OTHER_TOKEN, OTHER_KEY), (TOKEN, KEY))
    assert ask(Request(token=given[0], key=given[1]).event()) == TAKEN


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_rotation_under_one_token(service: Service, key: str) -> None:
    """WeChat makes another EncodingAESKey, and the token stays."""
    service.callback_keys.store("shop", "wx-shop", (TOKEN, OTHER_KEY), (TOKEN, KEY))
    assert ask(Request(key=key).event()) == TAKEN
    assert len(queued(service)) == 1


def test_new_mode_is_found(service: Service) -> None:
    """Its receipts are neither refused nor taken for events without a name, while the old mode is known."""
    service.callback_keys.store("shop", "wx-shop", (TOKEN, KEY), mode="plain")
    assert ask(Request(nonce="1").plain_event()) == TAKEN
    service.callback_keys.store("shop", "wx-shop", (TOKEN, KEY))
    assert ask(Request(nonce="2").event()) == TAKEN
    service.callback_keys.store("shop", "wx-shop", (TOKEN, KEY), mode="plain")
    assert ask(Request(nonce="3").plain_event()) == TAKEN
    assert len(queued(service)) == 3


def test_encrypted_receipt_in_plain_mode(service: Service) -> None:
    """The parameter has another mode than WeChat: to answer ``success`` would lose each receipt unseen."""
    service.callback_keys.store("shop", "wx-shop", (TOKEN, KEY), mode="plain")
    assert ask(Request().event()) == REFUSED
    assert logged(service)["reason"] == "encrypted"


def test_new_keys_are_found(service: Service) -> None:
    """They were stored when the others were known already."""
    assert ask(Request().event()) == TAKEN
    service.callback_keys.store("shop", "wx-shop", (OTHER_TOKEN, OTHER_KEY))
    assert ask(Request(token=OTHER_TOKEN, key=OTHER_KEY, nonce="2").event()) == TAKEN


def test_nothing_of_it_is_logged(service: Service, capsys: Capture) -> None:
    requests = [Request(), Request(TEXT), Request(signature="0" * 40), Request(RECEIPT.replace("MsgID", "X"))]
    for number, request_ in enumerate(requests):
        ask(replace(request_, nonce=f"nonce-{number}").event())
    service.callback_queue.failing = "ServiceUnavailable"
    with pytest.raises(InvocationError, match="StorageError"):
        lambda_handler(Request(nonce="nonce-9").event(), FakeContext())
    seen = service.log.getvalue() + capsys.readouterr().out
    assert len(service.lines("invocation finished")) >= 4
    for hidden in (OPENID, TOKEN, KEY, "我的地址", "user block", "3045934662186581610", "nonce-", "Encrypt"):
        assert hidden not in seen
