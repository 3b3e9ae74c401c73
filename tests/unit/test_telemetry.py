"""Log lines; the metrics beside them have ``test_metrics.py``."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import OPENID, START, FakeContext, Service, answer, break_down, message, metrics, unreachable
from tests.unit.results import RESULTS, attempted, entry, report, values
from wechat_notify.core.delivery.results import Result, TryAgain
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.outcomes import Bilingual, DomainEvent, Status
from wechat_notify.core.tokens.refresher import Refreshed
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.core.violations import Violation
from wechat_notify.metrics import Metrics
from wechat_notify.telemetry import InvocationError, hash_openid

Capture = pytest.CaptureFixture[str]

KEY = b"a key for tests"
SECRET = "57_secret"
CIRCUIT = {"account": "shop", "scope": "account", "class": "config", "errcode": 40164}


def texts(service: Service) -> list[str]:
    return [line["message"] for line in service.lines()]


def part(line: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Those fields of a line that a test expects."""
    return {name: line.get(name) for name in expected}


def test_openid_hash_is_keyed() -> None:
    assert hash_openid(OPENID, KEY) == hash_openid(OPENID, KEY)
    assert len({hash_openid(OPENID, KEY), hash_openid(OPENID, b"another"), hash_openid("o", KEY)}) == 3
    assert len(hash_openid(OPENID, KEY)) == 16


def test_lines_of_one_invocation(service: Service) -> None:
    report(service, attempted(answer(43101)))
    assert texts(service) == ["message attempted", "invocation finished"]
    for line in service.lines():
        assert line["correlation_id"] == "request-1"
        assert line["function_request_id"] == FakeContext.aws_request_id
        assert line["timestamp"].endswith(("Z", "+00:00"))


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
    expected = {
        "level": "ERROR",
        "message": "invocation failed",
        "error": "InvalidMessageError",
        "messages": 3,
    }
    assert part(line, expected) == expected
    assert line["raised_at"].startswith("parser.py:")
    assert SECRET not in service.log.getvalue()
    assert OPENID not in service.log.getvalue()
    assert values(metrics(capsys.readouterr().out), "MessagesReturned") == [({}, 1)]


def test_line_of_a_sent_message(service: Service) -> None:
    warning = Violation("data.thing1.value", "format", Bilingual("odd", "奇怪"))
    result = attempted(answer(0, msgid=1864323726461255680))
    report(service, result, warnings=[warning], message_id="order-1", receive_count=1)
    (line,) = service.lines("message attempted")
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


UNANSWERED = Delivery(unreachable(), 1, 0.1)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param(
            attempted(answer(47003, "argument invalid! data.thing1.value invalid", field="thing1")),
            {
                "level": "WARNING",
                "message": "message attempted",
                "errcode": 47003,
                "class": "request",
                "field": "thing1",
                "rid": "66695e1c-5d4a8e9f-0b2c3d4e",
            },
            id="refused by WeChat",
        ),
        pytest.param(
            TryAgain(
                entry=entry(Status.FAILED, attempts=3),
                delivery=UNANSWERED,
                outcome=UNANSWERED.outcome,
                after=2.0,
            ),
            {"message": "message attempted", "attempts": 3, "cause": "ConnectTimeout"},
            id="no answer, attempts as in the ledger",
        ),
        pytest.param(
            RESULTS["no token, over HTTP"],
            {"message": "message not attempted", "result": "try_again", "errcode": 40125, "attempts": None},
            id="no token",
        ),
    ],
)
def test_line_of_a_failed_message(service: Service, result: Result, expected: dict[str, Any]) -> None:
    report(service, result)
    line, _ = service.lines()
    assert part(line, expected) == expected


LEVELS = {
    "sent": ("DEBUG", "sent"),
    "refused by the recipient": ("WARNING", "failed"),
    "failed while WeChat is busy": ("WARNING", "failed"),
    "failed with an unknown errcode": ("WARNING", "failed"),
    "answer lost": ("WARNING", "unknown"),
    "failed without an attempt": ("WARNING", "failed"),
    "returned to the queue": ("WARNING", "retry_at"),
    "caller is told to repeat": ("WARNING", "try_again"),
    "answer not recorded": ("ERROR", "unrecorded"),
    "sent by another invocation meanwhile": ("INFO", "replayed"),
    "no token, over HTTP": ("WARNING", "try_again"),
    "no token, from the queue": ("WARNING", "retry_at"),
    "held": ("DEBUG", "held"),
    "queued": ("INFO", "queued"),
    "queued before": ("INFO", "replayed"),
    "failed before": ("INFO", "replayed"),
    "in flight": ("INFO", "in_flight"),
    "not due": ("INFO", "not_due"),
    "id reused": ("WARNING", "id_reused"),
    "expired": ("WARNING", "expired"),
    "expired after an attempt": ("WARNING", "expired"),
    "holder crashed": ("WARNING", "unknown"),
    "given up": ("WARNING", "failed"),
    "no time left": ("WARNING", "retry_at"),
}


