from __future__ import annotations

import json
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from functions.send_api.handler import lambda_handler
from tests.fakes import (
    ERRCODES,
    OPENID,
    OTHER_OPENID,
    FakeContext,
    Service,
    answer,
    body,
    break_down,
    load_event,
    lost,
    metrics,
    misdirected,
    unreachable,
)
from tests.unit.standings import KEY, OTHER, STANDINGS, bring_about
from wechat_notify import bootstrap
from wechat_notify.core.delivery.batch import Record
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body, queue_body
from wechat_notify.core.messages.intake import MAX_BODY_BYTES
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Bilingual, Outcome
from wechat_notify.settings import MissingSettingError
from wechat_notify.telemetry import Telemetry

BODIES = sorted((Path(__file__).parents[1] / "bodies").glob("*.json"))
SUBSCRIPTION = load_event("send_api/send_subscription")
KEYED = load_event("send_api/idempotency_key")
GET = load_event("send_api/get_message")
DELETE = load_event("send_api/delete_message")
RESET = 8 * 3600 + 55 * 60 + 55 + 120
"""Seconds until midnight in Beijing by the slowest clock."""
MSGID = 1864323726461255680
TIME = re.compile(r"2026-03-01T07:\d\d:\d\d\.\d{3}Z")
CHINESE = re.compile("[\u4e00-\u9fff]")

Answer = dict[str, Any]


def call(event: Answer) -> tuple[int, Answer, Answer]:
    """The status, the headers and the body of the answer to an event."""
    response = lambda_handler(event, FakeContext())
    assert set(response) == {"statusCode", "headers", "body"}
    content = json.loads(response["body"])
    problem = response["statusCode"] >= 400
    expected = "application/problem+json" if problem else "application/json"
    assert response["headers"]["Content-Type"] == expected
    if problem:
        assert content["status"] == response["statusCode"]
        assert content["request_id"] == event["requestContext"]["requestId"]
        assert content["title"]
        assert content["type"].startswith("urn:wechat-notify:problem:")
        assert isinstance(content["retryable"], bool)
        assert content["class"]
        assert content["hint"]["en"] == content["detail"]
        assert CHINESE.search(content["hint"]["zh"])
        assert {"errcode", "errmsg"} <= content.keys() or {"errCode", "errMsg"} <= content.keys()
        assert "rid" in content
    return response["statusCode"], response["headers"], content


def post(content: object, **headers: str) -> tuple[int, Answer, Answer]:
    text = content if isinstance(content, str) else json.dumps(content)
    return call({**SUBSCRIPTION, "headers": {**SUBSCRIPTION["headers"], **headers}, "body": text})


def keyed(content: object = None, key: str = KEY, **headers: str) -> tuple[int, Answer, Answer]:
    """The message ``body()``, or another one, with an ``Idempotency-Key``."""
    return post(body() if content is None else content, **{"idempotency-key": key, **headers})


def look(key: str = KEY, account: str = "shop") -> tuple[int, Answer, Answer]:
    return call({**GET, "pathParameters": {"account": account, "id": key}})


def cancel(key: str = KEY, account: str = "shop") -> tuple[int, Answer, Answer]:
    return call({**DELETE, "pathParameters": {"account": account, "id": key}})


def replayed(headers: Answer) -> bool:
    return bool(headers.get("Idempotent-Replayed") == "true")


def counts(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """What was counted since the last look, under ``service`` alone."""
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.unit == "Count"]
    return dict(Counter({m.name: m.value for m in found if not m.dimensions}))


# ---------------------------------------------------------------- sent


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("send_api/send_subscription", "subscription"),
        ("send_api/send_one_time_subscription", "one_time_subscription"),
        ("send_api/mini_program_template", "mini_program_template"),
        ("send_api/send_mini_program_subscription", "mini_program_subscription"),
        ("send_api/send_template", "template"),
        ("send_api/base64_body", "subscription"),
    ],
)
def test_a_message_is_sent_in_the_call(service: Service, name: str, kind: str) -> None:
    status, _, content = call(load_event(name))
    assert re.fullmatch("[0-9a-f]{32}", content.pop("id"))
    assert (status, content) == (
        200,
        {
            "account": "shop",
            "kind": kind,
            "status": "sent",
            "wechat": {"errcode": 0, "errmsg": "ok", "msgid": 1864323726461255680},
        },
    )
    ((sent, token),) = service.wechat.attempts
    assert (sent.kind, token) == (kind, "token-1-of-wx-shop")


def test_the_base64_body_is_the_same_message(service: Service) -> None:
    call(load_event("send_api/base64_body"))
    call(SUBSCRIPTION)
    assert service.wechat.accepted[0] == service.wechat.accepted[1]


def test_a_cloud_call_is_answered_in_its_own_spelling(service: Service) -> None:
    status, _, content = call(load_event("send_api/cloud_call"))
    assert (status, content["wechat"]) == (
        200,
        {"errCode": 0, "errMsg": "ok", "msgid": 1864323726461255680},
    )
    service.wechat.plan.append(answer(41030, "invalid page"))
    status, _, content = call(load_event("send_api/cloud_call"))
    assert (status, content["errCode"], content["errMsg"]) == (422, 41030, "invalid page")
    assert "errcode" not in content


def test_there_is_a_msgid_only_where_wechat_gave_one(service: Service) -> None:
    service.wechat.plan.append(answer(0))
    assert call(SUBSCRIPTION)[2]["wechat"] == {"errcode": 0, "errmsg": "ok"}


def test_a_copy_that_wechat_dropped_counts_as_sent(service: Service) -> None:
    service.wechat.plan.append(answer(40241, "duplicate"))
    status, _, content = call(SUBSCRIPTION)
    assert (status, content["status"], content["wechat"]["errcode"]) == (200, "sent", 40241)


def test_two_messages_have_two_ids(service: Service) -> None:
    assert call(SUBSCRIPTION)[2]["id"] < call(SUBSCRIPTION)[2]["id"]
    assert len(service.wechat.accepted) == 2


def test_what_is_uncertain_is_sent_with_a_warning(service: Service) -> None:
    status, _, content = post(body(data={"amount1": {"value": "128"}}))
    assert (status, len(service.wechat.accepted)) == (200, 1)
    (warning,) = content["warnings"]
    assert warning["path"] == "data.amount1.value"
    assert CHINESE.search(warning["zh"])


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_the_example_bodies_are_sent_as_they_stand(service: Service, path: Path) -> None:
    assert post(path.read_text(encoding="utf-8"))[0] == 200
    assert len(service.wechat.accepted) == 1


def test_a_rejected_token_is_not_seen_by_the_caller(service: Service) -> None:
    service.wechat.renew("wx-shop")
    assert call(SUBSCRIPTION)[0] == 200
    assert service.wechat.fetches == [("wx-shop", False)]


# ---------------------------------------------------------------- queued


