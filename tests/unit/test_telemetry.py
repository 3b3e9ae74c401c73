"""Log lines, and the metrics that are counted beside them."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import nullcontext
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
    load_event,
    lost,
    message,
    metrics,
    unreachable,
)
from tests.unit.results import attempted, entry, report, values
from wechat_notify import bootstrap
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
    TryAgain,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.openid_hashes import hash_openid
from wechat_notify.core.outcomes import DomainEvent, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.refresher import Refreshed
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.core.violations import Violation
from wechat_notify.metrics import Metrics
from wechat_notify.telemetry import InvocationError

Capture = pytest.CaptureFixture[str]
Counted = dict[str, dict[str, str]]
"""The names of metrics, with what each is broken down by."""

KEY = b"a key for tests"
SECRET = "57_secret"


def texts(service: Service) -> list[str]:
    return [line["message"] for line in service.lines()]


def part(line: dict[str, Any], expected: Mapping[str, object]) -> dict[str, Any]:
    """Those fields of a line that a test expects."""
    return {name: line.get(name) for name in expected}


def test_openid_hash_is_keyed() -> None:
    assert hash_openid(OPENID, KEY) == hash_openid(OPENID, KEY)
    assert len({hash_openid(OPENID, KEY), hash_openid(OPENID, b"another"), hash_openid("o", KEY)}) == 3
    assert len(hash_openid(OPENID, KEY)) == 16


# ---------------------------------------------------------------- invocations


def test_invocations_share_no_fields(service: Service) -> None:
    with service.telemetry.invocation(FakeContext(), "request-1") as line:
        line["account"] = "shop"
    with service.telemetry.invocation(FakeContext()):
        pass
    first, second = service.lines()
    assert (first["account"], first["correlation_id"], first["cold_start"]) == ("shop", "request-1", True)
    assert second["cold_start"] is False
    assert not {"account", "correlation_id"} & second.keys()


@pytest.mark.parametrize("error", [None, ValueError], ids=["finished", "failed"])
def test_collector_is_on_after_an_invocation(service: Service, error: type[Exception] | None) -> None:
    gc.disable()
    with (
        pytest.raises(InvocationError) if error else nullcontext(),
        service.telemetry.invocation(FakeContext()),
    ):
        assert not gc.isenabled()
        if error:
            raise error
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_failed_invocation(service: Service, capsys: Capture) -> None:
    """Its line names the error and the place, without the error's text; its metrics are written."""

    def fail() -> None:
        with service.telemetry.invocation(FakeContext(), "request-1") as line:
            service.telemetry.returned(1)
            line["messages"] = 3
            message(data={"thing1": {"value": f"{SECRET}\x00"}}, client_msg_id=f"{OPENID}")

    with pytest.raises(InvocationError, match=r"^InvalidMessageError$") as raised:
        fail()
    # Lambda prints neither.
    assert raised.value.__suppress_context__
    assert raised.value.__cause__ is None
    (line,) = service.lines()
    expected = {"level": "ERROR", "message": "invocation failed", "error": "InvalidMessageError"}
    assert part(line, expected) == expected
    assert line["messages"] == 3
    assert line["raised_at"].startswith("parser.py:")
    assert SECRET not in service.log.getvalue()
    assert OPENID not in service.log.getvalue()
    assert values(metrics(capsys.readouterr().out), "MessagesReturned") == [({}, 1)]


def test_cold_start_that_cannot_be_counted(service: Service, capsys: Capture) -> None:
    """The other metrics are written all the same."""
    with service.telemetry.invocation(SimpleNamespace()):
        service.telemetry.returned(1)
    assert texts(service) == ["invocation finished", "not reported"]
    assert values(metrics(capsys.readouterr().out), "MessagesReturned") == [({}, 1)]


@pytest.mark.parametrize("error", [None, KeyError], ids=["finished", "failed"])
def test_metrics_that_cannot_be_written(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    """What the invocation came to stays as it is."""
    monkeypatch.setattr(Metrics, "flush", break_down)
    with (
        pytest.raises(InvocationError, match=r"^KeyError$") if error else nullcontext(),
        service.telemetry.invocation(FakeContext()),
    ):
        if error:
            raise error
    assert texts(service) == ["invocation failed" if error else "invocation finished", "not reported"]


# ---------------------------------------------------------------- messages


def test_line_of_a_sent_message(service: Service) -> None:
    """A field's name comes from the caller and may be an openid: it is masked in warnings."""
    warning = Violation(f"data.{OPENID}.value", "format", Bilingual("odd", "奇怪"))
    result = attempted(answer(0, msgid=1864323726461255680))
    report(service, result, warnings=[warning], message_id="order-1", receive_count=1)
    line, finished = service.lines()
    assert finished["message"] == "invocation finished"
    for each in (line, finished):
        assert each["timestamp"].endswith(("Z", "+00:00"))
        assert (each["correlation_id"], each["function_request_id"]) == (
            "request-1",
            FakeContext.aws_request_id,
        )
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
        "warnings": ["data.?.value: format"],
        "receive_count": 1,
    }


