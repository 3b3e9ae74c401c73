from __future__ import annotations

import json
import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import (
    OPENID,
    START,
    FakeContext,
    Metric,
    Service,
    answer,
    break_down,
    lost,
    message,
    metrics,
)
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import (
    Expired,
    Failed,
    Held,
    IdReused,
    InFlight,
    NotDue,
    Queued,
    Replayed,
    Result,
    RetryAt,
    Sent,
    TryAgain,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.outcomes import Bilingual, DomainEvent, ErrorClass, Outcome, Status
from wechat_notify.core.tokens.refresher import Refreshed
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.core.violations import Violation
from wechat_notify.metrics import Metrics
from wechat_notify.telemetry import InvocationError, hash_openid

KEY = b"a key for tests"

Capture = pytest.CaptureFixture[str]


def entry(status: Status, *, attempts: int = 1, **fields: Any) -> Entry:
    return Entry(
        "shop", "order-1", status, "fingerprint", "writer", START, START, attempts=attempts, **fields
    )


def turn(service: Service, result: Result, **fields: Any) -> None:
    with service.telemetry.invocation(FakeContext(), "request-1"):
        service.telemetry.message(
            message(),
            result,
            message_id="order-1",
            account="shop",
            openid_hash=partial(hash_openid, key=KEY),
            **fields,
        )


def attempt(service: Service, outcome: Outcome, *, attempts: int = 1, **fields: Any) -> None:
    """One message that was attempted, and came to what WeChat says of it."""
    came_to = {Status.SENT: Sent, Status.FAILED: Failed, Status.UNKNOWN: Unknown}[outcome.status]
    delivery = Delivery(outcome, attempts, 0.125)
    turn(service, came_to(entry=entry(outcome.status), delivery=delivery, outcome=outcome), **fields)


def of(found: list[Metric], name: str) -> list[tuple[dict[str, str], float]]:
    return [(metric.dimensions, metric.value) for metric in found if metric.name == name]


def test_an_openid_is_logged_as_the_same_keyed_hash() -> None:
    assert hash_openid(OPENID, KEY) == hash_openid(OPENID, KEY)
    assert len({hash_openid(OPENID, KEY), hash_openid(OPENID, b"another"), hash_openid("o", KEY)}) == 3
    assert len(hash_openid(OPENID, KEY)) == 16


def test_one_line_an_invocation_and_one_for_what_did_not_go_well(service: Service) -> None:
    attempt(service, answer(43101))
    attempted, finished = service.lines()
    assert (attempted["message"], finished["message"]) == ("message attempted", "invocation finished")
    for line in (attempted, finished):
        assert line["correlation_id"] == "request-1"
        assert line["function_request_id"] == FakeContext.aws_request_id
        assert line["timestamp"].endswith("Z") or line["timestamp"].endswith("+00:00")


def test_the_line_of_a_message_that_was_sent(service: Service) -> None:
    warning = Violation("data.thing1.value", "format", Bilingual("odd", "奇怪"))
    attempt(service, answer(0, msgid=1864323726461255680), warnings=[warning], receive_count=1)
    (line,) = service.lines("message attempted")
    assert line["level"] == "INFO"
    assert {name: line[name] for name in line if name not in {"timestamp", "location", "service"}} == {
        "level": "INFO",
        "message": "message attempted",
        "function_request_id": FakeContext.aws_request_id,
        "correlation_id": "request-1",
        "cold_start": True,
        "message_id": "order-1",
        "account": "shop",
        "kind": "subscription",
        "openid_hash": hash_openid(OPENID, KEY),
        "result": "sent",
        "status": "sent",
        "class": "success",
        "errcode": 0,
        "errmsg": "ok",
        "msgid": "1864323726461255680",
        "attempts": 1,
        "wechat_ms": 125.0,
        "warnings": ["data.thing1.value: format"],
        "receive_count": 1,
    }


def test_the_line_of_a_message_that_was_refused(service: Service) -> None:
    attempt(service, answer(47003, "argument invalid! data.thing1.value invalid", field="thing1"))
    (line,) = service.lines("message attempted")
    assert line["level"] == "WARNING"
    assert (line["errcode"], line["class"], line["field"]) == (47003, "request", "thing1")
    assert line["rid"] == "66695e1c-5d4a8e9f-0b2c3d4e"


def test_the_line_of_a_message_without_an_answer_says_why_and_counts_as_the_ledger(service: Service) -> None:
    outcome = Outcome(
        Status.FAILED,
        ErrorClass.TRANSIENT,
        Bilingual("no connection", "没有连接"),
        retryable=True,
        cause="ConnectTimeout",
        unjudged=True,
    )
    waiting = entry(Status.FAILED, attempts=3)
    turn(service, TryAgain(entry=waiting, delivery=Delivery(outcome, 1, 0.1), outcome=outcome, after=2.0))
    (line,) = service.lines("message attempted")
    assert (line["attempts"], line["cause"]) == (3, "ConnectTimeout")


def test_the_line_of_a_message_without_a_token_speaks_of_no_attempt(service: Service) -> None:
    outcome = answer(40125)
    turn(service, TryAgain(delivery=Delivery(outcome, 0, 0.0), outcome=outcome, after=2.0))
    assert service.lines("message attempted") == []
    (line,) = service.lines("message not attempted")
    assert (line["result"], line["errcode"]) == ("try_again", 40125)


def test_a_message_that_was_sent_is_counted(service: Service, capsys: Capture) -> None:
    attempt(service, answer(0))
    by_kind = {"account": "shop", "kind": "subscription"}
    found = metrics(capsys.readouterr().out)
    assert of(found, "MessagesSent") == [({}, 1), (by_kind, 1)]
    assert of(found, "WeChatLatency") == [({}, 125.0), (by_kind, 125.0)]
    assert {metric.name: metric.unit for metric in found} == {
        "MessagesSent": "Count",
        "WeChatLatency": "Milliseconds",
    }


@pytest.mark.parametrize(
    ("outcome", "by_error"),
    [
        (answer(43101), {"account": "shop", "class": "recipient", "errcode": "43101"}),
        (answer(-1), {"account": "shop", "class": "transient", "errcode": "-1"}),
        (answer(99999), {"account": "shop", "class": "other", "errcode": "99999"}),
    ],
)
def test_a_message_that_failed_is_counted_by_its_class_and_errcode(
    service: Service, capsys: Capture, outcome: Outcome, by_error: dict[str, str]
) -> None:
    attempt(service, outcome)
    found = metrics(capsys.readouterr().out)
    assert of(found, "MessagesFailed") == [({}, 1), (by_error, 1)]
    assert of(found, "MessagesSent") == []


def test_a_lost_answer_is_counted_on_its_own(service: Service, capsys: Capture) -> None:
    attempt(service, lost())
    found = metrics(capsys.readouterr().out)
    assert of(found, "MessagesUnknown") == [({}, 1), ({"account": "shop", "kind": "subscription"}, 1)]
    assert of(found, "MessagesFailed") == []


def test_a_message_that_never_reached_wechat_has_no_latency(service: Service, capsys: Capture) -> None:
    attempt(service, answer(40125), attempts=0)
    assert of(metrics(capsys.readouterr().out), "WeChatLatency") == []


BY_KIND = {"account": "shop", "kind": "subscription"}
FAILED_ONCE = Delivery(answer(-1), 1, 0.125)
SENT_ONCE = Delivery(answer(0), 1, 0.125)
NO_TOKEN = Delivery(answer(40125), 0, 0.0)
RESULTS: dict[str, tuple[Result, str, str, dict[str, list[Any]]]] = {
    "goes back": (
        RetryAt(entry=entry(Status.QUEUED), delivery=FAILED_ONCE, outcome=answer(-1), after=2.0),
        "retry_at",
        "WARNING",
        {"WeChatLatency": [{}, BY_KIND]},
    ),
    "told to try again": (
        TryAgain(entry=entry(Status.FAILED), delivery=FAILED_ONCE, outcome=answer(-1), after=2.0),
        "try_again",
        "WARNING",
        {
            "WeChatLatency": [{}, BY_KIND],
            "MessagesFailed": [{}, {"account": "shop", "class": "transient", "errcode": "-1"}],
        },
    ),
    "not recorded": (
        Unrecorded(entry=entry(Status.SENDING), delivery=SENT_ONCE, outcome=answer(0), after=100.0),
        "unrecorded",
        "ERROR",
        {"WeChatLatency": [{}, BY_KIND], "AnswersNotRecorded": [{}]},
    ),
    "another invocation was through first": (
        Replayed(entry=entry(Status.SENT), delivery=SENT_ONCE, outcome=answer(0)),
        "replayed",
        "INFO",
        {"WeChatLatency": [{}, BY_KIND]},
    ),
    "no token, over HTTP": (
        TryAgain(delivery=NO_TOKEN, outcome=answer(40125), after=2.0),
        "try_again",
        "WARNING",
        {"MessagesFailed": [{}, {"class": "config", "errcode": "40125"}]},
    ),
    "no token, from the queue": (
        RetryAt(entry=entry(Status.QUEUED, attempts=0), delivery=NO_TOKEN, outcome=answer(40125), after=2.0),
        "retry_at",
        "WARNING",
        {},
    ),
    "held": (
        Held(outcome=answer(45009), after=900.0),
        "held",
        "DEBUG",
        {"MessagesHeld": [{}, {"account": "shop"}]},
    ),
    "put on the queue": (Queued(entry=entry(Status.QUEUED, attempts=0)), "queued", "INFO", {}),
    "on the queue already": (
        Replayed(entry=entry(Status.QUEUED, attempts=0)),
        "replayed",
        "INFO",
        {"MessagesReplayed": [{}, {"result": "replayed"}]},
    ),
    "failed before": (
        Replayed(entry=entry(Status.FAILED), outcome=answer(43101)),
        "replayed",
        "INFO",
        {"MessagesReplayed": [{}, {"result": "replayed"}]},
    ),
    "another is at it": (
        InFlight(entry=entry(Status.SENDING), after=30.0),
        "in_flight",
        "INFO",
        {"MessagesReplayed": [{}, {"result": "in_flight"}]},
    ),
    "not due yet": (
        NotDue(entry=entry(Status.QUEUED), after=30.0),
        "not_due",
        "INFO",
        {"MessagesReplayed": [{}, {"result": "not_due"}]},
    ),
    "another message's id": (
        IdReused(entry=entry(Status.SENT)),
        "id_reused",
        "WARNING",
        {"MessagesReplayed": [{}, {"result": "id_reused"}]},
    ),
    "expired": (
        Expired(entry=entry(Status.EXPIRED, attempts=0)),
        "expired",
        "WARNING",
        {"MessagesExpired": [{}, {"kind": "subscription"}]},
    ),
    "expired after an attempt": (
        Expired(entry=entry(Status.EXPIRED)),
        "expired",
        "WARNING",
        {"MessagesExpired": [{}, BY_KIND]},
    ),
    "its holder had died": (
        Unknown(entry=entry(Status.UNKNOWN)),
        "unknown",
        "WARNING",
        {"MessagesUnknown": [{}, BY_KIND]},
    ),
    "given up": (
        Failed(entry=entry(Status.FAILED, attempts=0), outcome=answer(45009)),
        "failed",
        "WARNING",
        {"MessagesFailed": [{}, {"class": "quota", "errcode": "45009"}]},
    ),
    "no time": (RetryAt(outcome=answer(-1), after=0.0), "retry_at", "WARNING", {}),
}


@pytest.mark.parametrize(("result", "name", "level", "counted"), RESULTS.values(), ids=RESULTS.keys())
def test_each_result_has_its_level_and_counts_once(
    service: Service,
    capsys: Capture,
    *,
    result: Result,
    name: str,
    level: str,
    counted: dict[str, list[Any]],
) -> None:
    service.telemetry.logger.setLevel("DEBUG")
    turn(service, result)
    line, _ = service.lines()
    assert (line["level"], line["result"]) == (level, name)
    assert line["message"] == ("message attempted" if result.attempted else "message not attempted")
    found = metrics(capsys.readouterr().out)
    assert {m.name: [dimensions for dimensions, _ in of(found, m.name)] for m in found} == counted
    assert {m.value for m in found if m.unit == "Count"} <= {1}


def test_what_is_held_or_sent_has_no_line_as_it_is_deployed(service: Service) -> None:
    turn(service, RESULTS["held"][0])
    attempt(service, answer(0))
    assert [line["message"] for line in service.lines()] == ["invocation finished"] * 2


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_of_one_message_alone_the_invocations_line_says_what_went_well(service: Service, level: str) -> None:
    service.telemetry.logger.setLevel(level)
    for outcome in (answer(0), answer(43101)):
        attempt(service, outcome, alone=True)
    sent, attempted, finished = service.lines()
    assert [sent["message"], finished["message"]] == ["invocation finished"] * 2
    assert (sent["message_id"], sent["result"], sent["status"], sent["wechat_ms"]) == (
        "order-1",
        "sent",
        "sent",
        125.0,
    )
    assert (attempted["level"], attempted["errcode"]) == ("WARNING", 43101)
    assert "message_id" not in finished


CIRCUIT = {"account": "shop", "scope": "account", "class": "config", "errcode": 40164}
ANNOUNCED: dict[str, tuple[str, list[tuple[str, str]], bool]] = {
    "opened": ("circuit.opened", [("circuit opened", "WARNING")], True),
    "quota": ("quota.reached", [("quota reached", "WARNING")], True),
    "closed": ("circuit.closed", [("circuit closed", "INFO")], False),
    "failed": ("message.failed", [], False),
    "token": ("token.failed", [], False),
}


@pytest.mark.parametrize(("name", "lines", "counts"), ANNOUNCED.values(), ids=ANNOUNCED.keys())
def test_what_is_announced_of_circuits_is_logged_and_openings_are_counted(
    service: Service, capsys: Capture, *, name: str, lines: list[tuple[str, str]], counts: bool
) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent(name, CIRCUIT)], lambda: service.bus)
    assert [domain_event.detail_type for domain_event in service.bus.events] == [name]
    *told, _ = service.lines()
    assert [(line["message"], line["level"]) for line in told] == lines
    assert [{name: line[name] for name in CIRCUIT} for line in told] == [CIRCUIT] * len(lines)
    opened = [({}, 1), ({"account": "shop"}, 1)] if counts else []
    found = metrics(capsys.readouterr().out)
    assert of(found, "CircuitsOpened") == opened
    assert {metric.name for metric in found} <= {"CircuitsOpened"}


