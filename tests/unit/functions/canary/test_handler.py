from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from functions.canary.handler import lambda_handler
from tests.fakes import OPENID, FakeContext, Service, answer, body, load_event, lost, metrics
from tests.unit.functions.canary.door import FakeOrders, HandlersDoor
from tests.unit.results import entry, values
from wechat_notify.bootstrap import canary
from wechat_notify.core.canary import Canary, CanaryOrder
from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.core.delivery.receipts import Match, Settled
from wechat_notify.core.messages.identifiers import is_canary_id
from wechat_notify.core.messages.kinds import MODELS, Template
from wechat_notify.core.outcomes import Outcome, Status

MESSAGE = {name: value for name, value in body("template").items() if name != "touser"}
TO_A_PERSON = {"account": "shop", "message": MESSAGE, "openid": OPENID}
REHEARSAL = {"account": "shop", "message": MESSAGE}
RUN = "canary-20260301T070500Z"
Capture = pytest.CaptureFixture[str]
Prepare = Callable[..., HandlersDoor]


@pytest.fixture
def prepare(service: Service, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    def with_order(**order: Any) -> HandlersDoor:
        door = HandlersDoor(service)
        part = Canary(FakeOrders(**order), door, clock=service.clock.now, sleep=service.clock.sleep)
        monkeypatch.setattr(canary, "canary", lambda: part)
        return door

    return with_order


def run(event: object = None) -> dict[str, Any]:
    seen: dict[str, Any] = lambda_handler(
        load_event("canary/schedule") if event is None else event, FakeContext()
    )
    return seen


def told(capsys: Capture) -> dict[str, float]:
    return {
        metric.name: metric.value
        for metric in metrics(capsys.readouterr().out)
        if metric.name.startswith("Canary") and not metric.dimensions
    }


def test_message_arrives(service: Service, prepare: Prepare, capsys: Capture) -> None:
    prepare(**TO_A_PERSON)
    seen = run()
    assert seen["result"] == "arrived"
    assert (seen["step"], seen["message_id"], seen["dry_run"]) == ("sent", RUN, False)
    assert [sent.touser for sent, _ in service.wechat.attempts] == [OPENID]
    assert told(capsys) == {"CanaryDelivered": 1.0, "CanaryLatency": seen["latency_ms"]}
    assert OPENID not in service.log.getvalue() + json.dumps(seen)
    line = [line for line in service.lines("invocation finished") if line.get("step") == "sent"]
    assert line[0]["message_id"] == RUN


def test_second_delivery_of_a_run_sends_nothing(service: Service, prepare: Prepare, capsys: Capture) -> None:
    """And measures nothing: its answer is the first one's."""
    prepare(**TO_A_PERSON)
    run()
    capsys.readouterr()
    assert run()["result"] == "arrived"
    assert len(service.wechat.attempts) == 1
    assert told(capsys) == {"CanaryDelivered": 1.0}


def test_refusal_names_errcode(service: Service, prepare: Prepare, capsys: Capture) -> None:
    prepare(**TO_A_PERSON)
    service.wechat.plan.append(answer(43101))
    seen = run()
    assert (seen["result"], seen["step"], seen["errcode"]) == ("failed", "send", 43101)
    assert seen["class"] == "recipient"
    assert told(capsys)["CanaryDelivered"] == 0.0


@pytest.mark.parametrize("event", [None, {}], ids=["scheduled", "by_hand"])
@pytest.mark.parametrize("answered", [answer(0), answer(43101), lost()], ids=["sent", "failed", "unknown"])
def test_no_message_of_a_team(
    service: Service, prepare: Prepare, capsys: Capture, event: object, answered: Outcome
) -> None:
    """288 a day would hide the few of a small stage: only the calls to WeChat are measured with theirs."""
    prepare(**TO_A_PERSON)
    service.wechat.plan.append(answered)
    run(event)
    found = {metric.name for metric in metrics(capsys.readouterr().out)}
    assert {name for name in found if not name.startswith("Canary")} == {"WeChatLatency"}


@pytest.mark.parametrize(("message_id", "counted"), [(RUN, []), (f"{RUN}-2", [({}, 1.0)])])
def test_receipts_of_its_messages(
    service: Service, capsys: Capture, message_id: str, counted: list[tuple[dict[str, str], float]]
) -> None:
    delivered = entry(Status.DELIVERED)._replace(id=message_id)
    service.telemetry.receipt(Settled(Match.SETTLED, delivered))
    service.telemetry.metrics.flush()
    assert values(metrics(capsys.readouterr().out), "MessagesDelivered")[:1] == counted


@pytest.mark.parametrize("message_id", ["canary-islands-2026", f"{RUN}-2", "order-canary-20260301T070500Z"])
def test_ids_of_teams(message_id: str) -> None:
    assert not is_canary_id(message_id)


@pytest.mark.parametrize(
    ("order", "down", "step", "problem"),
    [
        ({}, False, "order", "ParameterNotFound"),
        (TO_A_PERSON, True, "door", "EndpointConnectionError"),
        (TO_A_PERSON | {"account": "nobody"}, False, "send", "unknown-account"),
        (REHEARSAL | {"message": {**MESSAGE, "kind": "letter"}}, False, "dry_run", "invalid-message"),
    ],
)
def test_failures(
    service: Service,
    prepare: Prepare,
    capsys: Capture,
    *,
    order: dict[str, Any],
    down: bool,
    step: str,
    problem: str,
) -> None:
    prepare(**order).is_down = down
    seen = run()
    assert (seen["result"], seen["step"], seen["problem"]) == ("failed", step, problem)
    assert told(capsys)["CanaryDelivered"] == 0.0
    assert service.wechat.attempts == []


def test_dry_run_uses_a_real_token(service: Service, prepare: Prepare, capsys: Capture) -> None:
    service.wechat.quotas[Template.endpoint] = Quota(100_000, 2_500, 97_500)
    door = prepare(**REHEARSAL)
    seen = run()
    assert (seen["result"], seen["step"], seen["dry_run"]) == ("arrived", "token", True)
    assert service.wechat.attempts == []
    assert door.calls == [
        "POST /v1/accounts/shop/messages?dry_run=true",
        "GET /v1/accounts/shop/quota",
    ]
    assert told(capsys).keys() == {"CanaryDelivered", "CanaryLatency"}
    assert "message_id" not in seen


def test_dry_run_notices_a_refused_token(service: Service, prepare: Prepare) -> None:
    service.wechat.quotas = {model.endpoint: answer(40001) for model in MODELS.values()}
    prepare(**REHEARSAL)
    seen = run()
    assert (seen["result"], seen["step"], seen["errcode"]) == ("failed", "token", 40001)


@pytest.mark.parametrize(
    ("status", "arrived", "step"),
    [("delivered", "arrived", "delivered"), ("undelivered", "failed", "receipt"), ("", "failed", "receipt")],
)
def test_receipt_is_awaited(
    service: Service,
    prepare: Prepare,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: str,
    arrived: str,
    step: str,
) -> None:
    door = prepare(**TO_A_PERSON, receipt=True)
    real = door.call

    def looked_up(method: str, path: str, *given: Any, **more: Any) -> Any:
        found = real(method, path, *given, **more)
        is_late = len(door.calls) > 2
        return (
            found._replace(body={**found.body, "status": status})
            if status and method == "GET" and is_late
            else found
        )

    monkeypatch.setattr(door, "call", looked_up)
    began = service.clock.now()
    seen = run()
    assert (seen["result"], seen["step"]) == (arrived, step)
    assert seen["latency_ms"] >= 0
    assert service.clock.now() - began < 70


@pytest.mark.parametrize("event", [{"time": "yesterday"}, {"tame": "x"}, [], {"time": 5}])
def test_other_events_are_refused(service: Service, prepare: Prepare, event: object) -> None:
    assert prepare(**TO_A_PERSON).calls == []
    assert run(event)["result"] == "bad_request"
    assert service.wechat.attempts == []


def test_run_by_hand_is_its_own(prepare: Prepare) -> None:
    prepare(**TO_A_PERSON)
    assert run({})["message_id"] == f"canary-{FakeContext.aws_request_id}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": {**MESSAGE, "touser": OPENID}},
        {"receipt": True, "openid": None},
        {"account": "Shop!"},
        {"to": OPENID},
    ],
)
def test_malformed_orders(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        CanaryOrder.model_validate(TO_A_PERSON | wrong)
    assert OPENID not in str(caught.value)
