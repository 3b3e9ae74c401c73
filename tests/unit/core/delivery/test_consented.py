"""Messages of accounts that ask for the receiver's consent, through both doors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import OPENID, START, Service, answer, body, lost
from tests.unit.core.delivery.doors import AT_LEAST_ONCE, LEASE, Door, outcome
from wechat_notify.core.callbacks.events import ConsentChange, PersonLeft
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.dry_run import Foreseen, Would
from wechat_notify.core.delivery.results import ConsentUse, Result
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Status
from wechat_notify.core.templates.template import AccountTemplates, Family, Template

TEMPLATE = body()["template_id"]
CONSENT_KINDS = ("subscription", "one_time_subscription", "mini_program_subscription")


def set_policy(service: Service, policy: str | None) -> None:
    if policy:
        service.store.consents["shop"] = policy
    service.token_refresher.refresh("shop")
    service.forget()


def accept(service: Service, *times: int, template_id: str = TEMPLATE) -> None:
    events = [ConsentChange(OPENID, template_id, accepted=True, asked=True, at=at) for at in times]
    service.consents.record("shop", events)
    service.consent_store.calls.clear()


def left(service: Service) -> int:
    return len(service.consents.of("shop", OPENID).of(TEMPLATE, None).unused)


@pytest.fixture(params=["warn", "enforce"])
def policy(service: Service, request: pytest.FixtureRequest) -> str:
    set_policy(service, request.param)
    return str(request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_off_neither_reads_nor_writes(door: Door, kind: str) -> None:
    service = door.service
    accept(service, 1)
    service.ledger_store.puts = service.ledger_store.reads = 0
    door.plan(43101)
    result = door(body(kind))
    assert (result.consent, door.posts, dict(service.consent_store.calls)) == (None, 1, {})
    assert (service.ledger_store.puts, service.ledger_store.reads) == (2, 0)
    assert left(service) == 1


@pytest.mark.parametrize("kind", ["template", "mini_program_template"])
@pytest.mark.usefixtures("policy")
def test_kinds_that_need_no_consent(door: Door, kind: str) -> None:
    result = door(body(kind))
    assert (result.status, result.consent, dict(door.service.consent_store.calls)) == (Status.SENT, None, {})


@pytest.mark.usefixtures("policy")
def test_a_message_uses_up_one_grant(door: Door) -> None:
    accept(door.service, 1, 2)
    result = door()
    assert (result.status, result.consent, left(door.service)) == (Status.SENT, ConsentUse.USED, 1)
    assert dict(door.service.consent_store.calls) == {"read": 2, "put": 1}  # one read is this test's
    assert door().consent is None  # its repeat is answered from its entry
    assert (door.posts, left(door.service)) == (1, 1)


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("scene", ["0", "10000"])
def test_a_scene_has_its_own(door: Door, scene: str) -> None:
    service = door.service
    _, reserved = service.consent_links.new("shop", TEMPLATE, scene)
    service.consent_links.confirm(reserved, TEMPLATE, scene, OPENID)
    assert door(body("one_time_subscription", scene="7"), message_id="other").consent in {
        ConsentUse.MISSING,
        ConsentUse.REFUSED,
    }
    assert door(body("one_time_subscription", scene=scene)).consent is ConsentUse.USED
    assert not service.consents.of("shop", OPENID).of(TEMPLATE, scene).unused


def test_enforce_refuses_before_the_call(door: Door) -> None:
    service = door.service
    set_policy(service, "enforce")
    result = door()
    assert (result.status, result.consent, door.posts) == (Status.FAILED, ConsentUse.REFUSED, 0)
    assert (outcome(result), outcome(result).errcode) == (own_outcomes.NO_CONSENT, None)
    assert [event.detail_type for event in result.events] == ["message.failed"]
    accept(service, 1)
    assert door(message_id="order-2").status is Status.SENT


def test_warn_sends_all_the_same(door: Door) -> None:
    set_policy(door.service, "warn")
    result = door()
    assert (result.status, result.consent, door.posts) == (Status.SENT, ConsentUse.MISSING, 1)


@pytest.mark.usefixtures("policy")
def test_43101_corrects_the_ledger(door: Door) -> None:
    accept(door.service, 1, 2, int(START) + 1)
    door.plan(43101)
    result = door()
    assert (result.status, result.consent) == (Status.FAILED, ConsentUse.USED)
    assert left(door.service) == 1  # given after the message went out


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("errcode", [40037, 47003, 45009, -1, 48001])
def test_any_other_refusal_gives_it_back(door: Door, errcode: int) -> None:
    accept(door.service, 1)
    door.plan(errcode)
    result = door()
    assert (result.consent, left(door.service)) == (ConsentUse.RETURNED, 1)


@pytest.mark.usefixtures("policy")
def test_what_may_have_been_sent_counts(door: Door) -> None:
    accept(door.service, 1, 2)
    door.plan(lost())
    result = door()
    assert (result.status, result.consent, left(door.service)) == (Status.UNKNOWN, ConsentUse.USED, 1)


@pytest.mark.usefixtures("policy")
def test_the_repeat_of_a_lost_message_uses_no_second_one(queue: Door) -> None:
    accept(queue.service, 1, 2)
    queue.plan(lost(), answer(40037))
    assert queue(AT_LEAST_ONCE).consent is ConsentUse.USED
    queue.advance(3600)
    # The first copy may have been sent: the refusal of the second gives nothing back.
    assert queue(AT_LEAST_ONCE, receive_count=2).consent is ConsentUse.USED
    assert (queue.posts, left(queue.service)) == (2, 1)


@pytest.mark.usefixtures("policy")
def test_a_kill_between_take_and_outcome(queue: Door) -> None:
    """The message may have been sent: its grant is used, by it alone."""
    accept(queue.service, 1)

    def die(_message: object) -> None:
        raise KeyboardInterrupt

    queue.service.wechat.while_in_flight = die
    with pytest.raises(KeyboardInterrupt):
        queue()
    queue.service.wechat.while_in_flight = lambda _: None
    other = queue(message_id="order-2")
    assert other.consent in {ConsentUse.MISSING, ConsentUse.REFUSED}
    queue.advance(LEASE + 1)
    assert queue(receive_count=2).status is Status.UNKNOWN
    assert left(queue.service) == 0


def test_a_grant_that_was_not_given_back_is_found_again(queue: Door) -> None:
    """The store failed after the refusal; the entry says that nothing was sent."""
    service = queue.service
    set_policy(service, "enforce")
    accept(service, 1)
    queue.plan(40037)

    def fail(_message: object) -> None:
        service.consent_store.failing["read"] = "InternalServerError"

    service.wechat.while_in_flight = fail
    assert queue().consent is ConsentUse.RETURNED
    service.wechat.while_in_flight = lambda _: None
    service.consent_store.failing.clear()
    assert left(service) == 0
    assert queue(message_id="order-2").consent is ConsentUse.USED


def test_a_withdrawal_between_take_and_post(door: Door) -> None:
    set_policy(door.service, "enforce")
    accept(door.service, 1)

    def leave(_message: object) -> None:
        door.service.consents.record("shop", [PersonLeft(OPENID, erase=False, at=2)])

    door.service.wechat.while_in_flight = leave
    door.plan(40037)
    door()
    assert left(door.service) == 0


@pytest.mark.parametrize("method", ["read", "put"])
def test_a_store_that_fails(door: Door, method: str) -> None:
    """``enforce`` puts the message off, ``warn`` sends it."""
    service = door.service
    set_policy(service, "enforce")
    accept(service, 1)
    service.consent_store.failing[method] = "InternalServerError"
    put_off = door()
    assert (door.posts, outcome(put_off).retryable) == (0, True)
    assert put_off.status is not None
    set_policy(service, "warn")
    service.clock.advance(61)
    sent: Result = door(message_id="order-2")
    assert (sent.status, sent.consent, door.posts) == (Status.SENT, None, 1)
    service.consent_store.failing.clear()
    assert left(service) == 1


@pytest.mark.usefixtures("policy")
def test_too_little_time_after_the_take_gives_it_back(queue: Door) -> None:
    accept(queue.service, 1)
    queue.service.consent_store.before_put = lambda: queue.advance(20)
    result = queue(seconds_left=42.0)
    assert (queue.posts, result.consent, left(queue.service)) == (0, ConsentUse.RETURNED, 1)


@pytest.mark.usefixtures("policy")
def test_a_long_term_template_uses_nothing_up(door: Door) -> None:
    template = Template(TEMPLATE, Family.SUBSCRIPTION, "title", "{{thing1.DATA}}", long_term=True)
    door.service.ledger_store.templates["shop"] = AccountTemplates("shop", 1, templates=(template,))
    accept(door.service, 1)
    assert [door(message_id=str(n)).consent for n in range(2)] == [None, None]
    assert (door.posts, left(door.service)) == (2, 1)
    door.plan(43101)
    door(message_id="3")
    assert door(message_id="4").consent in {ConsentUse.MISSING, ConsentUse.REFUSED}


def test_the_next_policy_is_live_with_the_next_refresh(door: Door) -> None:
    set_policy(door.service, "enforce")
    assert door().consent is ConsentUse.REFUSED
    set_policy(door.service, None)
    door.service.store.consents.clear()
    set_policy(door.service, None)
    door.advance(61)  # a process reads a token again within a minute
    assert door(message_id="order-2").consent is None


def foresee(service: Service, **fields: Any) -> Foreseen:
    content = body(**fields)
    message = parse_message(content, "order-1")[0]
    return service.dispatcher.foresee(SendRequest("order-1", "shop", content), message)


@pytest.mark.parametrize(
    ("policy", "would"), [(None, Would.SEND), ("warn", Would.SEND), ("enforce", Would.REFUSE)]
)
def test_a_dry_run_tells(service: Service, policy: str | None, would: Would) -> None:
    set_policy(service, policy)
    refusal = own_outcomes.NO_CONSENT if would is Would.REFUSE else None
    assert foresee(service) == Foreseen(would, refusal=refusal, lacks_consent=policy is not None)
    assert foresee(service, kind="template") == Foreseen(Would.SEND)
    accept(service, 1)
    assert foresee(service) == Foreseen(Would.SEND)
    assert (left(service), service.consent_store.calls["put"]) == (1, 0)


def test_a_dry_run_is_refused_as_the_message_is(door: Door, policy: str) -> None:
    """A merchant has no right to the kind, and its receiver gave no consent, which is asked for first."""
    service = door.service
    service.store.tokens["shop"] = replace(service.store.tokens["shop"], permissions=(7,))
    foreseen = foresee(service)
    assert (foreseen.would, foreseen.lacks_consent) == (Would.REFUSE, True)
    assert foreseen.refusal == door().outcome
    assert policy == ("enforce" if foreseen.refusal == own_outcomes.NO_CONSENT else "warn")