def test_no_bus_is_made_where_there_is_nothing_to_announce(service: Service) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([], break_down)
    assert [line["message"] for line in service.lines()] == ["invocation finished"]


def test_events_that_the_bus_did_not_take_are_counted(service: Service, capsys: Capture) -> None:
    service.bus.failing = "ServiceUnavailable"
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent("message.failed", {})] * 2, lambda: service.bus)
    assert of(metrics(capsys.readouterr().out), "EventsNotPublished") == [({}, 2)]
    (line,) = service.lines("events not published")
    assert (line["level"], line["count"]) == ("ERROR", 2)


def test_an_announcement_that_cannot_be_logged_is_published_all_the_same(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent("circuit.opened", CIRCUIT)], lambda: service.bus)
    assert len(service.bus.events) == len(service.lines("not reported")) == 1
    assert {metric.name for metric in metrics(capsys.readouterr().out)} == {"CircuitsOpened"}


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (answer(99999), [({}, 1)]),
        (answer(43101), []),
        (answer(-1), []),
        (answer(0), []),
        (lost(), []),
    ],
)
def test_an_errcode_that_nobody_knows_is_counted_for_an_alarm(
    service: Service, capsys: Capture, outcome: Outcome, counted: list[Any]
) -> None:
    attempt(service, outcome)
    assert of(metrics(capsys.readouterr().out), "UnknownErrcode") == counted


