"""Records of a batch, and what became of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.fakes import OPENID, Service, answer, body
from wechat_notify.core.clocks import Jitter
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.records import Disposition, Handled, Record
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.outcomes import Status

FINISHED, RETURNED, PARKED, DEAD_LETTER = Disposition
UNTIL_RESET = 8 * 3600 + 55 * 60 + 55 + 120.0


def record(
    number: int = 1,
    *,
    text: str | None = None,
    receive_count: int = 1,
    attributes: dict[str, str] | None = None,
    **given: Any,
) -> Record:
    envelope = {"account": "shop", "message": body(touser=f"{OPENID}{number}"), **given}
    content = json.dumps(envelope) if text is None else text
    return Record(f"m{number}", f"receipt-{number}", content, receive_count, attributes or {})


def handle(service: Service, *records: Record, seconds_left: float = 60.0) -> dict[str, Handled]:
    """Send a batch; each record comes out exactly once."""
    handled = service.batch_sender.send(records, lambda: seconds_left)
    assert Counter(item.record.message_id for item in handled) == {item.message_id: 1 for item in records}
    return {item.record.message_id: item for item in handled}


def single(service: Service, **given: Any) -> Handled:
    return handle(service, record(**given))["m1"]


def dispositions(handled: dict[str, Handled]) -> list[Disposition]:
    """In the order of the records' ids."""
    return [handled[name].disposition for name in sorted(handled)]


def entry(service: Service, message_id: str = "m1", account: str = "shop") -> Entry:
    return service.ledger_store.entries[account, message_id]


def status(item: Handled) -> Status | None:
    return item.result.status if item.result else None


def batch_sender(service: Service, jitter: Jitter) -> BatchSender:
    returns = Returns(service.queue, service.dead_letters, now=service.clock.now, jitter=jitter)
    return BatchSender(service.dispatcher, returns)


def while_sending(service: Service, act: Callable[[], dict[str, Handled]]) -> dict[str, Handled]:
    """Do something while the next message is under way; fill in what became of its records."""
    handled: dict[str, Handled] = {}

    def meanwhile(_message: object) -> None:
        service.wechat.while_in_flight = lambda _message: None
        handled.update(act())

    service.wechat.while_in_flight = meanwhile
    return handled


def hold(service: Service, errcode: int = 45009) -> None:
    """Let an answer hold what comes next, and forget how it came about."""
    service.wechat.plan.append(answer(errcode))
    single(service, id="the one before")
    service.wechat.attempts.clear()
    for kept in (service.queue.bodies, service.queue.attributes, service.queue.groups, service.queue.delays):
        kept.clear()