@pytest.mark.parametrize("case", RESULTS)
def test_level_of_each_result(service: Service, case: str) -> None:
    service.telemetry.logger.setLevel("DEBUG")
    report(service, RESULTS[case])
    line, _ = service.lines()
    assert (line["level"], line["result"]) == LEVELS[case]
    assert line["message"] == ("message attempted" if RESULTS[case].attempted else "message not attempted")


@pytest.mark.parametrize("case", ["sent", "held"])
def test_result_without_a_line(service: Service, case: str) -> None:
    """At INFO, the level as deployed."""
    report(service, RESULTS[case])
    assert texts(service) == ["invocation finished"]


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_single_message_of_an_invocation(service: Service, level: str) -> None:
    """A success stands in the line of the invocation; a failure has a line of its own."""
    service.telemetry.logger.setLevel(level)
    for outcome in (answer(0), answer(43101)):
        report(service, attempted(outcome), message_id="order-1", alone=True)
    sent, failed, finished = service.lines()
    expected = {
        "message": "invocation finished",
        "message_id": "order-1",
        "result": "sent",
        "status": "sent",
        "wechat_ms": 125.0,
    }
    assert part(sent, expected) == expected
    assert (failed["level"], failed["errcode"]) == ("WARNING", 43101)
    assert finished["message"] == "invocation finished"
    assert "message_id" not in finished


def test_names_in_warnings_are_masked(service: Service) -> None:
    """A field's name comes from the caller and may be an openid."""
    warnings = [Violation(f"data.{OPENID}.value", "format", Bilingual("odd", "奇怪"))]
    report(service, attempted(answer(0)), warnings=warnings)
    (line,) = service.lines("message attempted")
    assert line["warnings"] == ["data.?.value: format"]
    assert OPENID not in service.log.getvalue()


def test_line_of_a_refusal(service: Service) -> None:
    fields: dict[str, Any] = {"account": "nobody", "message_id": "order-1"}
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("unknown_account", correlation_id="m1", **fields)
    refused, finished = service.lines()
    expected = {"message": "message refused", "reason": "unknown_account", "correlation_id": "m1", **fields}
    assert part(refused, expected) == expected
    assert "correlation_id" not in finished


def test_refusal_after_an_unexpected_error(service: Service) -> None:
    """Its line names the error and the place, without the error's text."""
    try:
        message("subscription", data={"thing1": {"value": "\x00"}})
    except Exception as error:  # noqa: BLE001 - any that passed our code
        error.args = (SECRET,)
        service.telemetry.refused("internal_error", error)
    (line,) = service.lines("message refused")
    assert line["error"] == "InvalidMessageError"
    assert line["raised_at"].startswith("parser.py:")
    assert SECRET not in service.log.getvalue()


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
def test_lines_of_published_events(service: Service, name: str, lines: list[tuple[str, str]]) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent(name, CIRCUIT)], lambda: service.bus)
    assert [domain_event.detail_type for domain_event in service.bus.events] == [name]
    *told, _ = service.lines()
    assert [(line["message"], line["level"]) for line in told] == lines
    assert [part(line, CIRCUIT) for line in told] == [CIRCUIT] * len(lines)


def test_without_events_no_bus(service: Service) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([], break_down)
    assert texts(service) == ["invocation finished"]


def test_line_of_unpublished_events(service: Service) -> None:
    service.bus.failing = "ServiceUnavailable"
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent("message.failed", {})] * 2, lambda: service.bus)
    (line,) = service.lines("events not published")
    assert (line["level"], line["count"]) == ("ERROR", 2)


def test_lines_of_the_refresher(service: Service) -> None:
    token = AccessToken(SECRET, START + 7200, START - 600)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refreshed(
            [
                Refreshed("shop", token, calls=1),
                Refreshed("bank", token, calls=2, forced=True, stored=False),
                Refreshed("cafe", failure=answer(40164, "invalid ip 198.51.100.7"), calls=1),
                Refreshed("typo", failure=answer(40125)),
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


def test_event_that_cannot_be_logged(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted and published all the same."""
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent("circuit.opened", CIRCUIT)], lambda: service.bus)
    assert len(service.bus.events) == len(service.lines("not reported")) == 1
    assert {metric.name for metric in metrics(capsys.readouterr().out)} == {"CircuitsOpened"}


def test_cold_start_that_cannot_be_counted(service: Service, capsys: Capture) -> None:
    """The other metrics are written all the same."""
    with service.telemetry.invocation(SimpleNamespace()):
        service.telemetry.returned(1)
    assert texts(service) == ["invocation finished", "not reported"]
    assert values(metrics(capsys.readouterr().out), "MessagesReturned") == [({}, 1)]


def test_metrics_that_cannot_be_written(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metrics, "flush", break_down)
    report(service, attempted(answer(43101)))
    assert texts(service) == ["message attempted", "invocation finished", "not reported"]


def test_failed_flush_hides_no_error(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metrics, "flush", break_down)

    def fail() -> None:
        with service.telemetry.invocation(FakeContext()):
            service.telemetry.returned(1)
            raise KeyError

    with pytest.raises(InvocationError, match=r"^KeyError$"):
        fail()
    assert texts(service) == ["invocation failed", "not reported"]