def test_respond_async_puts_the_message_on_the_queue(service: Service) -> None:
    event = load_event("send_api/respond_async")
    status, headers, content = call(event)
    assert (status, content) == (
        202,
        {"id": content["id"], "account": "shop", "kind": "subscription", "status": "queued"},
    )
    assert headers["Location"] == f"/v1/accounts/shop/messages/{content['id']}"
    assert headers["Preference-Applied"] == "respond-async"
    assert service.wechat.attempts == []
    (queued,) = service.queue.bodies
    assert queued.isascii()
    request = parse_queue_body(queued, default_id="m1")
    assert (request.id, request.account, request.message) == (
        content["id"],
        "shop",
        json.loads(event["body"]),
    )


@pytest.mark.parametrize(
    ("prefer", "queued"),
    [
        ("respond-async", True),
        ("wait=10, Respond-Async ; x=1", True),
        ("respond-asynchronously", False),
        ("return=minimal", False),
        ("", False),
    ],
)
def test_only_the_preference_respond_async_queues(service: Service, prefer: str, queued: bool) -> None:  # noqa: FBT001
    assert post(body(), Prefer=prefer)[0] == (202 if queued else 200)
    assert len(service.queue.bodies) == queued


def test_a_number_reaches_the_queue_as_it_would_reach_wechat(service: Service) -> None:
    text = json.dumps(body(data={"number1": {"value": "N"}})).replace('"N"', "1.50e3")
    post(text)
    post(text, prefer="respond-async")
    queued = parse_queue_body(service.queue.bodies[0], default_id="m1")
    sent = service.wechat.accepted[0].model_dump()["data"]
    assert isinstance(queued.message, dict)
    assert queued.message["data"] == sent == {"number1": {"value": "1500"}}


def test_an_invalid_message_is_not_queued(service: Service) -> None:
    assert post(body(data="text"), prefer="respond-async")[0] == 422
    assert service.queue.bodies == []


def test_a_message_for_an_unknown_account_is_not_queued(service: Service) -> None:
    event = load_event("send_api/unknown_account")
    event["headers"]["prefer"] = "respond-async"
    status, _, content = call(event)
    assert (status, content["type"]) == (404, problem("unknown_account"))
    assert service.queue.bodies == []
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"]) == ("unknown_account", event["pathParameters"]["account"])


def test_a_queue_that_does_not_take_the_message_is_told_to_the_caller(service: Service) -> None:
    service.queue.failing = "ServiceUnavailable"
    status, headers, content = call(load_event("send_api/respond_async"))
    assert (status, headers["Retry-After"], content["class"], content["retryable"]) == (
        503,
        "2",
        "transient",
        True,
    )
    assert content["type"] == problem("storage")
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"]) == ("storage", "shop")


def test_a_message_is_queued_where_its_token_ran_out_and_nobody_is_asked_for_another(
    service: Service,
) -> None:
    service.clock.advance(8000)
    assert call(load_event("send_api/respond_async"))[0] == 202
    assert (service.refresher.asked, len(service.queue.bodies)) == ([], 1)


@pytest.mark.parametrize("trouble", ["store", "WeChat"])
def test_a_message_is_queued_where_it_is_not_certain_that_nobody_knows_the_account(
    service: Service, trouble: str
) -> None:
    if trouble == "store":
        service.store.failing = {"read": "ThrottlingException"}
        service.refresher.down = "ServiceException"
    else:
        service.store.tokens.clear()
        service.wechat.refuse_tokens("wx-shop", answer(40164))
    assert call(load_event("send_api/respond_async"))[0] == 202
    assert len(service.queue.bodies) == 1


def test_a_message_is_queued_for_an_account_that_has_no_token_yet(service: Service) -> None:
    service.store.tokens.clear()
    assert call(load_event("send_api/respond_async"))[0] == 202
    assert service.refresher.asked == [("shop", None)]


# ---------------------------------------------------------------- refused at the door


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("send_api/malformed_json", 400, "malformed_body"),
        ("send_api/empty_body", 400, "malformed_body"),
        ("send_api/duplicate_key", 400, "malformed_body"),
        ("send_api/not_a_number", 400, "malformed_body"),
        ("send_api/lone_surrogate", 400, "malformed_body"),
        ("send_api/invalid_message", 422, "invalid_message"),
        ("send_api/unknown_kind", 422, "invalid_message"),
        ("send_api/data_as_text", 422, "invalid_message"),
        ("send_api/control_characters", 422, "invalid_message"),
        ("send_api/form_encoded", 415, "unsupported_media_type"),
        ("send_api/unknown_account", 404, "unknown_account"),
        ("send_api/account_name", 404, "account_name"),
    ],
)
def test_a_bad_request_is_refused_and_nothing_is_sent(
    service: Service, capsys: pytest.CaptureFixture[str], *, name: str, status: int, reason: str
) -> None:
    event = load_event(name)
    given, headers, content = call(event)
    assert (given, content["type"]) == (status, problem(reason))
    assert (content["class"], content["retryable"]) == ("request", False)
    assert "Retry-After" not in headers
    assert service.wechat.attempts == []
    refused, line = service.lines()
    assert (refused["message"], refused["reason"]) == ("message refused", reason)
    account = event["pathParameters"]["account"]
    assert refused.get("account") == (None if name == "send_api/account_name" else account)
    assert (line["message"], line["status_code"]) == ("invocation finished", status)
    counts = [metric.dimensions for metric in metrics(capsys.readouterr().out) if metric.value == 1]
    assert {"reason": reason} in counts
    assert not {OPENID, OTHER_OPENID} & set(re.findall(r"o\w{27}", service.log.getvalue()))


def problem(reason: str) -> str:
    return f"urn:wechat-notify:problem:{reason.replace('_', '-')}"


def test_a_body_that_is_too_large_is_refused_by_its_name(service: Service) -> None:
    status, _, content = post("x" * (MAX_BODY_BYTES + 1))
    assert (status, content["type"]) == (413, problem("body_too_large"))
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"]) == ("body_too_large", "shop")


BY_OPENID: list[tuple[Answer, int]] = [
    (body() | {OPENID: 1}, 422),
    (body(data={OPENID: "text"}), 422),
    (body(data={OPENID: {"value": None}}), 422),
    (body(data={"thing1": {OPENID: "x"}}), 422),
    (body("template", data={OPENID: {"value": "x", "color": "#FF0000"}}), 200),
]


@pytest.mark.parametrize("prefer", ["return=minimal", "respond-async"])
@pytest.mark.parametrize(("message", "status"), BY_OPENID)
def test_an_openid_in_the_place_of_a_field_reaches_no_log(
    service: Service, capsys: pytest.CaptureFixture[str], *, message: Answer, status: int, prefer: str
) -> None:
    given, _, content = post(message, prefer=prefer)
    assert given == (status if status != 200 or prefer != "respond-async" else 202)
    assert OPENID in json.dumps(content)  # whoever sent it is told
    assert len(service.lines()) == 1 + (given == 422)
    assert OPENID not in service.log.getvalue() + capsys.readouterr().out