def test_a_name_that_may_be_a_persons_is_not_in_a_line(service: Service) -> None:
    warnings = [Violation(f"data.{OPENID}.value", "format", Bilingual("odd", "奇怪"))]
    attempt(service, answer(0), warnings=warnings)
    (line,) = service.lines("message attempted")
    assert line["warnings"] == ["data.?.value: format"]
    assert OPENID not in service.log.getvalue()


def test_a_message_whose_report_breaks_down_is_one_line(service: Service, capsys: Capture) -> None:
    attempt(service, answer(0), warnings=[SimpleNamespace(for_log=break_down)])
    line, finished = service.lines()
    assert (line["level"], line["message"], line["error"]) == ("ERROR", "not reported", "RuntimeError")
    assert line["raised_at"].startswith("telemetry.py:")
    assert finished["message"] == "invocation finished"
    assert OPENID not in service.log.getvalue()
    assert "s" * 32 not in service.log.getvalue()
    assert metrics(capsys.readouterr().out) == []


def test_a_refusal_whose_line_breaks_down_is_counted_all_the_same(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("expired")
    assert [line["message"] for line in service.lines()] == ["not reported", "invocation finished"]
    assert of(metrics(capsys.readouterr().out), "MessagesRefused") == [({}, 1), ({"reason": "expired"}, 1)]


def test_metrics_that_cannot_be_flushed_are_one_line(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Metrics, "flush", break_down)
    attempt(service, answer(43101))
    assert [line["message"] for line in service.lines()] == [
        "message attempted",
        "invocation finished",
        "not reported",
    ]


def test_metrics_that_cannot_be_flushed_do_not_hide_why_an_invocation_failed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Metrics, "flush", break_down)

    def fail() -> None:
        with service.telemetry.invocation(FakeContext()):
            service.telemetry.returned(1)
            raise KeyError

    with pytest.raises(InvocationError, match=r"^KeyError$"):
        fail()
    assert [line["message"] for line in service.lines()] == ["invocation failed", "not reported"]


