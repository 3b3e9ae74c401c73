from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

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
from wechat_notify import bootstrap
from wechat_notify.core.envelope import BODY_BYTES_MOST, parse_queue_body
from wechat_notify.core.outcomes import Outcome
from wechat_notify.settings import MissingSettingError

BODIES = sorted((Path(__file__).parents[1] / "bodies").glob("*.json"))
SUBSCRIPTION = load_event("send_api/send_subscription")
MIDNIGHT = 8 * 3600 + 55 * 60 + 55
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
        ("send_api/account_name", 404, "unknown_account"),
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
    status, _, content = post("x" * (BODY_BYTES_MOST + 1))
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
    assert len(service.lines()) >= 1 + (given != 202)
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
        ("\ufeff{}", 400),
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
        ("x" * (BODY_BYTES_MOST + 1), 413),
        ("一" * (BODY_BYTES_MOST // 3 + 1), 413),
        ("x" * 10_000_000, 413),
    ],
    ids=lambda value: str(value)[:24],
)
def test_no_body_brings_it_down(service: Service, content: object, status: int) -> None:
    assert post(content)[0] == status
    assert service.wechat.attempts == []


def test_a_body_of_the_largest_size_is_read(service: Service) -> None:
    text = json.dumps(body())
    assert post(text + " " * (BODY_BYTES_MOST - len(text)))[0] == 200
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

RETRY_AFTER = {45011: "60", 43108: "1", 43117: "60", 45009: str(MIDNIGHT), -1: "2"}
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
    assert content["retryable"] is outcome.retryable
    assert content["detail"] == outcome.hint.en
    assert (content["account"], content["kind"]) == ("shop", "subscription")
    if status in {429, 503}:
        assert headers["Retry-After"] == RETRY_AFTER[errcode]
    assert ("Retry-After" in headers) == (status in {429, 503} or outcome.retry_after is not None)


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
    ("outcome", "status"), [(unreachable(), 503), (answer(40164, "invalid ip 198.51.100.7"), 502)]
)
def test_without_a_token_the_caller_hears_why(service: Service, outcome: Outcome, status: int) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", outcome)
    given, headers, content = call(SUBSCRIPTION)
    assert (given, content["errcode"], content["errmsg"]) == (status, outcome.errcode, outcome.errmsg)
    assert ("Retry-After" in headers) == (status == 503)
    assert service.wechat.attempts == []


def test_a_page_of_something_in_between_is_no_fault_of_the_callers(service: Service) -> None:
    service.wechat.plan.append(misdirected())
    status, headers, content = call(SUBSCRIPTION)
    assert (status, content["class"], content["retryable"], content["errcode"]) == (
        502,
        "config",
        False,
        None,
    )
    assert "Retry-After" not in headers


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


# ---------------------------------------------------------------- what is seen of it


def test_a_message_that_was_sent_has_its_lines_and_metrics(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, content = call(SUBSCRIPTION)
    attempted, finished = service.lines()
    assert (attempted["message_id"], attempted["account"], attempted["status"]) == (
        content["id"],
        "shop",
        "sent",
    )
    assert attempted["correlation_id"] == finished["correlation_id"]
    assert finished["correlation_id"] == SUBSCRIPTION["requestContext"]["requestId"]
    assert finished["status_code"] == 200
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
    monkeypatch.setattr(EphemeralMetrics, "flush_metrics", break_down)
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
    service.wechat.plan.extend([answer(0), answer(43101), lost(), answer(40001), answer(40001)])
    said = [lambda_handler(SUBSCRIPTION, FakeContext()) for _ in range(4)]
    said += [lambda_handler(load_event("send_api/invalid_message"), FakeContext())]
    said += [lambda_handler(load_event("send_api/duplicate_key"), FakeContext())]
    seen = json.dumps(said) + service.log.getvalue() + capsys.readouterr().out
    assert len(service.lines("message attempted")) == 4
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