REFUSED = attempted(answer(47003, "argument invalid! data.thing1.value invalid", field="thing1"))
UNANSWERED = TryAgain(
    entry=entry(Status.FAILED, attempts=3),
    exchange=Exchange(unreachable(), 1, 0.1),
    outcome=unreachable(),
    after=2.0,
)
NO_TOKEN: dict[str, Any] = {"exchange": Exchange(answer(40125), 0, 0.0), "outcome": answer(40125)}
UNTRIED = TryAgain(**NO_TOKEN, after=2.0)
RID = "66695e1c-5d4a8e9f-0b2c3d4e"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (REFUSED, {"errcode": 47003, "class": "request", "field": "thing1", "rid": RID}),
        (UNANSWERED, {"attempts": 3, "cause": "ConnectTimeout"}),
        (UNTRIED, {"errcode": 40125, "attempts": None}),
    ],
    ids=["refused by WeChat", "no answer, attempts as in the ledger", "no token"],
)
def test_line_of_a_failed_message(service: Service, result: Result, expected: dict[str, Any]) -> None:
    report(service, result)
    line, _ = service.lines()
    assert part(line, expected) == expected


SHOP = {"account": "shop"}
KIND = {"kind": "subscription"}
LATENCY = {"WeChatLatency": SHOP | KIND}
UNKNOWN: Counted = {"UnknownErrcode": {}}
NOT_RECORDED: Counted = {"AnswersNotRecorded": {}}


def failed(error_class: str, errcode: str, **account: str) -> Counted:
    return {"MessagesFailed": {**account, "class": error_class, "errcode": errcode}}


def replayed(result: str) -> Counted:
    return {"MessagesReplayed": {"result": result}}


SENT, SENDING, QUEUED, FAILED = map(entry, (Status.SENT, Status.SENDING, Status.QUEUED, Status.FAILED))
NEVER_TRIED = entry(Status.QUEUED, attempts=0)
HELD = Held(outcome=answer(45009), after=900.0)
BUSY: dict[str, Any] = {"exchange": Exchange(answer(-1), 1, 0.125), "outcome": answer(-1), "after": 2.0}
ACCEPTED: dict[str, Any] = {"exchange": Exchange(answer(0), 1, 0.125), "outcome": answer(0)}
GIVEN_UP = entry(Status.FAILED, attempts=0)
# The level of a result's line, the result, its name, and its metrics with what each is broken down by.
RESULTS: list[tuple[str, Result, str, Counted]] = [
    ("DEBUG", attempted(answer(0)), "sent", LATENCY | {"MessagesSent": SHOP | KIND}),
    ("WARNING", attempted(answer(43101)), "failed", LATENCY | failed("recipient", "43101", **SHOP)),
    ("WARNING", attempted(answer(99999)), "failed", LATENCY | failed("other", "other", **SHOP) | UNKNOWN),
    ("WARNING", attempted(lost()), "unknown", LATENCY | {"MessagesUnknown": SHOP | KIND}),
    ("WARNING", Failed(entry=FAILED, **NO_TOKEN), "failed", failed("config", "40125", **SHOP)),
    ("WARNING", RetryAt(entry=QUEUED, **BUSY), "retry_at", LATENCY),
    ("WARNING", TryAgain(entry=FAILED, **BUSY), "try_again", LATENCY | failed("transient", "-1", **SHOP)),
    ("ERROR", Unrecorded(entry=SENDING, after=100.0, **ACCEPTED), "unrecorded", LATENCY | NOT_RECORDED),
    ("INFO", Replayed(entry=SENT, **ACCEPTED), "replayed", LATENCY),
    ("WARNING", UNTRIED, "try_again", failed("config", "40125")),
    ("WARNING", RetryAt(entry=NEVER_TRIED, **NO_TOKEN, after=2.0), "retry_at", {}),
    ("DEBUG", HELD, "held", {"MessagesHeld": SHOP}),
    ("INFO", Queued(entry=NEVER_TRIED), "queued", {}),
    ("INFO", Replayed(entry=NEVER_TRIED), "replayed", replayed("replayed")),
    ("INFO", InFlight(entry=SENDING, after=30.0), "in_flight", replayed("in_flight")),
    ("INFO", NotDue(entry=QUEUED, after=30.0), "not_due", replayed("not_due")),
    ("WARNING", IdReused(entry=SENT), "id_reused", replayed("id_reused")),
    ("WARNING", Expired(entry=entry(Status.EXPIRED, attempts=0)), "expired", {"MessagesExpired": KIND}),
    ("WARNING", Expired(entry=entry(Status.EXPIRED)), "expired", {"MessagesExpired": SHOP | KIND}),
    ("WARNING", Unknown(entry=entry(Status.UNKNOWN)), "unknown", {"MessagesUnknown": SHOP | KIND}),
    ("WARNING", Failed(entry=GIVEN_UP, outcome=answer(45009)), "failed", failed("quota", "45009")),
]


