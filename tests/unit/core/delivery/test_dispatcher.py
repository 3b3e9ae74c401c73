"""The same id again through any door; accepting, refusing, looking up and cancelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes import START, Service, answer, body, break_down, lost, unreachable
from tests.unit.core.delivery.doors import (
    ALREADY_EXPIRED,
    LEASE,
    OTHER,
    Door,
    again_in,
    as_recorded,
    claim,
    events,
)
from wechat_notify.core.delivery.results import (
    Cancelled,
    Expired,
    Failed,
    Held,
    IdReused,
    InFlight,
    Queued,
    Replayed,
    Result,
    Sent,
)
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body
from wechat_notify.core.outcomes import Outcome, Status

DOORS = ["queue", "http", "accept"]


@pytest.mark.parametrize("first", ["queue", "http"])
@pytest.mark.parametrize("second", DOORS)
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        pytest.param(answer(0, msgid=5), Status.SENT, id="sent"),
        pytest.param(answer(40241), Status.SENT, id="duplicate"),
        pytest.param(answer(47003), Status.FAILED, id="failed"),
        pytest.param(lost(), Status.UNKNOWN, id="lost"),
        pytest.param(None, Status.EXPIRED, id="expired"),
    ],
)
def test_finished_message_is_replayed(
    service: Service, first: str, second: str, outcome: Outcome | None, status: Status
) -> None:
    door = Door(first, service)
    options: dict[str, Any] = {} if outcome else {"expires_at": ALREADY_EXPIRED}
    door.plan(*[outcome] if outcome else [])
    assert door(**options).status is status
    again = Door(second, service)()
    assert (type(again), again.status, events(again)) == (Replayed, status, [])
    assert (again.entry, again.outcome) == (door.entry, as_recorded(outcome))
    assert (door.posts, service.queue.bodies) == (1 if outcome else 0, [])


@pytest.mark.parametrize("first", DOORS)
@pytest.mark.parametrize("second", DOORS)
def test_id_of_another_message(service: Service, first: str, second: str) -> None:
    door = Door(first, service)
    door()
    before = (door.posts, list(service.queue.bodies))
    assert type(Door(second, service)(OTHER)) is IdReused
    assert (door.posts, service.queue.bodies) == before


@pytest.mark.parametrize("first", ["queue", "http"])
@pytest.mark.parametrize("second", DOORS)
def test_message_in_flight(service: Service, first: str, second: str) -> None:
    door = Door(first, service)
    results = door.meanwhile(door=Door(second, service))
    assert door().status is Status.SENT
    (again,) = results
    assert (type(again), again.status, again_in(again), door.posts) == (InFlight, Status.SENDING, LEASE, 1)


@pytest.mark.parametrize("trouble", ["held", "no token", "expired"])
def test_other_message_ends_nothing(accept: Door, queue: Door, trouble: str) -> None:
    """Under the id of one that waits; nor does it wait itself."""
    accept()
    waiting = queue.entry
    options: dict[str, Any] = {"expires_at": ALREADY_EXPIRED} if trouble == "expired" else {}
    queue.trouble(trouble)
    assert type(queue(OTHER, **options)) is IdReused
    assert queue.entry == waiting


@pytest.mark.parametrize("second", ["queue", "http"])
@pytest.mark.parametrize("outcome", [answer(-1), unreachable()], ids=["answered", "unsent"])
def test_try_again_succeeds(http: Door, second: str, outcome: Outcome) -> None:
    http.plan(outcome)
    first = http()
    assert (first.status, http.entry.awaits_caller, events(first)) == (Status.FAILED, True, [])
    assert type(Door(second, http.service)()) is Sent
    assert http.entry.attempts == 2 - outcome.unjudged
    assert [change.status for change in http.entry.timeline] == ["sending", "failed", "sending", "sent"]


# ---- accepting


def test_accepted_message_on_the_queue(accept: Door, queue: Door) -> None:
    expires_at = datetime(2026, 3, 2, tzinfo=UTC)
    result = accept(expires_at=expires_at, at_least_once=True)
    assert (type(result), result.entry, result.outcome) == (Queued, queue.entry, None)
    service = queue.service
    (sent,) = service.queue.bodies
    assert parse_queue_body(sent, "another") == SendRequest(
        "order-1", "shop", body(), expires_at, at_least_once=True
    )
    assert (service.queue.groups, queue.entry.expires_at) == (["shop"], expires_at.timestamp())
    assert (service.ledger_store.puts, service.ledger_store.reads) == (1, 1)
    waiting = Door("http", service)()
    assert (type(waiting), waiting.status, queue.posts) == (Replayed, Status.QUEUED, 0)
    assert (queue().status, queue.entry.attempts) == (Status.SENT, 1)


def test_repeats_put_one_copy(accept: Door, queue: Door) -> None:
    """Also while its kind is held."""
    queue.hold()
    assert [type(door()) for door in (accept, accept, queue, accept)] == [Queued, Replayed, Held, Replayed]
    assert len(queue.service.queue.bodies) == 1


def test_lost_copy_is_put_again(accept: Door, queue: Door) -> None:
    """The queue was purged, or its messages went to the dead letters."""
    accept()
    bodies = queue.service.queue.bodies
    bodies.clear()
    queue.advance(GIVE_UP_AFTER)
    accept()
    assert bodies == []
    queue.advance(1)
    for _ in range(2):  # and once only
        assert accept().status is Status.QUEUED
    assert (len(bodies), queue.entry.reason) == (1, "requeued")


@pytest.mark.parametrize(
    ("answered", "result_type", "status"),
    [(0, Replayed, Status.SENT), (-1, Queued, Status.QUEUED), (None, Queued, Status.SENDING)],
    ids=["sent", "tried", "claimed"],
)
def test_queue_is_faster_than_accepting(
    service: Service, answered: int | None, result_type: type[Result], status: Status
) -> None:
    def take(*_: object, **__: object) -> None:
        if answered is None:
            claim(service)
        else:
            service.wechat.plan.append(answer(answered))
            Door("queue", service)()

    service.queue.send = take  # type: ignore[method-assign]
    accepted = Door("accept", service)()
    assert (type(accepted), accepted.status) == (result_type, status)


def test_queue_is_written_first(accept: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(accept.service.queue, "send", break_down)
        with pytest.raises(RuntimeError):
            accept()
    assert accept.service.ledger_store.entries == {}
    assert (accept().status, len(accept.service.queue.bodies)) == (Status.QUEUED, 1)


def test_unwritten_entry_costs_no_message(accept: Door, queue: Door) -> None:
    """It is on the queue, and gets its entry when it is taken from there."""
    accept.service.ledger_store.failing = {"put": "ThrottlingException"}
    accepted = accept()
    assert (type(accepted), accepted.entry) == (Queued, None)
    accept.service.ledger_store.failing = {}
    assert len(accept.service.queue.bodies) == 1
    assert queue().status is Status.SENT


def test_silent_ledger_queues_nothing(accept: Door) -> None:
    accept.service.ledger_store.failing = {"read": "ThrottlingException"}
    with pytest.raises(StorageError):
        accept()
    assert accept.service.queue.bodies == []


@pytest.mark.parametrize("name", DOORS)
def test_unknown_account(service: Service, name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Door(name, service)(account="nobody")
    assert (service.ledger_store.entries, service.queue.bodies) == ({}, [])


# ---- expiry and cancellation


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize(("seconds", "expired"), [(0, True), (0.001, False)])
def test_expired_message_is_not_sent(service: Service, name: str, seconds: float, *, expired: bool) -> None:
    door = Door(name, service)
    result = door(expires_at=datetime.fromtimestamp(START, UTC) + timedelta(seconds=seconds))
    assert (type(result) is Expired, door.entry.status is Status.EXPIRED) == (expired, expired)
    assert door.posts + len(service.queue.bodies) == (not expired)


def test_message_expires_while_held(queue: Door) -> None:
    queue.hold()
    queue()
    assert queue(expires_at=ALREADY_EXPIRED, held_since=START).status is Status.EXPIRED


def test_cancelled_message_is_not_sent(accept: Door, queue: Door, http: Door) -> None:
    accept()
    cancelled = queue.service.dispatcher.cancel("shop", "order-1")
    assert type(cancelled) is Cancelled
    assert cancelled.entry == queue.entry
    for door in (queue, http, accept):
        result = door()
        assert (type(result), result.status) == (Replayed, Status.CANCELLED)
    assert (queue.posts, len(queue.service.queue.bodies)) == (0, 1)


# ---- looking up, and refusing


@pytest.mark.parametrize("name", ["queue", "http"])
def test_unconfirmed_claim_is_released_next(service: Service, name: str) -> None:
    """Whatever message comes next."""
    store = service.ledger_store
    store.losing_answers, store.failing = 1, {"read": "ReadTimeout"}
    with pytest.raises(StorageError):
        Door("queue", service)()
    store.failing = {}
    Door(name, service)(message_id="order-2")
    assert Door(name, service).entry.status is Status.QUEUED


def test_look_up(queue: Door) -> None:
    dispatcher = queue.service.dispatcher
    assert dispatcher.look_up("shop", "order-1") is None
    assert dispatcher.cancel("shop", "order-1") is None
    queue()
    found = dispatcher.look_up("shop", "order-1")
    assert found is not None
    assert (type(found), found.entry) == (Replayed, queue.entry)


def test_refusal_is_announced_once(service: Service) -> None:
    request = SendRequest("order-1", "shop", {"kind": "unknown"})
    first, again = (service.dispatcher.refuse(request, None, "invalid_message") for _ in range(2))
    assert [type(first), type(again)] == [Failed, Replayed]
    assert [events(first), events(again)] == [["message.failed"], []]
    assert (first.events[0].detail["reason"], "kind" in first.events[0].detail) == ("invalid_message", False)