def test_every_wrong_field_of_a_message_is_named(service: Service) -> None:
    _, _, content = call(load_event("send_api/invalid_message"))
    assert {(error["path"], error["rule"]) for error in content["errors"]} == {
        ("touser", "missing"),
        ("data.thing1.value", "max_length"),
        ("data.thing2", "object"),
        ("colour", "unknown_field"),
    }
    (too_long,) = [error for error in content["errors"] if error["rule"] == "max_length"]
    assert (too_long["limit"], too_long["length"]) == (20, 21)
    assert service.wechat.attempts == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("", 400),
        (" \n", 400),
        ("\ufeff{}", 422),
        ("[" * 60_000, 400),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, 400),
        ("9" * 5000, 400),
        ("-Infinity", 400),
        ("1e9999999999999999999", 400),
        ('{"kind": "\x01"}', 400),
        ('{"kind": "\ud83d"}', 400),
        ("null", 422),
        ("[]", 422),
        ('"text"', 422),
        ("{}", 422),
        (body(kind="template") | {"kind": ["template"]}, 422),
        (body(kind="template") | {"kind": None}, 422),
        (body() | {"touser": 5}, 422),
        (body(touser="o\u0000"), 422),
        (body(data=[]), 422),
        (body(data={"thing1": {"value": None}}), 422),
        (body(data={"thing1": {"value": {"value": {}}}}), 422),
        (body(data={"thing1": {"value": "x" * 60_000}}), 422),
        ("x" * (MAX_BODY_BYTES + 1), 413),
        ("一" * (MAX_BODY_BYTES // 3 + 1), 413),
        ("x" * 10_000_000, 413),
    ],
    ids=lambda value: str(value)[:24],
)
def test_no_body_brings_it_down(service: Service, content: object, status: int) -> None:
    assert post(content)[0] == status
    assert service.wechat.attempts == []


def test_a_body_of_the_largest_size_is_read(service: Service) -> None:
    text = json.dumps(body())
    assert post(text + " " * (MAX_BODY_BYTES - len(text)))[0] == 200
    assert len(service.wechat.accepted) == 1


@pytest.mark.parametrize("account", ["", "Shop", "a/b", "shop ", "shop\n", "é", "..", "a" * 65])
def test_no_account_name_brings_it_down(service: Service, account: str) -> None:
    assert call({**SUBSCRIPTION, "pathParameters": {"account": account}})[0] == 404
    assert service.store.reads == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.shop+json", 200),
        ("text/plain", 415),
        ("application/jsonp", 415),
    ],
)
@pytest.mark.usefixtures("service")
def test_the_content_type_is_json(content_type: str, status: int) -> None:
    event = {**SUBSCRIPTION, "headers": {"Content-Type": content_type}}
    assert call(event)[0] == status


@pytest.mark.usefixtures("service")
def test_a_request_without_a_content_type_is_taken_as_json() -> None:
    assert call({**SUBSCRIPTION, "headers": {}})[0] == 200


# ---------------------------------------------------------------- refused by WeChat

RETRY_AFTER = {45011: "60", 43108: "1", 43117: "60", 45009: str(RESET), -1: "2"}
STATUS = {
    "recipient": 422,
    "request": 422,
    "template": 422,
    "rate_limit": 429,
    "quota": 429,
    "transient": 503,
    "config": 502,
    "permission": 502,
    "banned": 502,
    "deprecated": 502,
    "token": 502,
    "other": 502,
}


@pytest.mark.parametrize("errcode", [code for code in ERRCODES if code not in {0, 40241}])
def test_what_wechat_refuses_is_told_with_its_own_words(service: Service, errcode: int) -> None:
    outcome = answer(errcode, "WeChat's own words")
    service.wechat.plan.extend([outcome] * 2)
    status, headers, content = call(SUBSCRIPTION)
    assert status == STATUS[outcome.error_class.value]
    assert (content["errcode"], content["errmsg"]) == (errcode, "WeChat's own words")
    assert (content["rid"], content["class"]) == ("66695e1c-5d4a8e9f-0b2c3d4e", outcome.error_class.value)
    assert content["retryable"] is (outcome.retryable or errcode in {40037, 45009})  # each in its time
    assert content["detail"] == outcome.hint.en
    assert (content["account"], content["kind"]) == ("shop", "subscription")
    if status in {429, 503}:
        assert headers["Retry-After"] == RETRY_AFTER[errcode]
    assert ("Retry-After" in headers) == content["retryable"]


def test_the_field_that_wechat_names_is_passed_on(service: Service) -> None:
    service.wechat.plan.append(answer(47003, "argument invalid! data.thing1.value invalid", field="thing1"))
    assert call(SUBSCRIPTION)[2]["field"] == "data.thing1.value"


def test_a_lost_answer_is_an_unknown_outcome(service: Service) -> None:
    service.wechat.plan.append(lost())
    status, headers, content = call(SUBSCRIPTION)
    assert (status, content["type"]) == (504, "urn:wechat-notify:problem:outcome-unknown")
    assert (content["class"], content["retryable"], content["errcode"]) == ("unknown", False, None)
    assert "Retry-After" not in headers
    assert len(service.wechat.attempts) == 1


@pytest.mark.parametrize(
    ("outcome", "status", "retry_after"),
    [(unreachable(), 503, "2"), (answer(40164, "invalid ip 198.51.100.7"), 502, "300")],
)
def test_without_a_token_the_caller_hears_why(
    service: Service, outcome: Outcome, status: int, retry_after: str
) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", outcome)
    given, headers, content = call(SUBSCRIPTION)
    assert (given, content["errcode"], content["errmsg"]) == (status, outcome.errcode, outcome.errmsg)
    assert (headers["Retry-After"], content["retryable"]) == (retry_after, True)
    assert service.wechat.attempts == []
    assert {entry.reason for entry in service.ledger_store.entries.values()} <= {"try_again"}


def test_a_page_of_something_in_between_is_no_fault_of_the_callers(service: Service) -> None:
    service.wechat.plan.append(misdirected())
    status, headers, content = call(SUBSCRIPTION)
    assert (status, content["class"], content["retryable"], content["errcode"]) == (
        502,
        "config",
        True,
        None,
    )
    assert headers["Retry-After"] == "300"  # somebody has something to mend first


def test_a_busy_refresher_is_a_reason_to_come_again(service: Service) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    status, headers, content = call(SUBSCRIPTION)
    assert (status, headers["Retry-After"], content["retryable"]) == (503, "2", True)


def test_what_nobody_foresaw_is_answered_with_a_document(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.sender, "send", break_down)
    status, _, content = call(SUBSCRIPTION)
    assert (status, content["retryable"]) == (500, False)
    assert OPENID not in json.dumps(content)
    (line,) = service.lines()
    assert (line["level"], line["error"]) == ("ERROR", "RuntimeError")
    assert OPENID not in service.log.getvalue()


@pytest.mark.usefixtures("service")
def test_an_event_of_another_shape_is_answered_with_a_document() -> None:
    assert lambda_handler({}, FakeContext())["statusCode"] == 500


def test_a_missing_hash_key_is_noticed_before_the_message_is_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingSettingError("OPENID_HASH_KEY")

    monkeypatch.setattr(bootstrap, "openid_hash", missing)
    assert call(SUBSCRIPTION)[0] == 500
    assert service.wechat.attempts == []