@pytest.mark.parametrize(("level", "result", "name", "counted"), RESULTS)
def test_line_and_metrics_of_each_result(
    service: Service, capsys: Capture, *, level: str, result: Result, name: str, counted: Counted
) -> None:
    """Each metric is written in total and, where it is broken down, once more with its dimensions."""
    service.telemetry.logger.setLevel("DEBUG")
    report(service, result)
    line, _ = service.lines()
    assert (line["level"], line["result"]) == (level, name)
    assert line["message"] == ("message attempted" if result.attempted else "message not attempted")
    found = metrics(capsys.readouterr().out)
    assert {metric.name for metric in found} == counted.keys()
    for metric, dimensions in counted.items():
        value = 125.0 if metric == "WeChatLatency" else 1
        assert values(found, metric) == [(each, value) for each in ([{}, dimensions] if dimensions else [{}])]


@pytest.mark.parametrize("result", [attempted(answer(0)), HELD], ids=["sent", "held"])
def test_result_without_a_line(service: Service, result: Result) -> None:
    """At INFO, the level as deployed."""
    report(service, result)
    assert texts(service) == ["invocation finished"]


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_single_message_of_an_invocation(service: Service, level: str) -> None:
    """A success stands in the line of the invocation; a failure has a line of its own."""
    service.telemetry.logger.setLevel(level)
    for outcome in (answer(0), answer(43101)):
        report(service, attempted(outcome), message_id="order-1", alone=True)
    sent, failed, finished = service.lines()
    expected = {"message_id": "order-1", "result": "sent", "status": "sent", "wechat_ms": 125.0}
    assert part(sent, expected) == expected
    assert (failed["level"], failed["errcode"]) == ("WARNING", 43101)
    assert sent["message"] == finished["message"] == "invocation finished"
    assert "message_id" not in finished


def test_message_that_cannot_be_reported(service: Service, capsys: Capture) -> None:
    """One line says so, without the error's text; nothing is counted."""
    report(service, attempted(answer(0)), warnings=[SimpleNamespace(for_log=break_down)])
    line, finished = service.lines()
    expected = {"level": "ERROR", "message": "not reported", "error": "RuntimeError"}
    assert part(line, expected) == expected
    assert line["raised_at"].startswith("telemetry.py:")
    assert finished["message"] == "invocation finished"
    assert OPENID not in service.log.getvalue()
    assert "s" * 32 not in service.log.getvalue()
    assert metrics(capsys.readouterr().out) == []


# ---------------------------------------------------------------- refusals


def test_line_and_metric_of_a_refusal(service: Service, capsys: Capture) -> None:
    """Nobody has stored this account: as a dimension each such name would be billed as a metric."""
    fields: dict[str, Any] = {"account": "nobody", "message_id": "order-1"}
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("unknown_account", correlation_id="m1", **fields)
    refused, finished = service.lines()
    expected = {"message": "message refused", "reason": "unknown_account", "correlation_id": "m1", **fields}
    assert part(refused, expected) == expected
    assert "correlation_id" not in finished
    by_reason = {"reason": "unknown_account"}
    assert values(metrics(capsys.readouterr().out), "MessagesRefused") == [({}, 1), (by_reason, 1)]


def test_refusal_after_an_unexpected_error(service: Service, capsys: Capture) -> None:
    """Its line names the error and the place, without its text; it is counted when it comes again."""
    with service.telemetry.invocation(FakeContext()):
        try:
            message("subscription", data={"thing1": {"value": "\x00"}})
        except Exception as error:  # noqa: BLE001 - any that passed our code
            error.args = (SECRET,)
            service.telemetry.refused("internal_error", error, counts=False)
    (line,) = service.lines("message refused")
    assert line["error"] == "InvalidMessageError"
    assert line["raised_at"].startswith("parser.py:")
    assert SECRET not in service.log.getvalue()
    assert metrics(capsys.readouterr().out) == [Metric("MessagesUnforeseen", {}, 1, "Count")]