def test_counts_are_summed_up_and_start_again(service: Service, capsys: Capture) -> None:
    with service.telemetry.invocation(FakeContext()):
        for reason in ("expired", "expired", "malformed_body"):
            service.telemetry.refused(reason, account="nobody")
        service.telemetry.returned(3)
    found = metrics(capsys.readouterr().out)
    assert of(found, "MessagesRefused") == [
        ({}, 2),
        ({"reason": "expired"}, 2),
        ({}, 1),
        ({"reason": "malformed_body"}, 1),
    ]
    assert of(found, "MessagesReturned") == [({}, 3)]
    with service.telemetry.invocation(FakeContext()):
        pass
    assert metrics(capsys.readouterr().out) == []


def sent_by(service: Service, *accounts: str) -> None:
    """One batch in which a message of each account was sent."""
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.returned(1)
        for account in accounts:
            delivery = Delivery(answer(0), 1, 0.125)
            sent = Sent(entry=entry(Status.SENT), delivery=delivery)
            service.telemetry.message(
                message(), sent, account=account, openid_hash=partial(hash_openid, key=KEY)
            )


def documents(capsys: Capture) -> list[dict[str, Any]]:
    """What is written for CloudWatch, but for cold starts."""
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [document for document in written if "ColdStart" not in document]