# ---------------------------------------------------------------- the same message again


def test_the_key_is_the_id(service: Service) -> None:
    status, headers, content = call(KEYED)
    assert (status, content["id"], replayed(headers)) == (200, "order-20260301", False)
    assert service.ledger_store.entries.keys() == {("shop", "order-20260301")}


def test_the_same_key_and_body_are_one_message_and_the_same_answer(service: Service) -> None:
    status, headers, content = call(KEYED)
    again = call(KEYED)
    assert again == (status, {**headers, "Idempotent-Replayed": "true"}, content)
    assert content["wechat"]["msgid"] == MSGID > 2**53
    assert len(service.wechat.attempts) == 1


def test_a_cloud_call_is_answered_in_its_own_spelling_again(service: Service) -> None:
    event = load_event("send_api/cloud_call")
    event["headers"]["idempotency-key"] = KEY
    first, again = call(event), call(event)
    assert first[2] == again[2]
    assert again[2]["wechat"] == {"errCode": 0, "errMsg": "ok", "msgid": MSGID}
    service.wechat.plan.append(answer(41030, "invalid page"))
    event["headers"]["idempotency-key"] = "another"
    first, again = call(event), call(event)
    assert first[2] == again[2]
    assert (again[2]["errCode"], again[2]["errMsg"], "errcode" in again[2]) == (41030, "invalid page", False)
    assert len(service.wechat.attempts) == 2


def test_the_field_that_wechat_named_is_passed_on_again(service: Service) -> None:
    service.wechat.plan.append(answer(47003, "argument invalid! data.thing1.value invalid", field="thing1"))
    first, again = keyed(), keyed()
    assert first[2] == again[2]
    assert (again[0], again[2]["field"], replayed(again[1])) == (422, "data.thing1.value", True)


def test_warnings_are_given_again(service: Service) -> None:
    content = body(data={"amount1": {"value": "128"}})
    first, again = keyed(content), keyed(content)
    assert first[2] == again[2]
    assert len(again[2]["warnings"]) == len(service.wechat.attempts) == 1


def test_the_order_of_the_fields_and_what_is_wished_make_no_other_message(service: Service) -> None:
    assert keyed()[0] == 200
    turned = dict(reversed(body().items())) | {
        "expires_at": "2026-03-02T00:00:00Z",
        "delivery": "at_least_once",
    }
    status, headers, _ = keyed(turned)
    assert (status, replayed(headers)) == (200, True)
    assert len(service.wechat.attempts) == 1


def test_another_account_may_use_the_same_key(service: Service) -> None:
    service.add_account("bank")
    assert keyed()[0] == 200
    event = {**KEYED, "pathParameters": {"account": "bank"}}
    event["headers"] = {**KEYED["headers"], "idempotency-key": KEY}
    status, headers, content = call(event)
    assert (status, content["account"], replayed(headers)) == (200, "bank", False)
    assert len(service.wechat.attempts) == 2


SENT, QUEUED, LOST = "sent", "queued", "outcome-unknown"
# By standing: the status, what the body says of itself, whether it is said again, messages to WeChat.
SENT_NOW = (200, SENT, False, 1)
OVER_HTTP = {
    "queued": (202, QUEUED, True, 0),
    "sending": (409, "in-flight", False, 0),
    "abandoned": (504, LOST, False, 0),
    "sent": (200, SENT, True, 0),
    "failed": (422, "not-sent", True, 0),
    "try_again": SENT_NOW,
    "unknown": (504, LOST, True, 0),
    "expired": (410, "expired", True, 0),
    "cancelled": (410, "cancelled", True, 0),
    "refused": SENT_NOW,
    "other_body": (422, "idempotency-key-reused", False, 0),
}
RESPOND_ASYNC = {**OVER_HTTP, **dict.fromkeys(("try_again", "refused"), (202, QUEUED, False, 0))}


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize(("prefer", "expected"), [("", OVER_HTTP), ("respond-async", RESPOND_ASYNC)])
def test_a_message_that_was_handed_over_before_is_answered_by_its_entry(
    service: Service, *, standing: str, prefer: str, expected: dict[str, tuple[int, str, bool, int]]
) -> None:
    bring_about(service, standing)
    status, headers, content = keyed(prefer=prefer)
    says = content.get("type", content["status"])
    attempts = len(service.wechat.attempts)
    assert (status, str(says).rpartition(":")[2], replayed(headers), attempts) == expected[standing]
    assert content["id"] == KEY
    assert content["account"] == "shop"
    assert ("Location" in headers) == (status == 202)
    assert ("Retry-After" in headers) == (standing == "sending")
    if status >= 400:
        assert content["retryable"] is (standing == "sending")


def test_a_message_that_was_to_be_tried_again_is_tried_again_in_earnest(service: Service) -> None:
    service.wechat.plan.extend([answer(-1), answer(45011), answer(0, msgid=MSGID)])
    assert [keyed()[0] for _ in range(2)] == [503, 429]
    service.clock.advance(60)
    status, headers, content = keyed()
    assert (status, content["status"], replayed(headers)) == (200, "sent", False)
    assert replayed(keyed()[1])
    assert len(service.wechat.attempts) == 3
    assert look()[2]["attempts"] == 3


