"""What is sent in the call, and what WeChat says of it."""

from __future__ import annotations

import json
import re

import pytest

from functions.send_api.handler import lambda_handler
from tests.fakes import OPENID, FakeContext, Service, answer, body, break_down, load_event, lost
from tests.unit.functions.send_api.calls import (
    MSGID,
    RESET,
    RID,
    SUBSCRIPTION,
    Json,
    call,
    keyed,
    look,
    post,
)
from wechat_notify import bootstrap
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.settings import MissingSettingError

EVENTS = {
    "send_api/send_subscription": "subscription",
    "send_api/send_one_time_subscription": "one_time_subscription",
    "send_api/mini_program_template": "mini_program_template",
    "send_api/send_mini_program_subscription": "mini_program_subscription",
    "send_api/send_template": "template",
    "send_api/base64_body": "subscription",
}


@pytest.mark.parametrize(("name", "kind"), EVENTS.items())
def test_message_is_sent(service: Service, name: str, kind: str) -> None:
    status, _, content = call(load_event(name))
    assert re.fullmatch("[0-9a-f]{32}", content.pop("id"))
    wechat = {"errcode": 0, "errmsg": "ok", "msgid": MSGID}
    assert (status, content) == (200, {"account": "shop", "kind": kind, "status": "sent", "wechat": wechat})
    ((sent, token),) = service.wechat.attempts
    assert (sent.kind, token) == (kind, "token-1-of-wx-shop")


@pytest.mark.parametrize(
    ("outcome", "wechat"),
    [
        (answer(0), {"errcode": 0, "errmsg": "ok"}),
        (answer(40241, "duplicate"), {"errcode": 40241, "errmsg": "duplicate"}),
    ],
    ids=["no msgid", "a copy that WeChat dropped"],
)
def test_other_answers_of_success(service: Service, outcome: Outcome, wechat: Json) -> None:
    service.wechat.plan.append(outcome)
    response = call(SUBSCRIPTION)
    assert (response.status, response.says, response.content["wechat"]) == (200, "sent", wechat)


def test_warnings_are_given_again(service: Service) -> None:
    content = body(data={"amount1": {"value": "128"}})
    first, again = keyed(content), keyed(content)
    expected = [warning.as_dict() for warning in parse_message(content)[1]]
    assert (first.status, first.content["warnings"], first.content) == (200, expected, again.content)
    assert (len(expected), len(service.wechat.attempts)) == (1, 1)


def test_cloud_call_spelling(service: Service) -> None:
    event = load_event("send_api/cloud_call")
    answers = []
    for key, outcome in (("a", answer(0, msgid=MSGID)), ("b", answer(41030, "invalid page")), ("c", lost())):
        service.wechat.plan.append(outcome)
        event["headers"]["idempotency-key"] = key
        answers += [call(event).content, call(event).content]
    assert len(service.wechat.attempts) == 3
    assert answers[0]["wechat"] == answers[1]["wechat"] == {"errCode": 0, "errMsg": "ok", "msgid": MSGID}
    told = [(content["errCode"], content["errMsg"]) for content in answers[2:]]
    assert told == [(41030, "invalid page")] * 2 + [(None, None)] * 2
    assert not any("errcode" in content for content in answers)


def test_key_is_the_id(service: Service) -> None:
    event = load_event("send_api/idempotency_key")
    first, again = call(event), call(event)
    assert (first.status, first.content["id"], first.replayed) == (200, "order-20260301", False)
    assert service.ledger_store.entries.keys() == {("shop", "order-20260301")}
    assert again == (200, {**first.headers, "Idempotent-Replayed": "true"}, first.content)
    assert first.content["wechat"]["msgid"] == MSGID > 2**53
    assert len(service.wechat.attempts) == 1


# ---------------------------------------------------------------- not sent

# errcode: the status, Retry-After.
REFUSED = {
    -1: (503, "2"),
    40001: (502, "60"),
    40003: (422, None),
    43107: (502, None),
    43108: (429, "1"),
    45009: (429, str(RESET)),
}