def test_refusal_that_cannot_be_logged(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted all the same."""
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("expired")
    assert texts(service) == ["not reported", "invocation finished"]
    found = metrics(capsys.readouterr().out)
    assert values(found, "MessagesRefused") == [({}, 1), ({"reason": "expired"}, 1)]


# ---------------------------------------------------------------- events


def example(detail_type: str) -> DomainEvent:
    event = load_event(f"published/{detail_type.replace('.', '_')}")
    return DomainEvent(detail_type, event["detail"])


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("circuit.opened", [("circuit opened", "WARNING")]),
        ("quota.reached", [("quota reached", "WARNING")]),
        ("circuit.closed", [("circuit closed", "INFO")]),
        ("message.failed", []),
        ("token.failed", []),
    ],
)
def test_published_events(
    service: Service, capsys: Capture, *, name: str, lines: list[tuple[str, str]]
) -> None:
    """Those of circuits have a line; a circuit that opens is counted."""
    event = example(name)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([event], lambda: service.bus)
    assert service.bus.events == [event]
    *told, _ = service.lines()
    assert [(line["message"], line["level"]) for line in told] == lines
    assert [part(line, event.detail) for line in told] == [event.detail] * len(lines)
    opened = [Metric("CircuitsOpened", dimensions, 1, "Count") for dimensions in ({}, SHOP)]
    opens = name in {"circuit.opened", "quota.reached"}
    assert metrics(capsys.readouterr().out) == (opened if opens else [])


def test_without_events_no_bus(service: Service) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([], break_down)
    assert texts(service) == ["invocation finished"]


@pytest.mark.parametrize("trouble", ["refused", "made", "used"])
def test_events_that_are_not_published(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Whatever the bus does, the invocation ends well."""
    if trouble == "refused":
        service.bus.failing = "ServiceUnavailable"
    else:
        owner, name = (bootstrap, "event_bus") if trouble == "made" else (service.bus, "publish")
        monkeypatch.setattr(owner, name, break_down)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([example("message.failed")] * 2, bootstrap.event_bus)
    (line,) = service.lines("events not published")
    assert (line["level"], line["count"]) == ("ERROR", 2)
    assert len(service.lines("not reported")) == (trouble != "refused")
    assert OPENID not in service.log.getvalue()
    assert values(metrics(capsys.readouterr().out), "EventsNotPublished") == [({}, 2)]


def test_event_that_cannot_be_logged(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted and published all the same."""
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([example("circuit.opened")], lambda: service.bus)
    assert len(service.bus.events) == len(service.lines("not reported")) == 1
    assert {metric.name for metric in metrics(capsys.readouterr().out)} == {"CircuitsOpened"}


# ---------------------------------------------------------------- the refresher


def test_lines_and_metrics_of_the_refresher(service: Service, capsys: Capture) -> None:
    token = AccessToken(SECRET, START + 7200, START - 600)
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
    *lines, _ = service.lines()
    assert [(line["message"], line["level"], line["account"]) for line in lines] == [
        ("token not stored", "ERROR", "bank"),
        ("token replaced by force", "WARNING", "bank"),
        ("token refresh failed", "ERROR", "cafe"),
        ("token refresh failed", "ERROR", "typo"),
    ]
    cafe = {
        "errcode": 40164,
        "errmsg": "invalid ip 198.51.100.7",
        "class": "config",
        "hint": "What to do about 40164.",
    }
    assert part(lines[2], cafe) == cafe
    assert SECRET not in service.log.getvalue()
    found = metrics(capsys.readouterr().out)
    broken_down = {(m.name, *m.dimensions.values()): (m.value, m.unit) for m in found if m.dimensions}
    assert broken_down == {
        ("TokenRefreshes", "shop"): (1, "Count"),
        ("TokenRefreshes", "bank"): (2, "Count"),
        ("TokenRefreshes", "cafe"): (1, "Count"),
        ("TokenRefreshes", "typo"): (0, "Count"),
        ("TokenAge", "shop"): (600.0, "Seconds"),
        ("TokenAge", "bank"): (600.0, "Seconds"),
        ("TokenNotStored", "bank"): (1, "Count"),
        ("TokenRefreshFailed", "cafe", "40164"): (1, "Count"),
        ("TokenRefreshFailed", "typo", "none"): (1, "Count"),
    }
