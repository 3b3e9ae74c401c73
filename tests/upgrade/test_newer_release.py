"""What a newer release has written, in the hands of this one: during a deployment, and after a rollback."""

import json
from typing import Any

import pytest

from functions.send_queue.handler import lambda_handler as send_queue
from tests.fakes import FakeContext, Service, load_event
from tests.fakes import body as a_body
from tests.unit.functions.send_api.calls import cancel, keyed, look
from tests.unit.standings import KEY
from wechat_notify.aws.items import ItemType
from wechat_notify.aws.ledger_items import CIRCUITS, ENTRIES
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.delivery.entry import NEWER_RELEASE, Entry
from wechat_notify.core.outcomes import ErrorClass, Status

Item = dict[str, Any]


def of_newer(item: Item, **changes: Any) -> Item:
    """The item with what only a newer release writes: a field, and the given attributes."""
    return item | {"added_later": {"M": {"a": {"L": [{"S": "x"}]}}}} | changes


def reread(item_type: ItemType[Any], value: Any, **changes: Any) -> Any:
    return item_type.from_item(of_newer(item_type.to_item(value), **changes))


@pytest.fixture
def sent(service: Service) -> Entry:
    """A message that was sent."""
    assert keyed(a_body()).status == 200
    (entry,) = service.ledger_store.entries.values()
    return entry


def in_newer_state(service: Service, entry: Entry) -> Entry:
    """The same, in a state of which nothing is known here, in the store."""
    version = {"N": str(entry.version + 1)}
    changed = reread(ENTRIES, entry, status={"S": "read_by_receiver"}, version=version, writer={"S": "newer"})
    service.ledger_store.entries[entry.account, entry.id] = changed
    return changed  # type: ignore[no-any-return]


def test_newer_fields_are_read_past(sent: Entry) -> None:
    assert reread(ENTRIES, sent) == sent


def test_newer_state_is_in_doubt(sent: Entry) -> None:
    change = {"M": {"status": {"S": "read_by_receiver"}, "at": {"N": "1"}, "seen": {"BOOL": True}}}
    found = reread(ENTRIES, sent, status={"S": "read_by_receiver"}, timeline={"L": [change]})
    assert (found.status, found.reason) == (Status.UNKNOWN, NEWER_RELEASE)
    assert [each.status for each in found.timeline] == [Status.UNKNOWN]
    assert found.outcome == sent.outcome


def test_newer_outcome_is_read(sent: Entry) -> None:
    assert sent.outcome
    outcome = ENTRIES.to_item(sent)["outcome"]["M"]
    newer = {"error_class": {"S": "weather"}, "holds": {"S": "continent"}, "status": {"S": "read"}}
    found = reread(ENTRIES, sent, outcome={"M": outcome | newer})
    assert found.outcome.error_class is ErrorClass.OTHER
    assert found.status is Status.SENT


def test_newer_state_is_never_sent_again(service: Service, sent: Entry) -> None:
    """By no door, however long ago it was; and its entry stands as that release wrote it."""
    newer = in_newer_state(service, sent)
    service.clock.advance(3 * 86400)
    answered = keyed(a_body())
    assert answered.status == 504
    assert answered.content["type"].endswith("#unknown") or answered.content["status"] == 504
    event = load_event("send_queue/parked")
    (record,) = event["Records"]
    record["messageAttributes"] = {}
    record["body"] = json.dumps({"account": "shop", "id": KEY, "message": a_body()})
    assert send_queue(event, FakeContext()) == {"batchItemFailures": []}
    assert cancel().status == 409
    assert look().content["reason"] == NEWER_RELEASE
    assert len(service.wechat.attempts) == 1
    assert list(service.ledger_store.entries.values()) == [newer]


def test_answer_does_not_replace_newer_state(service: Service, sent: Entry) -> None:
    """A claim's holder comes back when a newer release has given the claim up, and has written on."""
    claim = sent._replace(status=Status.SENDING, version=sent.version - 1)
    newer = in_newer_state(service, sent)
    assert service.ledger.finish(claim, Status.SENT, outcome=sent.outcome) == newer


def test_receipt_does_not_replace_newer_state(service: Service, sent: Entry) -> None:
    newer = in_newer_state(service, sent)
    assert sent.outcome
    assert sent.outcome.msgid
    found = service.ledger.record_receipt(
        "shop", KEY, delivered=True, reason=None, msgid=sent.outcome.msgid, writer="w2"
    )
    assert found == newer


def test_newer_hold_holds(service: Service) -> None:
    hold = Circuit("account", ErrorClass.QUOTA, 45009, service.clock.now(), service.clock.now() + 600)
    item = CIRCUITS.to_item(AccountCircuits("shop", 1, "w", (hold,)))
    (circuit,) = item["circuits"]["L"]
    circuit["M"]["error_class"] = {"S": "weather"}
    found = CIRCUITS.from_item(of_newer(item))
    service.ledger_store.circuits["shop"] = found
    assert keyed(a_body()).status in {429, 502, 503}
    assert not service.wechat.attempts
    service.clock.advance(601)
    assert keyed(a_body()).status == 200


def test_newer_body_is_refused_by_name(service: Service) -> None:
    """Not sent without what it asks for; its id stays free: it can be sent when its release is back."""
    event = load_event("send_queue/parked")
    (record,) = event["Records"]
    record["body"] = json.dumps({"account": "shop", "id": KEY, "message": a_body(), "added_later": True})
    assert send_queue(event, FakeContext()) == {"batchItemFailures": []}
    (entry,) = service.ledger_store.entries.values()
    assert (entry.status, entry.reason, entry.owns_id) == (Status.FAILED, "invalid_request", False)
    assert not service.wechat.attempts
    assert keyed(a_body()).status == 200