def test_a_batch_is_one_document_for_each_set_of_dimensions(service: Service, capsys: Capture) -> None:
    sent_by(service, *["shop"] * 99)
    returned, sent = written = documents(capsys)
    for document in written:
        assert document["_aws"].pop("Timestamp") / 1000 == pytest.approx(time.time(), abs=60)
    name = service.telemetry.logger.service
    directive = {
        "Namespace": "WeChatNotify",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "MessagesReturned", "Unit": "Count"}],
    }
    assert returned == {
        "_aws": {"CloudWatchMetrics": [directive]},
        "service": name,
        "MessagesReturned": [1],
    }
    directive = {
        "Namespace": "WeChatNotify",
        "Dimensions": [["service"], ["service", "account", "kind"]],
        "Metrics": [
            {"Name": "MessagesSent", "Unit": "Count"},
            {"Name": "WeChatLatency", "Unit": "Milliseconds"},
        ],
    }
    assert sent == {
        "_aws": {"CloudWatchMetrics": [directive]},
        "service": name,
        "account": "shop",
        "kind": "subscription",
        "MessagesSent": [99],
        "WeChatLatency": [125.0] * 99,
    }
    sent_by(service, "shop", "bank")
    assert [document.get("account") for document in documents(capsys)] == [None, "shop", "bank"]