def test_an_obedient_caller_may_go_on_for_more_than_half_an_hour(service: Service) -> None:
    service.wechat.plan.extend([answer(-1)] * 30)
    waits: list[int] = []
    for _ in range(30):
        status, headers, content = keyed()
        assert status == 503
        if not content["retryable"]:
            break
        waits.append(int(headers["Retry-After"]))
        service.clock.advance(waits[-1])
    assert sum(waits) > 1800
    assert waits[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert (len(waits), look()[2]["reason"]) == (19, "retries_exhausted")
    assert replayed(keyed()[1])


def test_what_never_left_is_its_callers_to_repeat_for_days(service: Service) -> None:
    for _ in range(100):
        service.wechat.plan.append(unreachable())
        assert keyed()[2]["retryable"]
        service.clock.advance(600)
    assert keyed()[0] == 200


def test_a_lost_answer_is_no_reason_to_send_it_again(service: Service) -> None:
    service.wechat.plan.append(lost())
    first, again = keyed(), keyed()
    assert (first[0], again[0], again[2]["type"]) == (504, 504, "urn:wechat-notify:problem:outcome-unknown")
    assert (again[2]["class"], again[2]["retryable"], replayed(again[1])) == ("unknown", False, True)
    assert len(service.wechat.attempts) == 1


def test_a_lost_answer_is_repeated_where_wechat_drops_the_second_copy(service: Service) -> None:
    service.wechat.plan.append(lost())
    assert keyed(body("template"))[0] == 504
    status, headers, answered = keyed(body("template"))
    assert (status, answered["status"], replayed(headers)) == (200, "sent", False)


def test_a_lost_answer_is_repeated_after_a_while_where_that_was_asked_for(service: Service) -> None:
    content = body(delivery="at_least_once")
    service.wechat.plan.append(lost())
    assert keyed(content)[0] == 504
    service.clock.advance(4)
    status, headers, answered = keyed(content)  # the copy before may just be late
    assert (status, headers["Retry-After"], replayed(headers)) == (504, "6", True)
    assert answered["retryable"] is True
    assert len(service.wechat.attempts) == 1
    service.clock.advance(6)
    status, headers, answered = keyed(content)
    assert (status, answered["status"], replayed(headers)) == (200, "sent", False)
    assert len(service.wechat.attempts) == 2


def test_an_answer_after_a_lost_one_does_not_make_the_lost_one_known(service: Service) -> None:
    content = body(delivery="at_least_once")
    service.wechat.plan.extend([lost(), answer(43101, "user refuse to accept the msg")])
    keyed(content)
    service.clock.advance(10)
    status, _, answered = keyed(content)
    assert len(service.wechat.attempts) == 2
    assert (status, answered["type"], answered["class"]) == (
        504,
        "urn:wechat-notify:problem:outcome-unknown",
        "unknown",
    )


def test_a_caller_hears_of_its_own_attempt_though_its_claim_was_given_up(service: Service) -> None:
    """Two clocks that differ by more than they may, or a function that stalled."""

    def take_over(_message: Message) -> None:
        service.wechat.while_in_flight = lambda _message: None
        service.clock.advance(600)
        look()

    service.wechat.while_in_flight = take_over
    service.wechat.plan.append(answer(47003, "argument invalid"))
    status, headers, content = keyed()
    assert (status, content["errcode"], replayed(headers)) == (422, 47003, False)


def test_an_expired_message_is_gone_and_was_not_sent(service: Service) -> None:
    content = body(expires_at="2026-03-01T15:04:05+08:00")  # this very second
    for again in (False, True):
        status, headers, answered = keyed(content)
        assert (status, answered["type"]) == (410, problem("expired"))
        assert (answered["class"], answered["retryable"], replayed(headers)) == ("request", False, again)
    assert service.wechat.attempts == []
    assert look()[2]["status"] == "expired"


def test_a_message_that_expires_later_is_sent_without_our_own_words(service: Service) -> None:
    assert keyed(body(expires_at="2026-03-01T15:04:06+08:00", delivery="at_most_once"))[0] == 200
    (sent,) = service.wechat.accepted
    assert json.loads(sent.wire()).keys() == {"touser", "template_id", "data"}
    assert look()[2]["expires_at"] == "2026-03-01T07:04:06.000Z"


@pytest.mark.parametrize("wrong", [{"expires_at": "2026-03-01T15:04:05"}, {"delivery": "exactly_once"}])
def test_a_wish_that_is_none_is_refused(service: Service, wrong: Answer) -> None:
    status, _, content = keyed(body() | wrong)
    assert (status, [error["path"] for error in content["errors"]]) == (422, list(wrong))
    assert service.ledger_store.entries == {}


@pytest.mark.parametrize(
    "key", ["", " ", "x" * 65, "two words", "a\tb", "a,b", "订单", "caf\u00e9", "a\x7f", "a\n"]
)
def test_a_key_that_is_none_is_refused(service: Service, key: str) -> None:
    status, headers, content = keyed(key=key)
    assert (status, content["type"]) == (400, problem("invalid_idempotency_key"))
    assert (content["retryable"], "Retry-After" in headers) == (False, False)
    assert service.ledger_store.puts == len(service.wechat.attempts) == 0
    (line,) = service.lines("message refused")
    assert line["reason"] == "invalid_idempotency_key"


@pytest.mark.parametrize("key", ["x", "x" * 64, "!~", "a/b?c#d%2F", "0"])
def test_every_visible_ascii_character_may_be_in_a_key(service: Service, key: str) -> None:
    assert keyed(key=key)[2]["id"] == key
    assert replayed(keyed(key=key)[1])
    assert (look(key)[0], look(key)[2]["id"], len(service.wechat.attempts)) == (200, key, 1)


def test_the_location_leads_to_any_id(service: Service) -> None:
    _, headers, _ = keyed(key="a/b?c#d%2F", prefer="respond-async")
    assert headers["Location"] == "/v1/accounts/shop/messages/a%2Fb%3Fc%23d%252F"
    assert len(service.queue.bodies) == 1


def test_a_request_that_comes_while_the_first_one_is_at_it_is_told_to_wait(service: Service) -> None:
    meanwhile: list[tuple[int, Answer, Answer]] = []
    service.wechat.while_in_flight = lambda _message: meanwhile.append(keyed())
    assert keyed()[0] == 200
    ((status, headers, content),) = meanwhile
    assert (status, content["type"], headers["Retry-After"]) == (409, problem("in_flight"), "2")
    assert content["retryable"]
    assert len(service.wechat.attempts) == 1
    service.wechat.while_in_flight = lambda _message: None
    assert replayed(keyed()[1])


def test_of_requests_that_come_together_one_is_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each execution environment has a log and metrics of its own.
    own = threading.local()

    def telemetry() -> Telemetry:
        if not hasattr(own, "telemetry"):
            own.telemetry = Service().telemetry
        mine: Telemetry = own.telemetry
        return mine

    monkeypatch.setattr(bootstrap, "telemetry", telemetry)
    together = threading.Barrier(8)

    def request(_number: int) -> tuple[int, bool]:
        together.wait(10)
        status, headers, _ = keyed()
        return status, replayed(headers)

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(request, range(8)))
    assert len(service.wechat.attempts) == 1
    assert answers.pop((200, False)) == 1
    assert answers.keys() <= {(409, False), (200, True)}


def test_a_message_that_waits_on_the_queue_is_there_once(service: Service) -> None:
    for again in (False, True, True):
        status, headers, content = keyed(prefer="respond-async")
        assert (status, content["status"], replayed(headers)) == (202, "queued", again)
        assert headers["Location"] == f"/v1/accounts/shop/messages/{KEY}"
    (queued,) = service.queue.bodies
    assert parse_queue_body(queued, default_id="m1").id == KEY
    assert service.queue.groups == ["shop"]


def test_another_message_under_a_key_that_waits_is_not_put_on_the_queue(service: Service) -> None:
    keyed(prefer="respond-async")
    status, _, content = keyed(OTHER, prefer="respond-async")
    assert (status, content["type"]) == (422, problem("idempotency_key_reused"))
    assert len(service.queue.bodies) == 1


def test_a_queue_that_did_not_take_the_message_may_take_it_later(service: Service) -> None:
    service.queue.failing = "ServiceUnavailable"
    assert keyed(prefer="respond-async")[0] == 503
    assert look()[0] == 404
    service.queue.failing = None
    status, headers, _ = keyed(prefer="respond-async")
    assert (status, replayed(headers), len(service.queue.bodies)) == (202, False, 1)


# ---------------------------------------------------------------- what is held


def test_what_an_earlier_answer_holds_is_not_sent(service: Service) -> None:
    service.wechat.plan.append(answer(45009, "reach max api daily quota limit"))
    keyed(key="first")
    service.clock.advance(100)
    status, headers, content = keyed()
    assert (status, headers["Retry-After"]) == (429, str(RESET - 100))
    assert (content["class"], content["errcode"], content["retryable"]) == ("quota", 45009, True)
    assert "2026-03-01T16:02:00.000Z" in content["detail"]
    assert content["id"] == KEY
    assert len(service.wechat.attempts) == 1
    assert service.ledger_store.entries.keys() == {("shop", "first")}
    assert look()[0] == 404


