"""Nothing secret is among what the log, the metrics, the events and the queues get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import OPENID, OTHER_OPENID, Service, answer, body, load_event, lost
from tests.unit.functions.send_queue.events import Capture, enqueued, handle
from tests.unit.standings import OTHER


@pytest.mark.parametrize(
    ("envelope", "dead_letters"),
    [
        ({"account": "shop", "message": body(), OPENID: 1}, 1),
        ({"account": "shop", "message": body() | {OPENID: 1}}, 0),
        ({"account": "shop", "id": f"{OPENID} 的消息", "message": body()}, 0),
    ],
)
def test_openid_as_a_name_stays_hidden(
    service: Service, capsys: Capture, *, envelope: dict[str, Any], dead_letters: int
) -> None:
    """It reaches neither a log line nor an attribute."""
    event = load_event("send_queue/sns_raw")
    event["Records"][0]["body"] = json.dumps(envelope)
    assert handle(event) == []
    assert len(service.lines("message attempted")) + len(service.lines("message refused")) == 1
    assert len(service.dead_letters.bodies) == dead_letters
    seen = json.dumps(service.dead_letters.attributes) + service.log.getvalue() + capsys.readouterr().out
    assert OPENID not in seen


def test_no_secret_is_seen(service: Service, capsys: Capture) -> None:
    """Neither an openid nor a token, a secret or a text."""
    service.wechat.plan.extend([answer(40001), answer(43101), lost()])
    names = ["send_queue/sqs_batch", "send_queue/unreadable", "send_queue/refusals"]
    said = [handle(name) for name in names * 2]
    service.wechat.plan.append(answer(45009))
    said += [handle(enqueued(body(), OTHER)), handle(enqueued({"kind": OPENID}, key="invalid"))]
    attributes = json.dumps(service.dead_letters.attributes + service.queue.attributes)
    kept = repr(service.ledger_store.history) + repr(service.ledger_store.circuits)
    events = json.dumps([[event.detail_type, event.detail] for event in service.bus.events])
    seen = json.dumps(said) + attributes + kept + events + service.log.getvalue() + capsys.readouterr().out
    assert len(service.lines("message attempted")) >= 7
    assert len(service.bus.events) >= 4
    assert (len(service.dead_letters.attributes), len(service.queue.attributes)) == (4, 1)
    for hidden in (OPENID, OTHER_OPENID, "token-1-of", "token-2-of", "s" * 32, "礼盒"):
        assert hidden not in seen
    assert service.openid_hash(OPENID) in kept