@pytest.mark.parametrize(
    ("count", "values"), [(99, [99]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])]
)
def test_no_document_has_more_values_than_cloudwatch_takes(
    service: Service, capsys: Capture, count: int, values: list[int]
) -> None:
    sent_by(service, *["shop"] * count)
    sent = [document for document in documents(capsys) if "MessagesReturned" not in document]
    assert [len(document["WeChatLatency"]) for document in sent] == values
    assert sum(sum(document.get("MessagesSent", [])) for document in sent) == count


def test_a_cold_start_is_counted_once_by_function(service: Service, capsys: Capture) -> None:
    for _ in range(2):
        with service.telemetry.invocation(FakeContext()):
            pass
    found = metrics(capsys.readouterr().out, starts=True)
    assert found == [Metric("ColdStart", {"function_name": FakeContext.function_name}, 1.0, "Count")]


def test_a_cold_start_that_cannot_be_counted_costs_nothing_else(service: Service, capsys: Capture) -> None:
    with service.telemetry.invocation(SimpleNamespace()):
        service.telemetry.returned(1)
    assert [line["message"] for line in service.lines()] == ["invocation finished", "not reported"]
    assert of(metrics(capsys.readouterr().out), "MessagesReturned") == [({}, 1)]


def test_latencies_are_given_out_once(service: Service, capsys: Capture) -> None:
    for _ in range(2):
        attempt(service, answer(0))
        assert len(of(metrics(capsys.readouterr().out), "WeChatLatency")) == 2


def test_a_refused_message_has_a_line_and_its_account_is_no_dimension(
    service: Service, capsys: Capture
) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("unknown_account", account="nobody", message_id="order-1")
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"], line["message_id"]) == ("unknown_account", "nobody", "order-1")
    assert "nobody" not in capsys.readouterr().out


def test_a_refused_message_that_comes_again_is_counted_then(service: Service, capsys: Capture) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("internal_error", RuntimeError(), counts=False)
    assert len(service.lines("message refused")) == 1
    assert [(m.name, m.value) for m in metrics(capsys.readouterr().out)] == [("MessagesUnforeseen", 1)]


def test_an_invocation_without_a_correlation_id_has_none(service: Service) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("expired", correlation_id="m1")
    refused, finished = service.lines()
    assert (refused["correlation_id"], finished.get("correlation_id")) == ("m1", None)


