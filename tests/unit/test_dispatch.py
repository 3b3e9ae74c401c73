from __future__ import annotations

import itertools
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import (
    OPENID,
    START,
    Service,
    answer,
    body,
    break_down,
    highest,
    lost,
    lowest,
    misdirected,
    unreachable,
)
from wechat_notify.core.delivery.circuit import Admission
from wechat_notify.core.delivery.entry import HELD, TRY_AGAIN, Change, Entry
from wechat_notify.core.delivery.ledger import Written
from wechat_notify.core.delivery.results import (
    Again,
    Expired,
    Failed,
    Held,
    IdReused,
    InFlight,
    NotDue,
    NotOurs,
    Queued,
    Replayed,
    Result,
    RetryAt,
    Sent,
    TryAgain,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.delivery.retry_policy import CALLER, GIVE_UP_AFTER, QUEUE, Decision, queue_wait
from wechat_notify.core.errors import (
    IllegalTransitionError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.messages.envelope import SendRequest, with_options
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Bilingual, ErrorClass, Outcome, Status
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.error_codes import ERROR_CODES
from wechat_notify.wechat.outcomes import outcome_of

LEASE = 60 + 120.0
DAY = 86400.0


@dataclass
class Door:
    """One of the two doors, and how a message of one id comes through it."""

    name: str
    service: Service

    @property
    def queued(self) -> bool:
        return self.name == "queue"

    def __call__(
        self,
        given: dict[str, Any] | None = None,
        *,
        message_id: str = "order-1",
        seconds_left: float = 60.0,
        receive_count: int = 1,
        held_since: float | None = None,
        **wishes: Any,
    ) -> Result:
        text = given or body()
        message = parse_message(text, message_id)[0]
        request = with_options(
            SendRequest(message_id, wishes.pop("account", "shop"), text, **wishes), message
        )
        stopped_at = self.service.clock.now() + seconds_left

        def left() -> float:
            return stopped_at - self.service.clock.now()

        if self.name == "http":
            return self.service.dispatcher.send_now(request, message, left)
        if self.name == "async":
            return self.service.dispatcher.accept(request, message)
        self.service.dispatcher.prepare([request.account])
        return self.service.dispatcher.send_queued(
            request, message, left, receive_count=receive_count, held_since=held_since
        )

    def entry(self, message_id: str = "order-1") -> Entry:
        return self.service.ledger_store.entries["shop", message_id]


@pytest.fixture(params=["queue", "http"])
def door(service: Service, request: pytest.FixtureRequest) -> Door:
    return Door(request.param, service)


@pytest.fixture
def queue(service: Service) -> Door:
    return Door("queue", service)


@pytest.fixture
def http(service: Service) -> Door:
    return Door("http", service)


@pytest.fixture
def async_http(service: Service) -> Door:
    return Door("async", service)


def with_consequence(outcome: Outcome) -> Outcome:
    """An outcome as it is recorded where nothing more is done: a lost answer's hint says what that means."""
    if outcome.status is not Status.UNKNOWN:
        return outcome
    hint = outcome.hint
    en = f"{hint.en} A copy under a new id can reach the user as a second message."
    return outcome._replace(hint=Bilingual(en, f"{hint.zh}使用新的 id 重发可能造成用户收到两条。"))


def again_in(result: Result) -> float | None:
    """When the queue hands the message out again, in seconds."""
    return result.after if isinstance(result, Again) else None


def held_for(result: Result) -> float | None:
    return result.after if isinstance(result, Held) else None


def repeat_after(result: Result) -> float | None:
    """When a message in doubt may be repeated by its caller, in seconds."""
    return result.repeat_after if isinstance(result, Unknown | Replayed) else None


def changed(result: Result) -> bool:
    """Whether this call gave the message its status."""
    return not isinstance(result, NotOurs)


def names(dispatched: Result) -> list[str]:
    return [domain_event.detail_type for domain_event in dispatched.events]


# ---------------------------------------------------------------- the good path


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_message_costs_two_writes_no_read_and_one_post(door: Door, kind: str) -> None:
    dispatched = door(body(kind))
    assert (type(dispatched), dispatched.status) == (Sent, Status.SENT)
    assert (again_in(dispatched), held_for(dispatched), names(dispatched)) == (None, None, [])
    assert dispatched.entry == door.entry()
    store = door.service.ledger_store
    assert (store.puts, store.reads, store.circuit_reads, store.circuit_puts) == (2, 0, 1, 0)
    assert len(door.service.wechat.attempts) == 1


def test_the_claim_stands_before_the_message_goes_out_and_the_token_is_had_before_that(door: Door) -> None:
    seen: list[tuple[Status, bool]] = []
    service = door.service
    service.wechat.while_in_flight = lambda _message: seen.append(
        (door.entry().status, bool(service.store.reads))
    )
    door()
    assert seen == [(Status.SENDING, True)]


def test_circuits_are_read_once_a_second_whatever_the_number_of_messages(door: Door) -> None:
    for number in range(20):
        door(message_id=f"order-{number}")
        door.service.clock.advance(0.0999)
    assert door.service.ledger_store.circuit_reads == 2


# ---------------------------------------------------------------- every errcode through both doors

GOES_ON, WAITS_ITSELF, FAILS = "goes on", "waits itself", "fails"
KIND, ACCOUNT, TEMPLATE = "kind:subscription", "account", "template:J5tWfHcX2mNq8sVb"
CLASSES: dict[str, tuple[str, str | None]] = {
    "success": (GOES_ON, None),
    "duplicate": (GOES_ON, None),  # but a template that exists
    "transient": (WAITS_ITSELF, None),
    "rate_limit": (WAITS_ITSELF, None),
    "token": (FAILS, None),
    "recipient": (FAILS, None),
    "request": (FAILS, None),
    "template": (FAILS, None),
    "quota": (FAILS, None),
    "config": (FAILS, ACCOUNT),
    "platform": (FAILS, ACCOUNT),
    "permission": (FAILS, KIND),
    "banned": (FAILS, KIND),
    "deprecated": (FAILS, KIND),
    "other": (FAILS, None),
}
"""A second witness, apart from the code: what each class means. Codes that differ from their class follow."""
CODES: dict[int, tuple[str, str | None]] = {
    **dict.fromkeys((40001, 40014, 42001, 48012, 45011), (WAITS_ITSELF, KIND)),
    # On a send it is the AppID of the mini program that this message opens.
    **dict.fromkeys((40013, 41002, 49001), (FAILS, None)),
    **dict.fromkeys((-604101, -604100, 40234, 40235, 45063, 85107), (FAILS, KIND)),
    **dict.fromkeys((41031, 43106, 76003, 76022, 85112, 200011), (FAILS, None)),
    40037: (WAITS_ITSELF, None),
    **dict.fromkeys((40091, 40094, 42006, 61005, 61006), (WAITS_ITSELF, ACCOUNT)),
    **dict.fromkeys((43107, 43116, 48011, 200013), (FAILS, TEMPLATE)),
    **dict.fromkeys((41001, 50004, 50007, 61003), (FAILS, ACCOUNT)),
    **dict.fromkeys((45009, 45040, 45093, 45104), (WAITS_ITSELF, KIND)),
    45501: (WAITS_ITSELF, ACCOUNT),
    200022: (FAILS, None),
}


def real(errcode: int, kind: str = "subscription") -> Outcome:
    """What the client makes of an errcode."""
    return outcome_of(Answer(errcode, f"text {errcode}", "rid-1", None, None), kind)


@pytest.mark.parametrize("errcode", [*ERROR_CODES, 12345])
def test_the_class_of_an_errcode_decides(door: Door, errcode: int) -> None:
    outcome = real(errcode)
    becomes, holds = CODES.get(errcode, CLASSES[outcome.error_class.value])
    door.service.wechat.plan.extend([outcome] * 3)  # a rejected token's are attempted once more
    dispatched = door()
    status, reason = {
        GOES_ON: (Status.SENT, None),
        FAILS: (Status.FAILED, None),
        WAITS_ITSELF: (Status.QUEUED, HELD if outcome.error_class is ErrorClass.QUOTA else None)
        if door.queued
        else (Status.FAILED, TRY_AGAIN),
    }[becomes]
    assert dispatched.status is status
    assert (door.entry().status, door.entry().reason) == (status, reason)
    assert door.entry().outcome == outcome
    known = door.service.ledger_store.circuits.get("shop")
    assert [circuit.scope for circuit in known.circuits] == [holds] if known else holds is None
    assert (held_for(dispatched) is not None) == (
        door.queued and becomes == WAITS_ITSELF and holds is not None
    )
    assert (again_in(dispatched) is not None) == (door.queued and becomes == WAITS_ITSELF and holds is None)
    assert ("message.failed" in names(dispatched)) == (becomes == FAILS)
    opens = holds is not None and errcode != 45011  # a limit per minute is not worth a word
    name = "quota.reached" if outcome.error_class.value == "quota" else "circuit.opened"
    assert [each for each in names(dispatched) if each != "message.failed"] == ([name] if opens else [])


@pytest.mark.parametrize(
    ("outcome", "becomes"),
    [(lost(), Status.UNKNOWN), (unreachable(), Status.QUEUED), (misdirected(), Status.QUEUED)],
)
def test_what_is_no_answer_of_wechats_holds_nothing(door: Door, outcome: Outcome, becomes: Status) -> None:
    door.service.wechat.plan.append(outcome)
    dispatched = door()
    if not door.queued and becomes is Status.QUEUED:
        becomes = Status.FAILED
        assert door.entry().awaits_caller
    assert (dispatched.status, door.service.ledger_store.circuits) == (becomes, {})


def test_what_failed_is_announced_with_all_that_there_is_to_say_but_no_openid(door: Door) -> None:
    outcome = answer(47003, "argument invalid! data.thing1.value is empty", field="thing1")
    door.service.wechat.plan.append(outcome)
    (domain_event,) = door().events
    assert domain_event.detail_type == "message.failed"
    assert domain_event.detail == {
        "id": "order-1",
        "account": "shop",
        "kind": "subscription",
        "template_id": "J5tWfHcX2mNq8sVb",
        "openid_hash": door.service.openid_hash(OPENID),
        "status": "failed",
        "attempts": 1,
        "at": "2026-03-01T07:04:05.000Z",
        "class": "request",
        "errcode": 47003,
        "errmsg": "argument invalid! data.thing1.value is empty",
        "rid": "66695e1c-5d4a8e9f-0b2c3d4e",
        "field": "thing1",
        "hint": {"en": "What to do about 47003.", "zh": "如何处理 47003。"},
    }


def test_a_lost_answer_is_announced(door: Door) -> None:
    door.service.wechat.plan.append(lost())
    (domain_event,) = door().events
    assert (domain_event.detail_type, domain_event.detail["status"]) == ("message.unknown", "unknown")
    json.dumps(domain_event.detail)


# ---------------------------------------------------------------- how often, and when it is over


def exhaust(door: Door, outcome: Outcome, given: dict[str, Any] | None = None, most: int = 100) -> int:
    """Attempts until the message has come to its end."""
    for count in range(1, most + 1):
        door.service.wechat.plan.extend([outcome] * 3)
        dispatched = door(given, receive_count=count, held_since=START if count > 1 else None)
        door.service.wechat.plan.clear()
        if dispatched.status is not Status.QUEUED and not door.entry().awaits_caller:
            assert dispatched.status is Status.FAILED
            assert names(dispatched)[-1:] == ["message.failed"]
            return count
        door.service.clock.advance((held_for(dispatched) or again_in(dispatched) or 3600) + 1)
    raise AssertionError("it goes on and on")


@pytest.mark.parametrize(
    ("errcode", "kind", "attempts"),
    [
        (-1, "subscription", 20),
        (-1, "template", 20),
        (-1, "one_time_subscription", 5),
        (45102, "one_time_subscription", 20),
        (61450, "one_time_subscription", 20),
        (40037, "subscription", 3),
        (40037, "one_time_subscription", 3),
        (43108, "subscription", 20),
        (43117, "subscription", 20),
        (45011, "subscription", 20),
        (40001, "subscription", 3),
        (48012, "subscription", 3),
        (47003, "subscription", 1),
    ],
)
def test_an_error_is_worth_so_many_attempts(door: Door, errcode: int, kind: str, attempts: int) -> None:
    assert exhaust(door, real(errcode, kind), body(kind)) == attempts
    assert door.entry().attempts == attempts
    assert door.entry().reason == ("retries_exhausted" if attempts > 1 else None)


@pytest.mark.parametrize("outcome", [unreachable(), misdirected()])
def test_what_never_reached_wechat_is_not_counted(queue: Door, outcome: Outcome) -> None:
    """It is given up by time, before SQS gives it up: 1,000 receives."""
    parts = queue.service.dispatcher._parts
    queue.service.dispatcher._parts = parts._replace(jitter=lambda low, high: (low + high) / 2)
    count = exhaust(queue, outcome, most=1000)
    assert GIVE_UP_AFTER < queue.service.clock.now() - START < GIVE_UP_AFTER + 2 * 3600
    assert 20 < count < 950
    assert (queue.entry().attempts, queue.entry().reason) == (0, "retries_exhausted")


@pytest.mark.parametrize("outcome", [unreachable(), answer(-1)], ids=["unreachable", "busy"])
def test_a_caller_may_go_on_like_the_queue(http: Door, outcome: Outcome) -> None:
    """Who repeats at Retry-After gets through when the outage of half an hour is over."""
    waits: list[float] = []
    while sum(waits) < 1800:
        http.service.wechat.plan.append(outcome)
        dispatched = http()
        assert dispatched.outcome is not None
        assert (dispatched.status, dispatched.outcome.retryable) == (Status.FAILED, True)
        assert http.entry().awaits_caller
        waits.append(dispatched.outcome.retry_after or 0.0)
        http.service.clock.advance(waits[-1])
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits == sorted(waits)
    assert max(waits) == 300.0
    assert http().status is Status.SENT


def test_a_hasty_caller_uses_no_message_up(http: Door, queue: Door) -> None:
    for _ in range(100):
        http.service.wechat.plan.append(answer(-1))
        dispatched = http()
        assert dispatched.outcome is not None
        assert dispatched.outcome.retryable
        http.service.clock.advance(2)
    http.service.wechat.plan.append(answer(-1))
    assert queue().status is Status.QUEUED  # whom the message is left to has attempts of its own


def test_answers_to_what_was_not_judged_before_count_from_one(queue: Door) -> None:
    for _ in range(30):
        queue.service.wechat.plan.append(unreachable())
        queue.service.clock.advance(again_in(queue()) or 0.0)
    queue.service.wechat.plan.append(answer(-1))
    assert (queue().status, queue.entry().attempts) == (Status.QUEUED, 1)


def test_other_errors_in_between_do_not_count_for_an_error_that_is_worth_two_repeats(queue: Door) -> None:
    queue.service.wechat.plan.extend(map(answer, (40037, -1, 40037, -1, 40037)))
    statuses = []
    for _ in range(5):
        statuses.append(queue().status)
        queue.service.clock.advance(300)
    assert statuses == [Status.QUEUED] * 4 + [Status.FAILED]


def test_what_a_message_was_held_for_does_not_count_as_an_attempt_of_its_own(queue: Door) -> None:
    queue.service.wechat.plan.extend([answer(40001)] * 2)
    first = queue(message_id="another")
    assert type(queue()) is Held
    queue.service.clock.advance((held_for(first) or 0) + 1)
    queue.service.wechat.plan.extend([answer(40001)] * 2)
    queue(held_since=START)
    assert [change.errcode for change in queue.entry().timeline] == [40001, None, 40001]
    for _ in range(2):
        queue.service.clock.advance(3600)
        assert queue.entry().status is Status.QUEUED
        queue.service.wechat.plan.extend([answer(40001)] * 2)
        queue(held_since=START)
    assert (queue.entry().status, queue.entry().attempts) == (Status.FAILED, 3)


def test_a_quota_wears_nothing_out_but_three_days_do(queue: Door) -> None:
    assert GIVE_UP_AFTER == 3 * DAY
    count = exhaust(queue, answer(45009))
    assert count > 20
    assert queue.service.clock.now() - queue.entry().created_at > GIVE_UP_AFTER
    assert queue.service.clock.now() - queue.entry().created_at < GIVE_UP_AFTER + 2 * 3600
    assert (queue.entry().status, queue.entry().reason) == (Status.FAILED, "retries_exhausted")


def test_a_caller_is_told_until_when_a_circuit_holds(http: Door) -> None:
    http.service.wechat.plan.append(answer(45009))
    dispatched = http()
    assert dispatched.outcome is not None
    assert (dispatched.outcome.retryable, dispatched.outcome.retry_after) == (True, UNTIL_RESET)
    assert names(dispatched) == ["quota.reached"]  # the message's own failure is its caller's to know


@pytest.mark.parametrize(
    ("outcome", "least", "most"),
    [
        (answer(-1), 2.0, 4.0),
        (unreachable(), 2.0, 4.0),
        (answer(43108), 1.0, 3.0),
        (answer(43117), 60.0, 62.0),
        (answer(40037), 0.0, 2.0),
        (lost(), 10.0, 12.0),
        (misdirected(), 300.0, 360.0),
    ],
)
def test_a_first_repeat_waits_as_long_as_its_kind_of_error_asks(
    outcome: Outcome, least: float, most: float
) -> None:
    assert (queue_wait(outcome, 1, lowest), queue_wait(outcome, 1, highest)) == (least, most)


def test_the_pauses_grow_with_full_jitter_to_five_minutes() -> None:
    waits = [queue_wait(unreachable(), count, highest) for count in (1, 2, 3, 4, 8, 9, 19, 100_000)]
    assert waits == [4.0, 8.0, 16.0, 32.0, 316.0, 360.0, 360.0, 360.0]
    assert [queue_wait(unreachable(), count, lowest) for count in (8, 9)] == [256.0, 300.0]
    waits = [queue_wait(answer(-1), count, highest) for count in (1, 2, 3, 4, 8, 9, 19, 100_000)]
    assert waits == [4.0, 4.0, 8.0, 16.0, 256.0, 300.0, 300.0, 300.0]
    assert queue_wait(answer(-1), 19, lowest) == 2.0


def test_the_pauses_after_lost_answers_grow() -> None:
    waits = [queue_wait(lost(), count, lowest) for count in (1, 2, 3, 4, 100)]
    assert waits == [10.0, 30.0, 90.0, 270.0, 300.0]


def test_the_pauses_for_an_operator_grow_to_an_hour() -> None:
    waits = [queue_wait(misdirected(), count, lowest) for count in (1, 2, 3, 4, 5, 100_000)]
    assert waits == [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0]


outcomes = st.sampled_from([*map(real, ERROR_CODES), lost(), unreachable(), misdirected()])


@given(outcomes, st.integers(1, 1000), st.floats(0, 1))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_pause_is_what_the_error_asks_and_what_sqs_allows(
    outcome: Outcome, attempts: int, portion: float
) -> None:
    pause = queue_wait(outcome, attempts, lambda low, high: low + (high - low) * portion)
    assert pause >= 0
    if outcome.holds is None:  # where it holds the message is parked
        assert pause <= 3660
    assert pause >= (outcome.retry_after or 0)
    if not outcome.unjudged:
        assert pause <= max(302, (outcome.retry_after or 0) + 2)


# ---------------------------------------------------------------- the same id again, through any door

RECORDED: list[tuple[str, Outcome | None, Status]] = [
    ("sent", answer(0, msgid=5), Status.SENT),
    ("a duplicate", answer(40241), Status.SENT),
    ("refused", answer(47003), Status.FAILED),
    ("lost", lost(), Status.UNKNOWN),
    ("expired", None, Status.EXPIRED),
]


@pytest.mark.parametrize("first", ["queue", "http"])
@pytest.mark.parametrize("second", ["queue", "http", "async"])
@pytest.mark.parametrize(
    ("outcome", "status"), [row[1:] for row in RECORDED], ids=[row[0] for row in RECORDED]
)
def test_the_same_message_again_hears_what_became_of_it(
    service: Service, first: str, second: str, outcome: Outcome | None, status: Status
) -> None:
    wishes: dict[str, Any] = {} if outcome else {"expires_at": datetime.fromtimestamp(START, UTC)}
    service.wechat.plan.extend([outcome] if outcome else [])
    earlier = Door(first, service)(**wishes)
    entry = Door(first, service).entry()
    again = Door(second, service)()
    assert (type(again), again.status, changed(again)) == (Replayed, status, False)
    assert (again.entry, again.outcome) == (entry, outcome and with_consequence(outcome))
    assert (again_in(again), held_for(again), names(again)) == (None, None, [])
    assert (earlier.status, len(service.wechat.attempts)) == (status, 1 if outcome else 0)
    assert service.queue.bodies == []


@pytest.mark.parametrize("first", ["queue", "http", "async"])
@pytest.mark.parametrize("second", ["queue", "http", "async"])
def test_another_message_under_the_same_id_is_refused(service: Service, first: str, second: str) -> None:
    Door(first, service)()
    attempts, bodies = len(service.wechat.attempts), list(service.queue.bodies)
    again = Door(second, service)(body(page="pages/other"))
    assert (type(again), changed(again), again_in(again)) == (IdReused, False, None)
    assert (len(service.wechat.attempts), service.queue.bodies) == (attempts, bodies)


@pytest.mark.parametrize("first", ["queue", "http"])
@pytest.mark.parametrize("second", ["queue", "http", "async"])
def test_what_is_in_flight_is_not_sent_by_a_second(service: Service, first: str, second: str) -> None:
    meanwhile: list[Result] = []

    def another_comes(_message: object) -> None:
        service.wechat.while_in_flight = lambda _message: None
        meanwhile.append(Door(second, service)())

    service.wechat.while_in_flight = another_comes
    assert Door(first, service)().status is Status.SENT
    (again,) = meanwhile
    assert (type(again), again.status, changed(again)) == (InFlight, Status.SENDING, False)
    assert again_in(again) == LEASE
    assert len(service.wechat.attempts) == 1


@pytest.mark.parametrize("trouble", ["held", "no token", "expired"])
def test_another_message_under_the_id_of_one_that_waits_neither_waits_nor_ends_it(
    async_http: Door, queue: Door, trouble: str
) -> None:
    async_http()
    waits = queue.entry()
    if trouble != "expired":
        in_trouble(queue.service, trouble)
    wishes: dict[str, Any] = (
        {"expires_at": datetime.fromtimestamp(START, UTC)} if trouble == "expired" else {}
    )
    dispatched = queue(body(page="pages/other"), **wishes)
    assert (type(dispatched), again_in(dispatched), held_for(dispatched)) == (IdReused, None, None)
    assert queue.entry() == waits


def test_what_expired_for_its_sender_while_somebody_is_at_it_comes_again_to_be_judged(queue: Door) -> None:
    meanwhile: list[Result] = []

    def another_comes(_message: object) -> None:
        queue.service.wechat.while_in_flight = lambda _message: None
        meanwhile.append(queue(expires_at=datetime.fromtimestamp(START, UTC)))

    queue.service.wechat.while_in_flight = another_comes
    queue()
    assert [(type(each), again_in(each)) for each in meanwhile] == [(InFlight, LEASE)]


def test_two_accounts_may_use_the_same_id(door: Door) -> None:
    door.service.add_account("bank")
    assert [door().status, door(body(page="x"), account="bank").status] == [Status.SENT] * 2


@pytest.mark.parametrize("second", ["queue", "http"])
@pytest.mark.parametrize("outcome", [answer(-1), answer(43117), unreachable(), misdirected(), answer(40037)])
def test_who_was_told_to_try_again_may(service: Service, second: str, outcome: Outcome) -> None:
    http = Door("http", service)
    service.wechat.plan.append(outcome)
    first = http()
    assert (first.status, http.entry().awaits_caller, names(first)) == (Status.FAILED, True, [])
    again = Door(second, service)()
    assert (type(again), again.status) == (Sent, Status.SENT)
    assert http.entry().attempts == 2 - outcome.unjudged
    assert [change.status.value for change in http.entry().timeline] == [
        "sending",
        "failed",
        "sending",
        "sent",
    ]


def test_who_was_told_to_try_again_may_leave_it_to_the_queue(service: Service) -> None:
    service.wechat.plan.append(answer(-1))
    Door("http", service)()
    accepted = Door("async", service)()
    assert (type(accepted), accepted.status, changed(accepted)) == (Queued, Status.QUEUED, True)
    assert len(service.queue.bodies) == 1
    assert Door("queue", service)().status is Status.SENT


# ---------------------------------------------------------------- what waits on the queue, at the other door


def test_what_waits_on_the_queue_is_not_sent_by_a_caller_that_asks(async_http: Door, http: Door) -> None:
    assert async_http().status is Status.QUEUED
    again = http()
    assert (type(again), again.status, changed(again)) == (Replayed, Status.QUEUED, False)
    assert http.service.wechat.attempts == []


def test_what_was_accepted_is_on_the_queue_in_its_accounts_group(async_http: Door, queue: Door) -> None:
    dispatched = async_http(expires_at=datetime(2026, 3, 2, tzinfo=UTC), at_least_once=True)
    assert (type(dispatched), dispatched.status, changed(dispatched)) == (Queued, Status.QUEUED, True)
    service = queue.service
    (sent,) = service.queue.bodies
    assert json.loads(sent) == {
        "account": "shop",
        "id": "order-1",
        "message": body(),
        "expires_at": "2026-03-02T00:00:00+00:00",
        "delivery": "at_least_once",
    }
    assert service.queue.groups == ["shop"]
    assert (service.ledger_store.puts, service.ledger_store.reads) == (1, 1)
    assert queue().status is Status.SENT
    assert queue.entry().attempts == 1


def test_what_is_accepted_often_is_on_the_queue_once(async_http: Door, queue: Door) -> None:
    """Also while its kind is held: a thousand repeats are no thousand copies."""
    queue.service.wechat.plan.append(answer(45009))
    queue(message_id="another")
    assert [changed(async_http()) for _ in range(1000)] == [True] + [False] * 999
    assert len(queue.service.queue.bodies) == 1
    assert type(queue()) is Held
    assert not changed(async_http())
    assert len(queue.service.queue.bodies) == 1


def test_what_is_repeated_after_its_copy_was_lost_is_put_on_the_queue_again(
    async_http: Door, queue: Door
) -> None:
    """A queue that was purged, or whose messages went to the dead letters."""
    async_http()
    queue.service.queue.bodies.clear()
    queue.service.clock.advance(GIVE_UP_AFTER)
    async_http()
    assert queue.service.queue.bodies == []
    queue.service.clock.advance(1)
    for _ in range(100):  # and once only, whoever asks
        assert async_http().status is Status.QUEUED
    assert (len(queue.service.queue.bodies), queue.entry().reason) == (1, "requeued")
    queue.service.clock.advance(GIVE_UP_AFTER + 1)
    async_http()
    assert len(queue.service.queue.bodies) == 2
    assert queue().status is Status.SENT


def test_what_the_queue_sends_at_once_is_answered_by_its_entry(
    async_http: Door, queue: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = async_http.service.queue.send

    def send(*args: Any, **named: Any) -> None:
        put(*args, **named)
        assert queue().status is Status.SENT

    monkeypatch.setattr(async_http.service.queue, "send", send)
    accepted = async_http()
    assert (type(accepted), accepted.status) == (Replayed, Status.SENT)


def test_what_the_queue_is_at_already_is_accepted(
    async_http: Door, queue: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim(*_: Any, **__: Any) -> None:
        text = body()
        message = parse_message(text, "order-1")[0]
        queue.service.ledger.claim(SendRequest("order-1", "shop", text), message, 60.0, takes_queued=True)

    monkeypatch.setattr(async_http.service.queue, "send", claim)
    accepted = async_http()
    assert (type(accepted), accepted.status) == (Queued, Status.SENDING)


def test_what_could_not_be_put_on_the_queue_is_its_callers_to_repeat(async_http: Door) -> None:
    service = async_http.service
    service.queue.failing = "ServiceUnavailable"
    for _ in range(2):
        with pytest.raises(StorageError):
            async_http()
        assert service.ledger_store.entries == {}
    service.queue.failing = None
    assert async_http().status is Status.QUEUED
    assert len(service.queue.bodies) == 1


def test_an_entry_that_cannot_be_written_costs_no_message(async_http: Door, queue: Door) -> None:
    """It is on the queue, and has its entry when it is taken from there."""
    async_http.service.ledger_store.failing = {"put": "ThrottlingException"}
    assert type(async_http()) is Queued
    async_http.service.ledger_store.failing = {}
    assert len(async_http.service.queue.bodies) == 1
    assert queue().status is Status.SENT


def test_where_the_ledger_is_silent_nothing_is_queued(async_http: Door) -> None:
    async_http.service.ledger_store.failing = {"read": "ThrottlingException"}
    with pytest.raises(StorageError):
        async_http()
    assert async_http.service.queue.bodies == []


@pytest.mark.parametrize("name", ["queue", "http", "async"])
def test_an_account_that_nobody_knows_is_an_error_and_leaves_no_entry(service: Service, name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Door(name, service)(account="nobody")
    assert service.ledger_store.entries == {}


# ---------------------------------------------------------------- expiry and cancellation


@pytest.mark.parametrize("name", ["queue", "http", "async"])
@pytest.mark.parametrize(("seconds", "expired"), [(-1, True), (0, True), (0.001, False), (60, False)])
def test_a_message_past_its_time_is_never_sent(
    service: Service, name: str, *, seconds: float, expired: bool
) -> None:
    expires_at = datetime.fromtimestamp(START, UTC) + timedelta(seconds=seconds)
    dispatched = Door(name, service)(expires_at=expires_at)
    assert (dispatched.status is Status.EXPIRED) == expired
    assert len(service.wechat.attempts) + len(service.queue.bodies) == (not expired)
    assert (Door(name, service).entry().status is Status.EXPIRED) == expired
    if expired:
        assert type(dispatched) is Expired


def test_a_message_may_expire_while_it_waits_for_a_token(door: Door) -> None:
    door.service.store.tokens.clear()
    door.service.refresher.while_running = lambda: door.service.clock.advance(5)
    assert door(expires_at=datetime.fromtimestamp(START + 4, UTC)).status is Status.EXPIRED
    assert door.service.wechat.attempts == []


def test_a_message_may_expire_while_it_is_held(queue: Door) -> None:
    queue.service.wechat.plan.append(answer(45009))
    expires_at = datetime.fromtimestamp(START + 3600, UTC)
    assert queue(expires_at=expires_at).status is Status.QUEUED
    queue.service.clock.advance(3600)
    assert queue(expires_at=expires_at, held_since=START).status is Status.EXPIRED


def test_what_expires_in_doubt_is_unknown(queue: Door) -> None:
    given = body(delivery="at_least_once")
    queue.service.wechat.plan.append(lost())
    assert queue(given).status is Status.QUEUED
    expires_at = datetime.fromtimestamp(START, UTC)
    expired = queue(given, expires_at=expires_at)
    assert (expired.status, names(expired)) == (Status.UNKNOWN, ["message.unknown"])


def test_what_was_cancelled_while_it_waited_is_not_sent(async_http: Door, queue: Door) -> None:
    async_http()
    found = queue.service.ledger.cancel("shop", "order-1")
    assert isinstance(found, Written)
    for each in (queue, Door("http", queue.service), async_http):
        dispatched = each()
        assert (type(dispatched), dispatched.status) == (Replayed, Status.CANCELLED)
    assert queue.service.wechat.attempts == []
    assert len(queue.service.queue.bodies) == 1


def test_what_was_cancelled_between_two_attempts_is_not_attempted_again(queue: Door) -> None:
    queue.service.wechat.plan.append(answer(-1))
    assert again_in(queue()) is not None
    queue.service.ledger.cancel("shop", "order-1")
    assert queue().status is Status.CANCELLED
    assert len(queue.service.wechat.attempts) == 1


# ---------------------------------------------------------------- lost answers

AT_LEAST_ONCE = body(delivery="at_least_once")
REPEATED = [("template", body("template")), ("at_least_once", AT_LEAST_ONCE)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "template"])
def test_a_lost_answer_is_the_end_where_a_repeat_could_be_a_second_message(door: Door, kind: str) -> None:
    door.service.wechat.plan.append(lost())
    dispatched = door(body(kind))
    assert (dispatched.status, again_in(dispatched)) == (Status.UNKNOWN, None)
    assert (door.entry().status, door.entry().lost_at) == (Status.UNKNOWN, START)
    assert type(door(body(kind))) is Replayed
    assert len(door.service.wechat.attempts) == 1


@pytest.mark.parametrize("given", [row[1] for row in REPEATED], ids=[row[0] for row in REPEATED])
def test_a_lost_answer_is_repeated_by_the_queue_where_that_does_no_harm(
    queue: Door, given: dict[str, Any]
) -> None:
    queue.service.wechat.plan.append(lost())
    first = queue(given)
    assert (first.status, again_in(first), names(first)) == (Status.QUEUED, 10.0, [])
    assert first.outcome is not None
    assert "again" in first.outcome.hint.en
    assert "second message" not in first.outcome.hint.en
    queue.service.clock.advance(10)
    second = queue(given, receive_count=2)
    assert (type(second), second.status, queue.entry().lost_at) == (Sent, Status.SENT, None)
    sent = [message.wire() for message, _ in queue.service.wechat.attempts]
    assert sent[0] == sent[1]


@pytest.mark.parametrize("given", [row[1] for row in REPEATED], ids=[row[0] for row in REPEATED])
def test_over_http_a_lost_answer_is_its_callers_to_repeat_under_the_same_id(
    http: Door, given: dict[str, Any]
) -> None:
    http.service.wechat.plan.append(lost())
    assert http(given).status is Status.UNKNOWN
    http.service.clock.advance(10 if given is AT_LEAST_ONCE else 0)
    again = http(given)
    assert (type(again), again.status) == (Sent, Status.SENT)


LATER: list[tuple[Outcome, Status]] = [
    (answer(0, msgid=5), Status.SENT),
    (answer(40241), Status.SENT),
    (lost(), Status.QUEUED),
    (unreachable(), Status.QUEUED),
    (misdirected(), Status.QUEUED),
    *[(answer(errcode), Status.QUEUED) for errcode in (-1, 40037, 43108, 43117, 45009, 45011)],
    *[
        (answer(errcode), Status.UNKNOWN)
        for errcode in (40003, 40013, 43101, 43107, 45103, 47003, 48001, 99999)
    ],
]


@pytest.mark.parametrize("given", [row[1] for row in REPEATED], ids=[row[0] for row in REPEATED])
@pytest.mark.parametrize(
    ("second", "becomes"), LATER, ids=[str(row[0].errcode or row[0].hint.en) for row in LATER]
)
def test_in_doubt_only_wechats_word_makes_a_message_sent_and_nothing_makes_it_failed(
    queue: Door, given: dict[str, Any], second: Outcome, becomes: Status
) -> None:
    queue.service.wechat.plan.extend([lost(), second])
    queue(given)
    queue.service.clock.advance(10)
    dispatched = queue(given, receive_count=2)
    assert (dispatched.status, queue.entry().status) == (becomes, becomes)
    assert queue.entry().lost_at == (None if becomes is Status.SENT else START)
    assert ("message.unknown" in names(dispatched)) == (becomes is Status.UNKNOWN)
    waits = again_in(dispatched) is not None or held_for(dispatched) is not None
    assert waits == (becomes is Status.QUEUED)


@pytest.mark.parametrize(
    "second", [lost(), *map(answer, (-1, 40003, 40037, 45009, 47003, 48001))], ids=lambda o: str(o.errcode)
)
def test_what_a_later_attempt_came_to_does_not_speak_for_a_message_in_doubt(
    http: Door, second: Outcome
) -> None:
    http.service.wechat.plan.extend([lost(), second])
    http(AT_LEAST_ONCE)
    http.service.clock.advance(10)
    dispatched = http(AT_LEAST_ONCE)
    (domain_event,) = [
        domain_event for domain_event in dispatched.events if domain_event.detail_type == "message.unknown"
    ]
    assert domain_event.detail.get("class") == (None if second.errcode is not None else "unknown")


@pytest.mark.parametrize(
    "second", [lost(), *map(answer, (-1, 40003, 40037, 45009, 47003, 48001))], ids=lambda o: str(o.errcode)
)
def test_in_doubt_over_http_every_other_end_is_unknown(http: Door, second: Outcome) -> None:
    http.service.wechat.plan.extend([lost(), second])
    http(AT_LEAST_ONCE)
    http.service.clock.advance(10)
    dispatched = http(AT_LEAST_ONCE)
    assert (type(dispatched), dispatched.attempted) == (Unknown, True)
    assert http.entry().lost_at == START


@pytest.mark.parametrize(("seconds", "posts"), [(479.0, 2), (480.0, 1), (601.0, 1)])
def test_a_template_is_repeated_only_while_wechat_knows_its_first_copy(
    queue: Door, seconds: float, posts: int
) -> None:
    queue.service.wechat.plan.append(lost())
    queue(body("template"))
    queue.service.clock.advance(seconds)
    dispatched = queue(body("template"), receive_count=2)
    assert dispatched.status is (Status.SENT if posts == 2 else Status.UNKNOWN)
    assert len(queue.service.wechat.attempts) == posts


def test_the_time_for_which_wechat_knows_a_copy_counts_from_the_first_lost_one(queue: Door) -> None:
    queue.service.wechat.plan.extend([lost()] * 10)
    statuses = []
    for _ in range(6):
        dispatched = queue(body("template"))
        statuses.append(dispatched.status)
        queue.service.clock.advance((again_in(dispatched) or 0.0) + 10)
    assert statuses == [Status.QUEUED] * 5 + [Status.UNKNOWN]  # at 0, 20, 60, 160 and 440 s, and at 750
    assert len(queue.service.wechat.attempts) == 5


def test_a_template_in_doubt_that_a_quota_holds_is_unknown_after_it(queue: Door) -> None:
    queue.service.wechat.plan.extend([lost(), answer(45009)])
    queue(body("template"))
    queue.service.clock.advance(10)
    assert held_for(queue(body("template"))) is not None
    queue.service.clock.advance(DAY)
    dispatched = queue(body("template"), held_since=START)
    assert (dispatched.status, names(dispatched)) == (Status.UNKNOWN, ["message.unknown"])
    assert len(queue.service.wechat.attempts) == 2


def test_at_least_once_is_four_copies_at_most(queue: Door) -> None:
    """WeChat may accept and answer late: the pauses grow."""
    queue.service.wechat.plan.extend([lost()] * 30)
    turns = []
    for count in range(1, 6):
        turns.append(queue(AT_LEAST_ONCE, receive_count=count))
        queue.service.clock.advance(again_in(turns[-1]) or 0.0)
    assert [turn.status for turn in turns] == [Status.QUEUED] * 3 + [Status.UNKNOWN] * 2
    assert [again_in(turn) for turn in turns] == [10.0, 30.0, 90.0, None, None]
    assert len(queue.service.wechat.attempts) == 4
    assert queue.entry().answers_lost == 4


def test_at_least_once_over_http_is_four_copies_at_most(http: Door) -> None:
    http.service.wechat.plan.extend([lost()] * 30)
    turns: list[float | None] = []
    for _ in range(6):
        turns.append(repeat_after(http(AT_LEAST_ONCE)))
        http.service.clock.advance(turns[-1] or 0.0)
    assert turns == [10.0, 30.0, 90.0, None, None, None]
    assert len(http.service.wechat.attempts) == 4


def test_a_copy_on_the_queue_keeps_the_first_ones_pause(queue: Door) -> None:
    """SQS hands a message out twice at times, and accepting one may put a second copy there."""
    queue.service.wechat.plan.extend([lost()] * 4)
    for attempts, pause in ((1, 10.0), (2, 30.0), (3, 90.0)):
        assert again_in(queue(AT_LEAST_ONCE)) == pause
        queue.service.clock.advance(pause - 1.5)
        second = queue(AT_LEAST_ONCE)
        assert (type(second), second.status) == (NotDue, Status.QUEUED)
        assert (again_in(second), len(queue.service.wechat.attempts)) == (1.5, attempts)
        queue.service.clock.advance(1.5)


@pytest.mark.parametrize("errcode", [-1, 43108, 43117])
def test_a_pause_is_the_messages_and_not_its_copys(queue: Door, errcode: int) -> None:
    queue.service.wechat.plan.append(answer(errcode))
    pause = again_in(queue())
    second = queue()
    assert (type(second), again_in(second)) == (NotDue, pause)
    assert len(queue.service.wechat.attempts) == 1
    queue.service.clock.advance(pause or 0.0)
    assert queue().status is Status.SENT


def test_a_hold_in_between_does_not_shorten_a_pause(queue: Door) -> None:
    queue.service.wechat.plan.extend([lost(), answer(45011)])
    assert again_in(queue(AT_LEAST_ONCE)) == 10.0
    queue(message_id="another")
    assert type(queue(AT_LEAST_ONCE)) is Held
    assert queue.entry().next_attempt_at == START + 10


def test_a_message_in_doubt_that_is_left_to_the_queue_waits_there(http: Door, queue: Door) -> None:
    http.service.wechat.plan.append(lost())
    assert repeat_after(http(AT_LEAST_ONCE)) == 10.0
    assert Door("async", http.service)(AT_LEAST_ONCE).status is Status.QUEUED
    assert again_in(queue(AT_LEAST_ONCE)) == 10.0
    queue.service.clock.advance(10)
    assert queue(AT_LEAST_ONCE).status is Status.SENT


def test_a_refusal_after_a_lost_answer_keeps_the_pause(http: Door, queue: Door) -> None:
    """A caller that repeats at once hears what is known, and WeChat is left alone."""
    http.service.wechat.plan.extend([lost(), answer(47003)])
    assert repeat_after(http(AT_LEAST_ONCE)) == 10.0
    http.service.clock.advance(11)
    refused = http(AT_LEAST_ONCE)
    assert (type(refused), repeat_after(refused)) == (Unknown, 10.0)
    for door in (http, http, queue):
        again = door(AT_LEAST_ONCE)
        assert (type(again), names(again)) == (NotDue if door.queued else Replayed, [])
    assert len(http.service.wechat.attempts) == 2


def test_refusals_between_lost_answers_are_no_copies(queue: Door) -> None:
    queue.service.wechat.plan.extend([lost(), *[answer(-1)] * 10, lost(), lost()])
    statuses = set()
    for count in range(1, 14):
        statuses.add(queue(AT_LEAST_ONCE, receive_count=count).status)
        queue.service.clock.advance(300)
    assert (statuses, queue.entry().answers_lost) == ({Status.QUEUED}, 3)
    assert queue(AT_LEAST_ONCE).status is Status.SENT


# ---------------------------------------------------------------- crashes


class CrashError(BaseException):
    """The process is gone: no handler of ours runs any more."""


CRASHES = ["claiming", "after the claim", "posting", "finishing", "after the finish"]


def crash(service: Service, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Let the process die at one point of its next message."""
    put, send = service.ledger_store.put, service.wechat.send
    puts = itertools.count(1)

    def die_at_put(entry: Entry, *, patient: bool = False) -> Entry | None:
        number = next(puts)
        if (number, where) in {(1, "claiming"), (2, "finishing")}:
            raise CrashError
        existing = put(entry, patient=patient)
        if (number, where) in {(1, "after the claim"), (2, "after the finish")}:
            raise CrashError
        return existing

    def die_at_post(*given: Any) -> Outcome:
        send(*given)
        raise CrashError

    monkeypatch.setattr(service.ledger_store, "put", die_at_put)
    if where == "posting":
        monkeypatch.setattr(service.wechat, "send", die_at_post)


@pytest.mark.parametrize(
    "given", [body(), body("template"), AT_LEAST_ONCE], ids=["once", "template", "at least"]
)
@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_at_any_point_leaves_what_a_later_delivery_can_judge(
    queue: Door, monkeypatch: pytest.MonkeyPatch, where: str, given: dict[str, Any]
) -> None:
    service = queue.service
    with monkeypatch.context() as patched:
        crash(service, patched, where)
        with pytest.raises(CrashError):
            queue(given)
    if where == "claiming":
        assert queue(given).status is Status.SENT
        return
    if where == "after the finish":
        assert (type(queue(given)), queue(given).status) == (Replayed, Status.SENT)
        assert len(service.wechat.attempts) == 1
        return
    soon = queue(given, receive_count=2)
    assert (type(soon), again_in(soon)) == (InFlight, LEASE)
    service.clock.advance(LEASE)
    judged = queue(given, receive_count=3)
    attempts = 0 if where == "after the claim" else 1
    if given == body():
        assert (type(judged), judged.attempted) == (Unknown, False)
        assert (names(judged), queue.entry().reason) == (["message.unknown"], "answer_not_recorded")
        assert len(service.wechat.attempts) == attempts
    else:
        assert (type(judged), judged.status) == (Sent, Status.SENT)
        assert len(service.wechat.attempts) == attempts + 1
    assert names(queue(given)) == []


def test_a_caller_that_comes_again_after_a_crash_hears_the_truth(
    http: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash(http.service, patched, "posting")
        with pytest.raises(CrashError):
            http()
    assert type(http()) is InFlight
    http.service.clock.advance(LEASE)
    judged = http()
    assert (type(judged), judged.attempted) == (Unknown, False)


def test_a_crash_between_the_entry_and_the_queue_is_mended_by_asking_again(
    async_http: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(async_http.service.queue, "send", die)
        with pytest.raises(CrashError):
            async_http()
    assert async_http().status is Status.QUEUED
    assert len(async_http.service.queue.bodies) == 1


# ---------------------------------------------------------------- a ledger that fails


@pytest.mark.parametrize("code", ["ThrottlingException", "ReadTimeoutError"])
def test_nothing_goes_out_that_is_not_claimed(door: Door, code: str) -> None:
    door.service.ledger_store.failing = {"put": code}
    with pytest.raises(StorageError):
        door()
    assert door.service.wechat.attempts == []
    door.service.ledger_store.failing.clear()
    assert door().status is Status.SENT


def test_a_claim_whose_answer_was_lost_sends_nothing(door: Door) -> None:
    door.service.ledger_store.losing_answers = 1
    with pytest.raises(StorageError):
        door()
    assert door.service.wechat.attempts == []
    assert door().status is Status.SENT  # and not unknown, when the claim would be over
    assert len(door.service.wechat.attempts) == 1


@pytest.mark.parametrize("outcome", [answer(0), answer(47003), answer(-1), answer(45009), lost()])
def test_an_answer_that_cannot_be_recorded_is_judged_when_the_claim_is_over(
    door: Door, outcome: Outcome
) -> None:
    service = door.service
    service.wechat.plan.append(outcome)
    service.wechat.while_in_flight = lambda _message: service.ledger_store.failing.update(put="Throttling")
    dispatched = door()
    assert (type(dispatched), dispatched.status) == (Unrecorded, Status.SENDING)
    assert dispatched.outcome == with_consequence(outcome)
    assert (again_in(dispatched), held_for(dispatched)) == (LEASE, None)
    assert names(dispatched) == (["quota.reached"] if outcome.errcode == 45009 else [])
    service.ledger_store.failing.clear()
    service.clock.advance(DAY)
    assert door().status is Status.UNKNOWN
    assert len(service.wechat.attempts) == 1


def test_a_record_whose_answer_was_lost_stands_all_the_same(door: Door) -> None:
    service = door.service

    def lose(_message: object) -> None:
        service.ledger_store.losing_answers = 1

    service.wechat.while_in_flight = lose
    assert isinstance(door(), Unrecorded)
    assert (type(door()), door().status) == (Replayed, Status.SENT)


def test_circuits_that_cannot_be_read_stop_nothing(door: Door) -> None:
    door.service.ledger_store.failing = {"read_circuits": "ThrottlingException"}
    assert door().status is Status.SENT


def test_circuits_that_cannot_be_written_are_remembered_and_cost_no_record(door: Door) -> None:
    service = door.service
    service.ledger_store.failing = {"put_circuits": "ThrottlingException"}
    service.wechat.plan.append(answer(48001))
    assert door().status is Status.FAILED
    assert door.entry().outcome == answer(48001)
    assert type(door(message_id="order-2")) is Held
    assert len(service.wechat.attempts) == 1


def test_an_answer_is_on_record_before_its_circuit_is(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    store = door.service.ledger_store
    put = store.put_circuits
    seen: list[Status] = []

    def look(circuits: Any) -> Any:
        seen.append(door.entry().status)
        return put(circuits)

    monkeypatch.setattr(store, "put_circuits", look)
    door.service.wechat.plan.append(answer(48001))
    door()
    assert seen == [Status.FAILED]


def test_what_nobody_foresaw_after_the_claim_leaves_it_to_be_judged(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(door.service.wechat, "send", break_down)
        with pytest.raises(RuntimeError):
            door()
    assert type(door()) is InFlight
    door.service.clock.advance(LEASE)
    assert door().status is Status.UNKNOWN


def test_an_answer_that_comes_when_the_claim_was_given_up_counts(door: Door) -> None:
    judged: list[Result] = []

    def take_too_long(_message: object) -> None:
        door.service.wechat.while_in_flight = lambda _message: None
        door.service.clock.advance(LEASE)
        judged.append(door())

    door.service.wechat.while_in_flight = take_too_long
    dispatched = door()
    assert [each.status for each in judged] == [Status.UNKNOWN]
    assert (dispatched.status, door.entry().status, changed(dispatched)) == (Status.SENT, Status.SENT, True)


def test_who_lost_the_claim_to_another_that_is_at_it_looks_again_later(queue: Door) -> None:
    def take_too_long(_message: object) -> None:
        queue.service.wechat.while_in_flight = lambda _message: None
        queue.service.clock.advance(LEASE)
        queue.service.wechat.plan.append(lost())
        assert queue(AT_LEAST_ONCE).status is Status.QUEUED

    queue.service.wechat.while_in_flight = take_too_long
    queue.service.wechat.plan.append(answer(-1))
    dispatched = queue(AT_LEAST_ONCE)
    assert (dispatched.status, changed(dispatched), again_in(dispatched)) == (Status.QUEUED, False, 60.0)


# ---------------------------------------------------------------- tokens and time


def test_where_there_is_no_token_nothing_is_claimed(door: Door) -> None:
    service = door.service
    service.store.tokens.clear()
    service.refresher.down = "ServiceException"
    dispatched = door(receive_count=3)
    assert dispatched.outcome is not None
    assert (type(dispatched), dispatched.outcome.unjudged) == (RetryAt if door.queued else TryAgain, True)
    assert dispatched.delivery is not None
    assert dispatched.delivery.attempts == 0
    if door.queued:
        assert (dispatched.status, again_in(dispatched)) == (Status.QUEUED, 8.0)
        assert (door.entry().status, door.entry().attempts) == (Status.QUEUED, 0)
    else:
        assert (dispatched.status, door.entry().attempts, door.entry().reason) == (
            Status.FAILED,
            0,
            TRY_AGAIN,
        )
    assert service.wechat.attempts == []


@pytest.mark.parametrize("trouble", ["no token", "no time"])
def test_who_gets_no_token_is_told_to_wait_longer_each_time(http: Door, trouble: str) -> None:
    """As who is told so by WeChat; and nothing is used up."""
    waits: list[float] = []
    seconds_left = in_trouble(http.service, trouble)
    while sum(waits) < 1800:
        dispatched = http(seconds_left=seconds_left)
        assert dispatched.outcome is not None
        assert (dispatched.status, dispatched.outcome.retryable) == (Status.FAILED, True)
        assert names(dispatched) == []
        waits.append(dispatched.outcome.retry_after or 0.0)
        http.service.clock.advance(waits[-1])
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(waits) == waits[-1] == 300.0
    assert (http.entry().attempts, http.entry().owns_id) == (0, False)
    http.service.refresher.down = None
    assert http().status is Status.SENT


def test_who_gets_no_token_is_told_so_though_the_ledger_is_silent(http: Door) -> None:
    in_trouble(http.service, "no token")
    http.service.ledger_store.failing = {"put": "ServiceUnavailable"}
    dispatched = http()
    assert dispatched.outcome is not None
    assert (type(dispatched), dispatched.outcome.retry_after) == (TryAgain, 2.0)


def test_a_caller_without_a_token_ends_nothing_that_waits(http: Door, queue: Door) -> None:
    queue.service.wechat.plan.append(answer(-1))
    assert queue().status is Status.QUEUED
    in_trouble(http.service, "no token")
    assert http().status is Status.QUEUED
    assert http.entry().status is Status.QUEUED


def test_a_corrected_message_takes_the_id_of_one_that_got_no_token(http: Door) -> None:
    in_trouble(http.service, "no token")
    http()
    corrected = http(body(page="other"))
    assert corrected.outcome is not None
    assert (type(corrected), corrected.outcome.retryable) == (TryAgain, True)
    http.service.refresher.down = None
    http.service.clock.advance(2)
    assert http(body(page="other")).status is Status.SENT


def test_a_message_without_a_token_costs_one_entry_however_often_it_comes(queue: Door) -> None:
    queue.service.store.tokens.clear()
    queue.service.refresher.down = "ServiceException"
    for count in range(1, 5):
        queue(receive_count=count)
        queue.service.clock.advance(300)
    assert len(queue.service.ledger_store.history) == 1


def test_a_message_without_a_token_is_given_up_after_three_days(queue: Door) -> None:
    queue.service.store.tokens.clear()
    queue.service.refresher.down = "ServiceException"
    queue()
    queue.service.clock.advance(GIVE_UP_AFTER)
    assert queue(receive_count=500).status is Status.QUEUED
    queue.service.clock.advance(300)
    given_up = queue(receive_count=501)
    assert (given_up.status, names(given_up), again_in(given_up)) == (Status.FAILED, ["message.failed"], None)
    assert queue.entry().reason == "retries_exhausted"


def test_a_message_without_a_token_is_given_up_before_sqs_does(queue: Door) -> None:
    queue.service.store.tokens.clear()
    queue.service.refresher.down = "ServiceException"
    after: float | None = 0.0
    for count in range(1, 1001):
        after = again_in(queue(receive_count=count))
        if after is None:
            break
        queue.service.clock.advance(after)
    assert (after, queue.entry().reason) == (None, "retries_exhausted")


@pytest.mark.parametrize("trouble", ["no token", "quota"])
def test_what_is_tried_again_days_later_is_not_given_up_at_the_first_trouble(
    service: Service, trouble: str
) -> None:
    service.wechat.plan.append(answer(-1))
    assert Door("http", service)().status is Status.FAILED
    service.clock.advance(GIVE_UP_AFTER + DAY)
    assert Door("async", service)().status is Status.QUEUED
    if trouble == "quota":
        service.token_refresher.refresh("shop")
        service.wechat.plan.append(answer(45009))
    else:
        service.store.tokens.clear()
        service.refresher.down = "ServiceException"
    assert Door("queue", service)().status is Status.QUEUED


def test_an_account_without_a_usable_secret_is_held_and_wakes_by_itself(door: Door) -> None:
    service = door.service
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    first = door()
    assert names(first) == ["circuit.opened"]
    assert first.outcome is not None
    assert first.outcome.errcode == 40164
    if door.queued:
        assert (first.status, held_for(first)) == (Status.QUEUED, 300.0)
    else:
        assert (type(first), first.outcome.retry_after) == (TryAgain, 300.0)
    fetches = len(service.wechat.fetches)
    second = door(message_id="order-2")
    assert (type(second), names(second), len(service.wechat.fetches)) == (Held, [], fetches)
    service.wechat.refusals.clear()
    service.clock.advance(300)
    probe = door(message_id="order-3")
    assert (probe.status, names(probe)) == (Status.SENT, ["circuit.closed"])
    assert door(message_id="order-4").status is Status.SENT


@pytest.mark.parametrize(("seconds_left", "sent"), [(23.9, False), (24.0, True)])
def test_no_message_is_claimed_that_could_not_be_finished(
    door: Door, *, seconds_left: float, sent: bool
) -> None:
    dispatched = door(seconds_left=seconds_left)
    assert isinstance(dispatched, Sent) is sent
    if not sent:
        assert door.service.wechat.attempts == []
        assert again_in(dispatched) == (0.0 if door.queued else None)
        assert [entry.status for entry in door.service.ledger_store.history] == (
            [] if door.queued else [Status.FAILED]
        )
        assert dispatched.outcome is not None
        assert dispatched.outcome.retryable


@pytest.mark.parametrize(("seconds", "attempted"), [(1.0, True), (1.1, False)])
def test_no_message_is_sent_where_the_claim_took_its_time(
    door: Door, monkeypatch: pytest.MonkeyPatch, *, seconds: float, attempted: bool
) -> None:
    service, put = door.service, door.service.ledger_store.put

    def slow(entry: Entry, *, patient: bool = False) -> Entry | None:
        service.clock.advance(0.0 if patient else seconds)
        return put(entry, patient=patient)

    monkeypatch.setattr(service.ledger_store, "put", slow)
    dispatched = door(seconds_left=24.0)
    assert bool(service.wechat.attempts) is attempted
    if not attempted:
        assert (dispatched.status, dispatched.events) == (
            Status.QUEUED if door.queued else Status.FAILED,
            [],
        )
        assert dispatched.outcome is not None
        assert dispatched.outcome.retryable
        assert door.queued or door.entry().awaits_caller
        service.clock.advance(again_in(dispatched) or 0.0)
        assert door(receive_count=2).status is Status.SENT


# ---------------------------------------------------------------- what a circuit holds


def hold(door: Door, errcode: int = 45009) -> None:
    door.service.wechat.plan.append(answer(errcode))
    door(message_id="the one before")
    door.service.wechat.attempts.clear()
    door.service.ledger_store.puts = door.service.ledger_store.reads = 0


UNTIL_RESET = 8 * 3600 + 55 * 60 + 55 + 120.0


def test_a_held_message_is_told_what_mends_it(door: Door) -> None:
    refused = outcome_of(Answer(40164, "invalid ip 198.51.100.7, not in whitelist", None, None, None))
    door.service.store.tokens.clear()
    door.service.wechat.refuse_tokens("wx-shop", refused)
    door(message_id="the one before")
    held = door()
    assert type(held) is Held
    assert held.outcome is not None
    assert "Nothing was sent" in held.outcome.hint.en
    assert "Add 198.51.100.7 to the account's IP whitelist" in held.outcome.hint.en
    assert "请将 198.51.100.7 加入账号的 IP 白名单" in held.outcome.hint.zh


def test_a_message_is_not_sent_after_it_expired_waiting_for_a_token(door: Door) -> None:
    """WeChat rejected the token, and its replacement took longer than the message was worth sending."""
    service = door.service
    service.wechat.reject("wx-shop")
    service.refresher.while_running = lambda: service.clock.advance(15.0)
    dispatched = door(expires_at=datetime.fromtimestamp(START + 2, UTC))
    assert (dispatched.status, door.entry().status) == (Status.EXPIRED, Status.EXPIRED)
    assert (len(service.wechat.attempts), service.wechat.accepted) == (1, [])


def test_a_message_is_not_sent_after_it_expired_being_claimed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, put = door.service, door.service.ledger_store.put

    def slow(entry: Entry, *, patient: bool = False) -> Entry | None:
        service.clock.advance(1.0)
        return put(entry, patient=patient)

    monkeypatch.setattr(service.ledger_store, "put", slow)
    assert door(expires_at=datetime.fromtimestamp(START + 0.5, UTC)).status is Status.EXPIRED
    assert service.wechat.attempts == []


def test_a_rejected_token_of_any_spelling_is_replaced(door: Door) -> None:
    for number, errcode in enumerate((40001, 40014, 42001, 48012)):
        door.service.wechat.plan.append(real(errcode))
        assert door(message_id=f"order-{number}").status is Status.SENT
        door.service.clock.advance(60)  # forced refreshes are half a minute apart


def test_what_is_held_reaches_neither_wechat_nor_the_token_store(door: Door) -> None:
    hold(door)
    door.service.forget()
    dispatched = door()
    assert (type(dispatched), held_for(dispatched)) == (Held, UNTIL_RESET)
    assert dispatched.outcome is not None
    assert (dispatched.outcome.errcode, dispatched.outcome.retry_after) == (45009, UNTIL_RESET)
    assert (dispatched.outcome.unjudged, dispatched.outcome.retryable) == (True, True)
    assert "2026-03-01T16:02:00.000Z" in dispatched.outcome.hint.en
    assert (door.service.wechat.attempts, door.service.store.reads) == ([], [])
    if door.queued:
        assert (dispatched.status, door.entry().status, door.entry().reason) == (
            Status.QUEUED,
            Status.QUEUED,
            "held",
        )
    else:
        assert ("shop", "order-1") not in door.service.ledger_store.entries


def test_what_comes_by_parked_costs_no_write_and_no_read(queue: Door) -> None:
    hold(queue)
    queue()
    queue.service.ledger_store.puts = 0
    for _ in range(5):
        queue.service.clock.advance(900)
        dispatched = queue(held_since=START)
        assert (type(dispatched), dispatched.entry) == (Held, None)
    assert (queue.service.ledger_store.puts, queue.service.ledger_store.reads) == (0, 0)


def test_other_kinds_and_accounts_go_on_while_a_quota_is_used_up(door: Door) -> None:
    hold(door)
    door.service.add_account("bank")
    assert door(message_id="a", account="bank").status is Status.SENT
    assert door(body("template"), message_id="b").status is Status.SENT
    assert type(door(message_id="c")) is Held


REPLAYS = ["sent", "failed", "in flight", "cancelled", "other body"]


@pytest.mark.parametrize("replay", REPLAYS)
@pytest.mark.parametrize("name", ["queue", "http"])
def test_a_probe_is_not_taken_by_what_is_not_to_be_sent(service: Service, name: str, replay: str) -> None:
    door, async_http = Door(name, service), Door("async", service)
    given = None
    match replay:
        case "sent" | "other body":
            door(message_id="old")
            given = body(page="other") if replay == "other body" else None
        case "failed":
            service.wechat.plan.append(answer(43101))
            door(message_id="old")
        case "in flight":
            text = body()
            service.ledger.claim(
                SendRequest("old", "shop", text), parse_message(text, "old")[0], 100_000.0, takes_queued=True
            )
        case "cancelled":
            async_http(message_id="old")
            service.dispatcher.cancel("shop", "old")
    service.wechat.plan.append(answer(48001))
    door(message_id="the one that opens it")
    service.clock.advance(301)
    attempts = len(service.wechat.attempts)
    for _ in range(3):
        assert type(door(given, message_id="old")) in {Replayed, InFlight, IdReused}
    assert len(service.wechat.attempts) == attempts
    assert door(message_id="live").status is Status.SENT


@pytest.mark.parametrize("trouble", ["no token", "no time", "claim lost", "unknown account"])
def test_a_probe_that_was_not_sent_is_given_back(
    service: Service, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    queue = Door("queue", service)
    service.wechat.plan.append(answer(48001))
    queue(message_id="the one that opens it")
    service.clock.advance(301)
    queue.service.dispatcher.prepare(["shop"])
    with monkeypatch.context() as patch:
        match trouble:
            case "no token":
                patch.setattr(service.sender, "token", raises(TokenUnavailableError(unreachable())))
            case "unknown account":
                patch.setattr(service.sender, "token", raises(UnknownAccountError("shop")))
            case "claim lost":
                patch.setattr(service.ledger, "claim", raises(StorageError("write", "Throttling")))
        with suppress(StorageError, UnknownAccountError):
            queue(message_id="unlucky", seconds_left=5.0 if trouble == "no time" else 60.0)
    assert queue(message_id="live").status is Status.SENT


def raises(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_after_the_reset_what_was_held_goes_out(queue: Door) -> None:
    hold(queue)
    queue()
    queue.service.clock.advance(UNTIL_RESET)
    dispatched = queue(held_since=START)
    assert (dispatched.status, names(dispatched)) == (Status.SENT, ["circuit.closed"])


def test_what_is_held_for_three_days_is_given_up(queue: Door) -> None:
    hold(queue)
    queue()
    queue.service.clock.advance(GIVE_UP_AFTER)
    hold(queue)
    assert type(queue(held_since=START)) is Held
    queue.service.clock.advance(1)
    given_up = queue(held_since=START)
    assert (type(given_up), given_up.status) == (Failed, Status.FAILED)
    assert (names(given_up), queue.entry().reason) == (["message.failed"], "retries_exhausted")


@pytest.mark.parametrize("trouble", ["held", "no token", "no time"])
@pytest.mark.parametrize("outcome", [answer(0), answer(47003), lost()])
def test_what_became_of_a_message_is_not_denied_where_nothing_can_be_sent(
    http: Door, trouble: str, outcome: Outcome
) -> None:
    service = http.service
    service.wechat.plan.append(outcome)
    first = http()
    seconds_left = in_trouble(service, trouble)
    again = http(seconds_left=seconds_left)
    assert (type(again), again.status) == (Replayed, first.status)
    assert again.outcome == with_consequence(outcome)
    assert type(http(body(page="other"), seconds_left=seconds_left)) is IdReused
    assert type(http(message_id="another", seconds_left=seconds_left)) is not Replayed


@pytest.mark.parametrize("trouble", ["held", "no token", "no time"])
def test_who_was_told_to_try_again_hears_the_new_trouble(http: Door, trouble: str) -> None:
    http.service.wechat.plan.append(answer(-1))
    http()
    seconds_left = in_trouble(http.service, trouble)
    again = http(seconds_left=seconds_left)
    assert type(again) in {Held, TryAgain}
    assert again.outcome is not None
    assert again.outcome.unjudged


def test_what_is_in_flight_is_not_denied_where_nothing_can_be_sent(http: Door) -> None:
    service = http.service
    meanwhile: list[Result] = []

    def another_comes(_message: object) -> None:
        service.wechat.while_in_flight = lambda _message: None
        in_trouble(service, "held")
        meanwhile.append(http())

    service.wechat.while_in_flight = another_comes
    http()
    assert [type(each) for each in meanwhile] == [InFlight]


def in_trouble(service: Service, trouble: str) -> float:
    """Let something stand before every message; the seconds that are left."""
    if trouble == "held":
        service.circuits.prefetch(["shop"])
        service.circuits.record("shop", parse_message(body())[0], answer(45009), Admission())
    if trouble == "no token":
        service.clock.advance(7200)
        service.refresher.down = "ServiceException"
    return 10.0 if trouble == "no time" else 60.0


# ---------------------------------------------------------------- refusals


def test_a_refusal_is_recorded_once_and_announced_once(service: Service) -> None:
    request = SendRequest("order-1", "shop", {"kind": "unknown"})
    first = service.dispatcher.refuse(request, None, "invalid_message")
    again = service.dispatcher.refuse(request, None, "invalid_message")
    assert [names(first), names(again)] == [["message.failed"], []]
    assert (first.status, changed(first), changed(again)) == (Status.FAILED, True, False)
    assert first.events[0].detail == {
        "id": "order-1",
        "account": "shop",
        "status": "failed",
        "reason": "invalid_message",
        "attempts": 0,
        "at": "2026-03-01T07:04:05.000Z",
    }


def test_a_refusal_of_what_its_caller_was_to_try_again_is_final(service: Service) -> None:
    service.wechat.plan.append(answer(-1))
    Door("http", service)()
    request, message = SendRequest("order-1", "shop", body()), parse_message(body())[0]
    refused = service.dispatcher.refuse(request, message, "unknown_account")
    assert (refused.status, names(refused)) == (Status.FAILED, ["message.failed"])
    assert type(Door("http", service)()) is Replayed


# ---------------------------------------------------------------- decisions

entries = st.builds(
    lambda attempts, lost_at, codes: (attempts, lost_at, codes),
    st.integers(1, 25),
    st.none() | st.sampled_from([START - 600, START - 1]),
    st.lists(st.sampled_from([-1, 40001, 40037, None]), max_size=6),
)


def claimed(attempts: int, lost_at: float | None, codes: list[int | None]) -> Entry:
    timeline = tuple(Change(Status.QUEUED, START, code) for code in codes)
    return Entry(
        "shop",
        "x",
        Status.SENDING,
        "f",
        "w",
        START - 60,
        START,
        attempts=attempts,
        lost_at=lost_at,
        timeline=timeline,
    )


@given(
    outcomes,
    entries,
    st.sampled_from([body(), body("template"), AT_LEAST_ONCE]),
    st.booleans(),
    st.sampled_from([0.0, 3600.0, GIVE_UP_AFTER]),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_a_decision_never_repeats_what_may_have_been_sent_nor_fails_it(
    outcome: Outcome,
    entry: tuple[int, float | None, list[int | None]],
    given: dict[str, Any],
    queued: bool,  # noqa: FBT001
    later: float,
) -> None:
    message = parse_message(given)[0]
    request = with_options(SendRequest("x", "shop", given), message)
    held = claimed(*entry)
    now = START + later
    decision = (QUEUE if queued else CALLER).decide(request, message, held, outcome, now)
    may_repeat = request.at_least_once or message.deduplicated
    in_doubt = held.lost_at is not None or outcome.status is Status.UNKNOWN
    assert (decision.status is Status.SENT) == (outcome.status is Status.SENT)
    if outcome.status is Status.SENT:
        assert decision == Decision(Status.SENT)
    elif in_doubt:
        assert decision.status in {Status.UNKNOWN, Status.QUEUED}
        assert decision.lost_at == (held.lost_at or START)
        if decision.status is Status.QUEUED:
            assert queued
            assert may_repeat
            assert held.attempts < 20
    else:
        assert decision.status in {Status.FAILED, Status.QUEUED}
        assert decision.lost_at is None
        assert (decision.reason == TRY_AGAIN) <= (not queued)
        if decision.status is Status.FAILED and decision.reason is None:
            assert not outcome.retryable
    if not queued:
        assert decision.status is not Status.QUEUED


def test_an_entry_takes_no_way_that_there_is_not(queue: Door) -> None:
    queue()
    with pytest.raises(IllegalTransitionError):
        queue.service.ledger.finish(queue.entry(), Status.QUEUED)
    assert queue.entry().status is Status.SENT
