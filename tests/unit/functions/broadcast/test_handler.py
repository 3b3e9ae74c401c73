"""Events of the steps' queue: done, refused, given back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.broadcast.handler import lambda_handler
from tests.fakes import OPENID, OTHER_OPENID, FakeContext, Service, answer
from tests.unit.functions.broadcast.steps import body_of, event, handle, run
from tests.unit.functions.send_queue.events import Capture, totals
from tests.unit.functions.team_api.broadcasts import BODY, ONE, create, results, upload
from wechat_notify.core.broadcasts.scheduled import creation_body, scheduled_id

FIRING = "weekly-2026-03-01T07:00:00Z"


def started(service: Service) -> str:
    """A broadcast that runs; return its next step."""
    create(BODY, key="b")
    record = service.broadcast_store.broadcasts["shop", "b"]
    return json.dumps({"account": "shop", "broadcast": "b", "step": record.step})


def test_step_is_done(service: Service) -> None:
    assert handle(started(service)) == []
    assert service.rows.taken == 2
    (line,) = service.lines("invocation finished")[-1:]
    assert line["returned"] == 0
    assert (line["account"], line["broadcast"]) == ("shop", "b")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "7",
        '"step"',
        "{}",
        '{"account": "shop", "step": 1}',
        '{"account": 7, "broadcast": "b", "step": 1}',
        '{"account": "shop", "id": ["b"], "broadcast": {}}',
        '{"account": "../shop", "id": "b", "broadcast": {}}',
        '{"account": "Shop", "broadcast": "b", "step": 1}',
        '{"account": "shop", "broadcast": "a#b", "step": 1}',
        f'{{"account": "shop", "broadcast": "{"b" * 3000}", "step": 1}}',
        "\ud800",
    ],
)
def test_unreadable_step_is_dropped(service: Service, capsys: Capture, body: str) -> None:
    assert handle(body) == []
    (line,) = service.lines("message refused")
    assert line["reason"] == "malformed_body"
    assert totals(capsys)["MessagesRefused"] == 1


@pytest.mark.parametrize(
    "step",
    [
        {"account": "shop", "broadcast": "unknown", "step": 0},
        {"account": "other", "broadcast": "b", "step": 1},
        {"account": "shop", "broadcast": "b", "step": 99},
        {"account": "shop", "broadcast": "b", "step": "1"},
    ],
)
def test_step_of_nothing_does_nothing(service: Service, step: dict[str, Any]) -> None:
    started(service)
    before = service.broadcast_store.history[-1]
    assert handle(json.dumps(step)) == []
    assert service.broadcast_store.history[-1] == before
    assert service.rows.taken == 0


@pytest.mark.parametrize("visibility", [None, "AccessDenied"])
def test_failed_step_comes_again(service: Service, visibility: str | None) -> None:
    """After ten seconds; after the queue's own timeout where that cannot be said either."""
    step = started(service)
    service.rows.failing = "OverLimit"
    service.step_queue.failing = visibility
    assert handle(step) == ["m0"]
    (line,) = service.lines("invocation finished")[-1:]
    assert (line["returned"], line["reason"]) == (1, "storage")
    assert "OverLimit" in line["detail"]
    service.rows.failing = None
    assert handle(step) == []
    assert service.rows.taken == 2


@pytest.mark.parametrize(("received", "seconds"), [("1", 10), ("3", 30), ("90", 900), ("1000", 900)])
def test_failures_are_further_and_further_apart(service: Service, received: str, seconds: int) -> None:
    """SQS gives a message up after a thousand, and the broadcast would stand still."""
    asked = event(started(service))
    asked["Records"][0]["attributes"] |= {"ApproximateReceiveCount": received}
    service.rows.failing = "AccessDenied"
    lambda_handler(asked, FakeContext())
    assert list(service.step_queue.handed_out_again.values()) == [seconds]


def test_failed_step_stops_no_other(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    step = started(service)
    service.broadcast_store.failing["read"] = "ThrottlingException"
    assert handle(step, "{}", step) == ["m0", "m2"]
    assert len(service.lines("message refused")) == 1
    monkeypatch.undo()


def test_doubled_steps_send_once(service: Service) -> None:
    service.steps.doubled = True
    create(BODY, key="b")
    run(service)
    assert [message.touser for message in service.wechat.accepted] == [OPENID, OTHER_OPENID]
    assert service.broadcast_store.broadcasts["shop", "b"].state == "finished"


def test_schedule_creates_one_broadcast(service: Service) -> None:
    """However often its firing is delivered."""
    body = creation_body("shop", FIRING, BODY)
    assert handle(body) == []
    assert handle(body) == []
    run(service)
    assert len(service.wechat.accepted) == 2
    (record,) = service.broadcast_store.broadcasts.values()
    assert (record.id, record.state) == (scheduled_id(FIRING), "finished")
    line = service.lines("invocation finished")[0]
    assert (line["broadcast"], line["schedule"]) == (record.id, FIRING)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "invalid_fields"),
        ("text", "invalid_fields"),
        (BODY | {"expires_at": "2026-03-01T00:00:00Z"}, "invalid_fields"),
        ({"message": BODY["message"], "upload": "expired"}, "unknown_upload"),
    ],
)
def test_schedule_of_nothing_possible(service: Service, asked: object, reason: str) -> None:
    assert handle(creation_body("shop", FIRING, asked)) == []
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"], line["schedule"]) == (reason, "shop", FIRING)
    assert service.broadcast_store.broadcasts == {}
    assert service.objects.objects == {}


def test_schedule_comes_again_after_a_failure(service: Service) -> None:
    service.objects.failing["write"] = "SlowDown"
    assert handle(creation_body("shop", FIRING, BODY)) == ["m0"]
    assert service.broadcast_store.broadcasts == {}


def test_upload_that_is_replaced_meanwhile(service: Service) -> None:
    file = upload(service, b"openid,gift\n" + f"{OPENID},a\n".encode())
    create({"message": BODY["message"], "upload": file}, key="b")
    service.objects.write(f"shop/uploads/{file}", b"openid,gift\n" + f"{OTHER_OPENID},a\n".encode())
    run(service)
    record = service.broadcast_store.broadcasts["shop", "b"]
    assert (record.state, record.reason) == ("failed", "upload_changed")
    assert service.wechat.attempts == []


def test_nobody_is_named(service: Service, capsys: Capture) -> None:
    """Neither in a log line, an event, a metric nor the table: openids stand in the bucket alone."""
    service.wechat.plan.extend([answer(43101)])
    file = upload(service, f"openid,gift\n{OPENID},a\n{OTHER_OPENID},b\n{OPENID},c\n{OPENID}\n".encode())
    create({"message": BODY["message"], "upload": file}, key="b")
    run(service)
    handle(json.dumps({"account": "shop", OPENID: OPENID}), creation_body("shop", FIRING, {OPENID: OPENID}))
    service.rows.failing = "OverLimit"
    create({"message": BODY["message"], "recipients": [ONE]}, key="c")
    step = service.steps.receive()
    assert step is not None
    assert handle(body_of(step)) == []
    assert [row["status"] for row in results(service, "b")] == ["failed", "sent", "duplicate", "invalid"]
    events = [[each.detail_type, each.detail] for each in service.bus.events]
    assert "broadcast.finished" in json.dumps(events)
    stored = repr(service.broadcast_store.history) + repr(service.broadcast_store.chunks)
    seen = service.log.getvalue() + capsys.readouterr().out + json.dumps(events) + stored
    for hidden in (OPENID, OTHER_OPENID, "token-1-of"):
        assert hidden not in seen