def test_what_nobody_foresaw_is_logged_by_its_kind_and_place_but_not_its_text(service: Service) -> None:
    try:
        message("subscription", data={"thing1": {"value": "\x00"}})
    except Exception as error:  # noqa: BLE001 - any that passed our code
        error.args = ("secret",)
        service.telemetry.refused("internal_error", error)
    (line,) = service.lines("message refused")
    assert line["error"] == "InvalidMessageError"
    assert line["raised_at"].startswith("parser.py:")
    assert "secret" not in service.log.getvalue()


def test_what_the_refresher_did_is_counted_and_logged_account_by_account(
    service: Service, capsys: Capture
) -> None:
    token = AccessToken("57_secret", START + 7200, START - 600)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refreshed(
            [
                Refreshed("shop", token, calls=1),
                Refreshed("bank", token, calls=2, forced=True, stored=False),
                Refreshed("cafe", failure=answer(40164, "invalid ip 198.51.100.7"), calls=1),
                Refreshed("typo", failure=answer(40125)._replace(errcode=None)),
            ],
            START,
        )
    found = metrics(capsys.readouterr().out)
    by_account = [(dimensions, value) for dimensions, value in of(found, "TokenRefreshes") if dimensions]
    assert by_account == [
        ({"account": "shop"}, 1),
        ({"account": "bank"}, 2),
        ({"account": "cafe"}, 1),
        ({"account": "typo"}, 0),
    ]
    assert ({"account": "shop"}, 600.0) in of(found, "TokenAge")
    assert of(found, "TokenNotStored") == [({}, 1), ({"account": "bank"}, 1)]
    assert of(found, "TokenRefreshFailed") == [
        ({}, 1),
        ({"account": "cafe", "errcode": "40164"}, 1),
        ({}, 1),
        ({"account": "typo", "errcode": "none"}, 1),
    ]
    cafe, typo = service.lines("token refresh failed")
    assert (cafe["account"], cafe["errcode"], cafe["errmsg"]) == ("cafe", 40164, "invalid ip 198.51.100.7")
    assert (cafe["level"], cafe["class"], typo["account"]) == ("ERROR", "config", "typo")
    assert [line["account"] for line in service.lines("token not stored")] == ["bank"]
    assert [line["account"] for line in service.lines("token replaced by force")] == ["bank"]
    assert "57_secret" not in service.log.getvalue()


def test_an_invocation_that_fails_says_where_but_not_what(service: Service, capsys: Capture) -> None:
    def fail() -> None:
        with service.telemetry.invocation(FakeContext(), "request-1") as line:
            service.telemetry.returned(1)
            line["messages"] = 3
            message(data={"thing1": {"value": "57_secret\x00"}}, client_msg_id=f"{OPENID}")

    with pytest.raises(InvocationError, match=r"^InvalidMessageError$") as raised:
        fail()
    assert raised.value.__suppress_context__  # what Lambda prints ends here
    (line,) = service.lines()
    assert (line["level"], line["message"], line["error"]) == (
        "ERROR",
        "invocation failed",
        "InvalidMessageError",
    )
    assert line["raised_at"].startswith("parser.py:")
    assert line["messages"] == 3
    assert "57_secret" not in service.log.getvalue()
    assert OPENID not in service.log.getvalue()
    assert of(metrics(capsys.readouterr().out), "MessagesReturned") == [({}, 1)]


def test_one_invocation_leaves_nothing_to_the_next(service: Service) -> None:
    with service.telemetry.invocation(FakeContext(), "request-1") as line:
        line["account"] = "shop"
    with service.telemetry.invocation(FakeContext()):
        pass
    first, second = service.lines()
    assert (first["correlation_id"], second.get("correlation_id")) == ("request-1", None)
    assert (first["cold_start"], second["cold_start"]) == (True, False)
    assert "account" not in second


def test_metrics_are_one_json_document_a_line(service: Service, capsys: Capture) -> None:
    attempt(service, answer(43101))
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(document["service"] == service.telemetry.logger.service for document in documents)
    assert OPENID not in json.dumps(documents)