def test_what_is_held_of_a_broken_account_is_no_limit(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    first, second = keyed(), keyed()
    assert first[0] == second[0] == 502
    assert first[1]["Retry-After"] == second[1]["Retry-After"] == "300"
    assert (second[2]["class"], second[2]["errcode"], second[2]["retryable"]) == ("config", 40164, True)
    assert len(service.refresher.asked) == 1


def test_another_kind_and_another_account_go_on(service: Service) -> None:
    service.add_account("bank")
    service.wechat.plan.append(answer(45009))
    assert keyed()[0] == 429
    assert post(body("template"))[0] == 200
    assert call({**SUBSCRIPTION, "pathParameters": {"account": "bank"}})[0] == 200
    assert post(body())[0] == 429


def test_a_held_message_goes_out_under_the_same_key_when_the_time_is_up(service: Service) -> None:
    service.wechat.plan.append(answer(45011))
    assert [keyed()[0], keyed()[0]] == [429, 429]
    service.clock.advance(60)
    status, headers, _ = keyed()
    assert (status, replayed(headers), len(service.wechat.attempts)) == (200, False, 2)


WHILE_HELD = OVER_HTTP


@pytest.mark.parametrize("trouble", ["held", "no token"])
@pytest.mark.parametrize("standing", [name for name in STANDINGS if OVER_HTTP[name] != SENT_NOW])
def test_what_is_held_does_not_hide_what_became_of_a_message(
    service: Service, standing: str, trouble: str
) -> None:
    bring_about(service, standing)
    if trouble == "held":
        service.wechat.plan.append(answer(45009))
        keyed(key="first")
    else:
        service.store.tokens.clear()
        service.wechat.refuse_tokens("wx-shop", unreachable())
        service.sender._tokens._cache.clear()
    service.forget()
    status, headers, content = keyed()
    says = str(content.get("type", content["status"])).rpartition(":")[2]
    assert (status, says, replayed(headers), len(service.wechat.attempts)) == WHILE_HELD[standing]


def test_what_is_to_be_tried_again_is_held_like_any_other(service: Service) -> None:
    bring_about(service, "try_again")
    service.wechat.plan.append(answer(45009))
    keyed(key="first")
    assert keyed()[0] == 429
    assert look()[2]["reason"] == "try_again"


# ---------------------------------------------------------------- the ledger in trouble


def test_nothing_is_sent_that_the_ledger_does_not_know(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.ledger_store.failing = {"put": "ProvisionedThroughputExceededException"}
    status, headers, content = keyed()
    assert (status, content["type"], headers["Retry-After"]) == (503, problem("storage"), "2")
    assert (content["class"], content["retryable"]) == ("transient", True)
    assert service.wechat.attempts == []
    (line,) = service.lines("message refused")
    assert (line["reason"], line["detail"]) == (
        "storage",
        "write the message's entry: ProvisionedThroughputExceededException",
    )
    assert counts(capsys) == {"MessagesRefused": 1}
    service.ledger_store.failing = {}
    assert (keyed()[0], len(service.wechat.attempts)) == (200, 1)


def test_nothing_is_queued_that_the_ledger_does_not_know(service: Service) -> None:
    service.ledger_store.failing = {"read": "ServiceUnavailable"}
    assert keyed(prefer="respond-async")[0] == 503
    assert service.queue.bodies == []


def test_what_is_on_the_queue_is_accepted_without_its_entry(service: Service) -> None:
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    status, headers, content = keyed(prefer="respond-async")
    assert (status, content["status"], len(service.queue.bodies)) == (202, "queued", 1)
    assert headers["Location"] == f"/v1/accounts/shop/messages/{KEY}"


def test_circuits_that_cannot_be_read_hold_up_nothing(service: Service) -> None:
    service.ledger_store.failing = {"read_circuits": "ServiceUnavailable", "put_circuits": "x"}
    assert keyed()[0] == 200


@pytest.mark.parametrize(
    ("outcome", "status"), [(answer(0, msgid=MSGID), 200), (answer(43101), 422), (lost(), 504)]
)
def test_the_caller_hears_what_could_not_be_recorded(
    service: Service, capsys: pytest.CaptureFixture[str], *, outcome: Outcome, status: int
) -> None:
    def fail(_message: Message) -> None:
        service.ledger_store.failing = {"put": "ServiceUnavailable"}

    service.wechat.while_in_flight = fail
    service.wechat.plan.append(outcome)
    given, headers, content = keyed()
    assert (given, replayed(headers)) == (status, False)
    assert content.get("errcode", content.get("wechat", {}).get("errcode")) == outcome.errcode
    (line,) = service.lines("message attempted")
    assert (line["level"], line["status"], line["errcode"] if outcome.errcode is not None else None) == (
        "ERROR",
        "sending",
        outcome.errcode,
    )
    assert counts(capsys) == {"AnswersNotRecorded": 1}
    assert service.bus.events == []

    # To everybody else the answer is lost, when nobody can be at it any more.
    service.ledger_store.failing = {}
    assert (keyed()[0], look()[2]["status"]) == (409, "sending")
    service.clock.advance(60 + 120)
    assert (look()[2]["status"], look()[2]["reason"]) == ("unknown", "answer_not_recorded")
    assert keyed()[0] == 504
    assert counts(capsys) == {"MessagesReplayed": 1, "MessagesUnknown": 1}
    assert len(service.wechat.attempts) == 1


# ---------------------------------------------------------------- looked up


def test_a_message_that_was_sent_can_be_looked_up(service: Service) -> None:
    service.wechat.while_in_flight = lambda _message: service.clock.advance(0.25)
    call(KEYED)
    response = lambda_handler(GET, FakeContext())
    assert f'"msgid": {MSGID}' in response["body"]
    status, _, content = call(GET)
    assert (status, content) == (
        200,
        {
            "id": "order-20260301",
            "account": "shop",
            "kind": "subscription",
            "template_id": "J5tWfHcX2mNq8sVbLd0RyGkPzEuA3oTi9wQxCjB6lM4",
            "openid_hash": service.openid_hash(OPENID),
            "status": "sent",
            "attempts": 1,
            "created_at": "2026-03-01T07:04:05.000Z",
            "updated_at": "2026-03-01T07:04:05.250Z",
            "timeline": [
                {"status": "sending", "at": "2026-03-01T07:04:05.000Z"},
                {"status": "sent", "at": "2026-03-01T07:04:05.250Z", "errcode": 0},
            ],
            "wechat": {"errcode": 0, "errmsg": "ok", "msgid": MSGID},
        },
    )


RID = "66695e1c-5d4a8e9f-0b2c3d4e"
LOOKED_UP: dict[str, tuple[list[str], Answer]] = {
    "queued": (["queued"], {"attempts": 0}),
    "sending": (["sending"], {"attempts": 1}),
    "abandoned": (["sending", "unknown"], {"attempts": 1, "reason": "answer_not_recorded"}),
    "sent": (["sending", "sent"], {"attempts": 1}),
    "failed": (["sending", "failed"], {"class": "recipient", "retryable": False}),
    "try_again": (["sending", "failed"], {"class": "transient", "retryable": True, "reason": "try_again"}),
    "unknown": (["sending", "unknown"], {"class": "unknown", "retryable": False}),
    "expired": (["expired"], {"attempts": 0}),
    "cancelled": (["queued", "cancelled"], {"attempts": 0, "reason": "cancelled"}),
    "refused": (["failed"], {"attempts": 0, "reason": "unknown_account"}),
    "other_body": (["sending", "sent"], {"attempts": 1}),
}
STATUS_OF = {"abandoned": "unknown", "try_again": "failed", "refused": "failed", "other_body": "sent"}


@pytest.mark.parametrize("standing", STANDINGS)
def test_every_state_can_be_looked_up(service: Service, standing: str) -> None:
    bring_about(service, standing)
    status, headers, content = look()
    timeline, fields = LOOKED_UP[standing]
    assert (status, content["status"]) == (200, STATUS_OF.get(standing, standing))
    assert [change["status"] for change in content["timeline"]] == timeline
    assert {name: content.get(name) for name in fields} == fields
    assert ("reason" in content) == ("reason" in fields)
    times = [content["created_at"], content["updated_at"], *(change["at"] for change in content["timeline"])]
    assert all(TIME.fullmatch(time) for time in times)
    assert None not in content.values()
    assert ("class" in content) == ("hint" in content) == (standing in {"failed", "try_again", "unknown"})
    assert ("wechat" in content) == (standing in {"sent", "failed", "try_again", "other_body"})
    assert headers.keys() == {"Content-Type"}
    seen = json.dumps(content, ensure_ascii=False)
    assert OPENID not in seen
    assert "thing1" not in seen
    assert "礼盒" not in seen


def test_what_wechat_said_of_a_refused_message_can_be_looked_up(service: Service) -> None:
    bring_about(service, "failed")
    content = look()[2]
    assert content["wechat"] == {"errcode": 43101, "errmsg": "user refuse to accept the msg", "rid": RID}
    assert content["timeline"][-1]["errcode"] == 43101
    assert content["hint"] == {"en": "What to do about 43101.", "zh": "如何处理 43101。"}


@pytest.mark.parametrize(
    ("account", "key"),
    [
        ("shop", "another"),
        ("bank", KEY),
        ("nobody", KEY),
        ("shop", ""),
        ("shop", "x" * 65),
        ("shop", "x" * 5000),
        ("shop", "two words"),
        ("shop", "订单"),
    ],
)
def test_a_message_of_nobodys_or_of_another_account_is_not_found(
    service: Service, capsys: pytest.CaptureFixture[str], *, account: str, key: str
) -> None:
    service.add_account("bank")
    keyed()
    capsys.readouterr()
    for ask in (look, cancel):
        status, headers, content = ask(key, account)
        assert (status, content["type"]) == (404, problem("unknown_message"))
        assert (content["retryable"], "Retry-After" in headers) == (False, False)
    assert service.lines("message refused") == []
    assert [line["reason"] for line in service.lines("invocation finished")[1:]] == ["unknown_message"] * 2
    assert counts(capsys) == {}


@pytest.mark.parametrize("account", ["Shop", "shop#", "x" * 65])
@pytest.mark.parametrize("ask", [look, cancel])
@pytest.mark.usefixtures("service")
def test_an_account_that_cannot_exist_is_told_how_names_are(ask: Any, account: str) -> None:
    status, _, content = ask(KEY, account)
    assert (status, content["type"]) == (404, problem("account_name"))
    assert "a-z, 0-9 and -" in content["hint"]["en"]
    assert "a-z、数字和 -" in content["hint"]["zh"]


@pytest.mark.parametrize("key", ["", "x" * 65, "x" * 5000, "two words", "订单"])
@pytest.mark.parametrize("ask", [look, cancel])
def test_what_is_no_id_is_not_looked_for(service: Service, ask: Any, key: str) -> None:
    assert ask(key)[0] == 404
    assert service.ledger_store.reads == 0


@pytest.mark.parametrize("ask", [look, cancel])
def test_a_ledger_that_does_not_answer_is_a_reason_to_ask_again(service: Service, ask: Any) -> None:
    service.ledger_store.failing = {"read": "ServiceUnavailable"}
    status, headers, content = ask()
    assert (status, headers["Retry-After"], content["retryable"]) == (503, "2", True)


@pytest.mark.parametrize("ask", [look, cancel])
def test_an_entry_that_cannot_be_told_brings_down_one_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    monkeypatch.setattr(service.ledger_store, "read", break_down)
    status, _, content = ask()
    assert (status, OPENID in json.dumps(content)) == (500, False)
    assert OPENID not in service.log.getvalue()


# ---------------------------------------------------------------- cancelled


def test_a_message_that_waits_can_be_cancelled(service: Service) -> None:
    keyed(prefer="respond-async")
    first, again = cancel(), cancel()
    assert first == again
    status, _, content = again
    assert (status, content["status"], content["reason"]) == (200, "cancelled", "cancelled")
    assert [change["status"] for change in content["timeline"]] == ["queued", "cancelled"]
    assert look()[2] == content
    assert keyed(prefer="respond-async")[0] == 410
    assert (len(service.queue.bodies), service.wechat.attempts) == (1, [])


CANCELLED = {
    **dict.fromkeys(STANDINGS, 409),
    "queued": 200,
    "cancelled": 200,
}


@pytest.mark.parametrize("standing", STANDINGS)
def test_only_what_has_not_started_can_be_cancelled(service: Service, standing: str) -> None:
    bring_about(service, standing)
    before = look()[2]
    status, headers, content = cancel()
    assert status == CANCELLED[standing]
    if status == 409:
        assert (content["type"], content["message_status"]) == (problem("already_started"), before["status"])
        assert (content["retryable"], "Retry-After" in headers) == (False, False)
        assert look()[2] == before


def test_what_goes_out_meanwhile_is_not_cancelled(service: Service) -> None:
    meanwhile: list[tuple[int, Answer, Answer]] = []
    service.wechat.while_in_flight = lambda _message: meanwhile.append(cancel())
    assert keyed()[0] == 200
    ((status, _, content),) = meanwhile
    assert (status, content["message_status"]) == (409, "sending")
    assert look()[2]["status"] == "sent"


def test_of_what_is_cancelled_in_doubt_the_automation_is_told(service: Service) -> None:
    given = body(delivery="at_least_once")
    service.wechat.plan.append(lost())
    text = queue_body(SendRequest(KEY, "shop", given))
    service.batch_sender.send([Record("m1", "receipt-1", text, 1)], lambda: 60.0)
    status, _, content = cancel()
    assert (status, content["message_status"]) == (409, "unknown")
    assert [domain_event.detail_type for domain_event in service.bus.events] == ["message.unknown"]
    assert cancel()[0] == 409
    assert len(service.bus.events) == 1


# ---------------------------------------------------------------- what is told to the team's automation


def test_a_message_that_was_sent_is_nothing_to_tell(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "event_bus", break_down)
    assert [keyed()[0], keyed()[0], keyed(key="later", prefer="respond-async")[0]] == [200, 200, 202]
    assert [look()[0], cancel()[0]] == [200, 409]
    assert service.lines("not reported") == []


TOLD = {
    "failed": (answer(43101), ["message.failed"]),
    "try_again": (answer(-1), []),
    "lost": (lost(), ["message.unknown"]),
    "quota": (answer(45009), ["quota.reached"]),
    "a minute's": (answer(45011), []),
    "permission": (answer(48001), ["circuit.opened", "message.failed"]),
}


def test_what_is_not_known_is_left_out_of_an_event(service: Service) -> None:
    service.store.tokens.clear()
    service.store.broken["shop"] = Bilingual("wrong: app_id", "有误：app_id")
    del service.store.sources["shop"]
    assert keyed()[0] == 502
    (domain_event,) = service.bus.events
    assert domain_event.detail_type == "circuit.opened"
    assert domain_event.detail.keys() == {"account", "scope", "class", "opened_at", "held_until", "hint"}


@pytest.mark.parametrize(("outcome", "told"), TOLD.values(), ids=TOLD.keys())
def test_what_became_of_a_message_is_told_once(service: Service, outcome: Outcome, told: list[str]) -> None:
    service.wechat.plan.append(outcome)
    keyed()
    assert [domain_event.detail_type for domain_event in service.bus.events] == told
    keyed()
    assert [domain_event.detail_type for domain_event in service.bus.events] == told


def test_a_bus_that_takes_nothing_changes_no_answer(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.bus.failing = "ServiceUnavailable"
    service.wechat.plan.append(answer(48001))
    assert keyed()[0] == 502
    (line,) = service.lines("events not published")
    assert (line["level"], line["count"]) == ("ERROR", 2)
    assert counts(capsys) == {"MessagesFailed": 1, "CircuitsOpened": 1, "EventsNotPublished": 2}


@pytest.mark.parametrize("broken", ["made", "used"])
def test_a_bus_that_breaks_down_changes_no_answer(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "made":
        monkeypatch.setattr(bootstrap, "event_bus", break_down)
    else:
        monkeypatch.setattr(service.bus, "publish", break_down)
    service.wechat.plan.append(answer(43101))
    assert keyed()[0] == 422
    assert len(service.lines("not reported")) == len(service.lines("events not published")) == 1
    assert counts(capsys) == {"MessagesFailed": 1, "EventsNotPublished": 1}
    assert OPENID not in service.log.getvalue()


# ---------------------------------------------------------------- what is seen of it


def test_a_message_that_was_sent_has_its_line_and_metrics(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, content = call(SUBSCRIPTION)
    (line,) = service.lines()
    assert (line["message_id"], line["account"], line["status"]) == (content["id"], "shop", "sent")
    assert line["correlation_id"] == SUBSCRIPTION["requestContext"]["requestId"]
    assert (line["level"], line["method"], line["status_code"]) == ("INFO", "POST", 200)
    assert {metric.name for metric in metrics(capsys.readouterr().out)} == {"MessagesSent", "WeChatLatency"}


def test_a_sent_message_that_cannot_be_reported_is_answered_as_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.telemetry, "_log_message", break_down)
    status, _, content = call(SUBSCRIPTION)
    assert (status, content["status"], len(service.wechat.accepted)) == (200, "sent", 1)
    assert [line["message"] for line in service.lines()] == ["not reported", "invocation finished"]
    assert OPENID not in service.log.getvalue()


def test_metrics_that_cannot_be_flushed_change_no_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Telemetry, "_flush", break_down)
    assert call(SUBSCRIPTION)[0] == 200
    assert call(load_event("send_api/malformed_json"))[0] == 400
    assert [line["error"] for line in service.lines("not reported")] == ["RuntimeError"] * 2


def test_a_refusal_that_cannot_be_logged_is_answered_as_it_is(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    assert call(load_event("send_api/malformed_json"))[0] == 400
    assert len(service.lines("not reported")) == 1


def test_neither_openid_nor_token_nor_secret_is_seen(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.telemetry.logger.setLevel("DEBUG")
    service.wechat.plan.extend([answer(0), answer(43101), lost(), answer(40001), answer(40001)])
    keys = [f"order-{number}" for number in range(5)]
    events = [{**KEYED, "headers": {**KEYED["headers"], "idempotency-key": key}} for key in keys]
    said = [lambda_handler(event, FakeContext()) for event in events * 2]
    said += [
        lambda_handler({**event, "pathParameters": {"account": "shop", "id": key}}, FakeContext())
        for event in (GET, DELETE)
        for key in keys
    ]
    said += [lambda_handler(load_event("send_api/invalid_message"), FakeContext())]
    said += [lambda_handler(load_event("send_api/duplicate_key"), FakeContext())]
    kept = [repr(entry) for entry in service.ledger_store.history] + [repr(service.ledger_store.circuits)]
    told = [
        json.dumps([domain_event.detail_type, domain_event.detail]) for domain_event in service.bus.events
    ]
    assert (len(kept), len(told)) == (9, 3)
    seen = json.dumps(said) + service.log.getvalue() + capsys.readouterr().out + "".join(kept + told)
    assert len(service.lines("message attempted")) == 3
    assert len([line for line in service.lines() if "result" in line]) == 10
    for hidden in (OPENID, OTHER_OPENID, "token-1-of", "token-2-of", "s" * 32, "礼盒"):
        assert hidden not in seen


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json; charset="utf-8"; v=1', 200),
        ("application/problem+json", 200),
        ("application/json; charset=gbk", 415),
        ("application/json;charset=latin-1", 415),
        ("text/plain", 415),
        ("application/jsonx", 415),
        (";", 415),
    ],
)
def test_the_body_is_json_in_utf8(service: Service, content_type: str, status: int) -> None:
    event = {**SUBSCRIPTION, "headers": {**SUBSCRIPTION["headers"], "content-type": content_type}}
    assert call(event)[0] == status
    assert len(service.wechat.accepted) == (status == 200)


@pytest.mark.parametrize(
    ("content", "with_key", "repeatable"),
    [
        (body("template"), True, True),
        (body(delivery="at_least_once"), True, True),
        (body(), True, False),
        (body("template"), False, False),
        (body(delivery="at_least_once"), False, False),
    ],
)
def test_a_lost_answer_is_worth_repeating_only_under_the_same_key(
    service: Service, content: dict[str, Any], *, with_key: bool, repeatable: bool
) -> None:
    # Without a key a repeat has another id, and is another message to everybody.
    service.wechat.plan.append(lost())
    status, headers, answered = keyed(content) if with_key else post(content)
    assert (status, answered["retryable"], "Retry-After" in headers) == (504, repeatable, repeatable)
    assert ("with the same Idempotency-Key" in answered["detail"]) == repeatable