@pytest.mark.parametrize(("errcode", "expected"), REFUSED.items())
def test_refused_by_wechat(service: Service, errcode: int, expected: tuple[int, str | None]) -> None:
    outcome = answer(errcode, "WeChat's own words")
    service.wechat.plan.extend([outcome] * 2)
    response = call(SUBSCRIPTION)
    assert (response.status, response.retry_after, response.says) == (*expected, "not-sent")
    content = response.content
    assert (content["errcode"], content["errmsg"], content["rid"]) == (errcode, "WeChat's own words", RID)
    assert content["class"] == outcome.error_class.value
    assert content["retryable"] is (expected[1] is not None)
    assert content["hint"] == outcome.hint.as_dict()
    assert (content["account"], content["kind"]) == ("shop", "subscription")


def test_refusal_that_may_be_mistaken(service: Service) -> None:
    """WeChat answers 40037 wrongly now and then: its caller may repeat the message."""
    service.wechat.plan.append(answer(40037))
    response = call(SUBSCRIPTION)
    assert (response.status, response.says) == (422, "not-sent")
    assert response.retry_after is not None


def test_field_that_wechat_names(service: Service) -> None:
    service.wechat.plan.append(answer(47003, "argument invalid! data.thing1.value invalid", field="thing1"))
    first, again = keyed(), keyed()
    assert first.content == again.content
    assert (again.status, again.content["field"], again.replayed) == (422, "data.thing1.value", True)


def test_no_token(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    for _ in range(2):  # the second is held
        response = keyed()
        assert (response.status, response.retry_after, response.content["retryable"]) == (502, "300", True)
        assert (response.content["class"], response.content["errcode"]) == ("config", 40164)
    assert service.wechat.attempts == []


@pytest.mark.parametrize(
    ("content", "with_key", "repeatable"),
    [(body("template"), True, True), (body(), True, False), (body("template"), False, False)],
)
def test_lost_answer(service: Service, *, content: object, with_key: bool, repeatable: bool) -> None:
    """Without a key a repeat has another id, and is another message to everybody."""
    service.wechat.plan.append(lost())
    response = keyed(content) if with_key else post(content)
    assert (response.status, response.says, response.content["class"]) == (504, "outcome-unknown", "unknown")
    assert (response.content["errcode"], response.content["retryable"]) == (None, repeatable)
    assert (response.retry_after is not None) == repeatable
    assert ("under the same id" in response.content["hint"]["en"]) == repeatable
    assert ("请使用相同的 id 重发" in response.content["hint"]["zh"]) == repeatable
    assert len(service.wechat.attempts) == 1


def test_expired_message(service: Service) -> None:
    content = body(expires_at="2026-03-01T15:04:05+08:00")  # this very second
    for again in (False, True):
        response = keyed(content)
        assert (response.status, response.says, response.replayed) == (410, "expired", again)
        assert (response.content["class"], response.content["retryable"]) == ("request", False)
    assert service.wechat.attempts == []


def test_message_that_expires_later(service: Service) -> None:
    assert keyed(body(expires_at="2026-03-01T15:04:06+08:00")).status == 200
    assert len(service.wechat.accepted) == 1
    assert look().content["expires_at"] == "2026-03-01T07:04:06.000Z"


# ---------------------------------------------------------------- unforeseen


def test_unforeseen_failure(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.sender, "send", break_down)
    response = call(SUBSCRIPTION)
    assert (response.status, response.says, response.content["retryable"]) == (500, "internal-error", False)
    (line,) = service.lines()
    assert (line["level"], line["error"]) == ("ERROR", "RuntimeError")
    assert OPENID not in json.dumps(response) + service.log.getvalue()


@pytest.mark.usefixtures("service")
def test_event_of_another_shape() -> None:
    assert lambda_handler({}, FakeContext())["statusCode"] == 500


def test_hash_key_that_cannot_be_read(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is told to try again, and nothing was sent."""

    def fail() -> None:
        raise StorageError("read the openid hash key", "ReadTimeout")

    monkeypatch.setattr(service.hash_keys, "load", fail)
    assert call(SUBSCRIPTION).status == 503
    assert service.wechat.attempts == []
    assert len(service.lines("message put off")) == 1


def test_missing_hash_key(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed before the message is sent."""

    def missing() -> None:
        raise MissingSettingError("OPENID_HASH_SECRET")

    monkeypatch.setattr(bootstrap, "openid_hasher", missing)
    assert call(SUBSCRIPTION).status == 500
    assert service.wechat.attempts == []
