from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import (
    ERRCODES,
    START,
    Service,
    answer,
    highest,
    lost,
    lowest,
    message,
    misdirected,
    unreachable,
)
from wechat_notify.core.delivery import Delivery, deduplicated, repeat_in, seconds_to_reset
from wechat_notify.core.messages import KINDS
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status, UnknownAccountError
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.client import _no_answer, _NoAnswer, _outcome

BEIJING = timezone(timedelta(hours=8))
UNTIL_MIDNIGHT = 8 * 3600 + 55 * 60 + 55


def again(outcome: Outcome, *, jitter: Any = lowest, **given: Any) -> float | None:
    circumstances: dict[str, Any] = {"receive_count": 1, "now": START, **given}
    return repeat_in(outcome, jitter=jitter, **circumstances)


@pytest.mark.parametrize("errcode", ERRCODES)
def test_the_fake_answers_are_those_of_the_client(errcode: int) -> None:
    real, fake = _outcome(Answer(errcode, "", None, None, None)), answer(errcode)
    for name in ("status", "error_class", "retryable", "errcode", "retry_after", "unattempted"):
        assert getattr(real, name) == getattr(fake, name), name


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (_NoAnswer("ReadTimeout", may_have_arrived=True), lost()),
        (_NoAnswer("ConnectTimeout", may_have_arrived=False), unreachable()),
        (_NoAnswer("HTTP 404", may_have_arrived=False, passing=False), misdirected()),
    ],
)
def test_the_fake_failures_are_those_of_the_client(real: _NoAnswer, fake: Outcome) -> None:
    for name in ("status", "error_class", "retryable", "errcode", "retry_after", "unattempted"):
        assert getattr(_no_answer(real), name) == getattr(fake, name), name


@pytest.mark.parametrize("errcode", [40001, 41001, 43101, 48006])
def test_a_hint_begins_with_a_capital_letter_or_with_a_name_as_it_is_spelled(errcode: int) -> None:
    hint = _outcome(Answer(errcode, "", None, None, None)).hint.en
    first = hint.split()[0]
    assert first == first.lower() if "_" in first else first[0].isupper()


def test_access_token_is_spelled_as_wechat_spells_it() -> None:
    hint = _outcome(Answer(41001, "", None, None, None)).hint.en
    assert hint.startswith("access_token is missing in the query string. Pass access_token ")


# ---------------------------------------------------------------- one message


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_sent_once_with_the_accounts_token(service: Service, kind: str) -> None:
    what = message(kind)
    delivery = service.sender.send("shop", what, lambda: 60.0)
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 1)
    assert service.wechat.attempts == [(what, "token-1-of-wx-shop")]


def test_the_seconds_are_those_that_wechat_took(service: Service) -> None:
    service.wechat.while_in_flight = lambda _message: service.clock.advance(0.25)
    service.refresher.busy = 3
    service.store.tokens.clear()
    assert service.sender.send("shop", message(), lambda: 60.0).seconds == pytest.approx(0.25)


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_rejected_token_is_replaced_and_the_message_repeated(service: Service, errcode: int) -> None:
    service.wechat.renew("wx-shop")
    service.wechat.plan.append(answer(errcode))
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert [token for _, token in service.wechat.attempts] == ["token-1-of-wx-shop", "token-2-of-wx-shop"]


def test_a_message_is_repeated_once_and_no_more(service: Service) -> None:
    service.wechat.plan.extend([answer(40001)] * 3)
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert (delivery.outcome.errcode, delivery.attempts) == (40001, 2)
    assert len(service.wechat.attempts) == 2


@pytest.mark.parametrize("errcode", [code for code in ERRCODES if code not in {40001, 40014, 42001}])
def test_no_other_answer_is_repeated_at_once(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert delivery == Delivery(answer(errcode), 1, 0.0)
    assert service.refresher.asked == []


def test_a_lost_answer_is_not_repeated_at_once(service: Service) -> None:
    service.wechat.plan.append(lost())
    assert service.sender.send("shop", message(), lambda: 60.0).outcome == lost()
    assert len(service.wechat.attempts) == 1


def test_without_a_token_nothing_is_attempted(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert (delivery.outcome.errcode, delivery.outcome.unattempted, delivery.attempts) == (40164, True, 0)
    assert service.wechat.attempts == []


def test_where_the_rejected_token_cannot_be_replaced_the_message_is_not_judged(service: Service) -> None:
    service.wechat.reject("wx-shop")
    service.wechat.refuse_tokens("wx-shop", answer(40243))
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert (delivery.outcome.errcode, delivery.outcome.unattempted, delivery.attempts) == (40243, True, 1)


def test_an_unknown_account_is_an_error(service: Service) -> None:
    with pytest.raises(UnknownAccountError):
        service.sender.send("nobody", message(), lambda: 60.0)


def test_an_account_is_known_where_something_could_be_sent_for_it(service: Service) -> None:
    assert service.sender.knows("shop")
    assert not service.sender.knows("nobody")
    assert service.wechat.attempts == []


# ---------------------------------------------------------------- whether a queued message is repeated


def test_no_attempt_begins_that_the_function_could_not_see_the_end_of(service: Service) -> None:
    delivery = service.sender.send("shop", message(), lambda: 11.9)
    assert (delivery.attempts, service.wechat.attempts) == (0, [])
    assert (delivery.outcome.status, delivery.outcome.error_class) == (Status.FAILED, ErrorClass.TRANSIENT)
    assert delivery.outcome.retryable
    assert service.sender.send("shop", message(), lambda: 12.0).outcome.status is Status.SENT


def test_a_token_from_the_store_that_is_rejected_as_well_is_replaced_too(service: Service) -> None:
    service.sender.send("shop", message(), lambda: 60.0)
    token = service.store.tokens["shop"]
    service.clock.advance(5)
    # Another sender was rejected and got a token, and that one is void by now, too.
    service.store.tokens["shop"] = replace(token, value="newer", obtained_at=service.clock.now())
    service.clock.advance(5)
    service.wechat.plan.extend([answer(40001), answer(40001)])
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert (delivery.attempts, delivery.outcome.status) == (3, Status.SENT)
    used = [used for _, used in service.wechat.attempts[1:]]
    assert used[1] == "newer" != used[2]
    assert len(service.refresher.asked) == 1


def test_three_attempts_are_the_most(service: Service) -> None:
    service.sender.send("shop", message(), lambda: 60.0)
    token = service.store.tokens["shop"]
    service.clock.advance(5)
    service.store.tokens["shop"] = replace(token, value="newer", obtained_at=service.clock.now())
    service.clock.advance(5)
    service.wechat.plan.extend([answer(40001)] * 5)
    delivery = service.sender.send("shop", message(), lambda: 60.0)
    assert (delivery.attempts, delivery.outcome.errcode) == (3, 40001)


def test_a_message_is_not_repeated_where_the_new_token_took_too_long(service: Service) -> None:
    service.wechat.plan.append(answer(40001))
    left = iter([29.0, 29.0, 29.0, 29.0, 11.9])
    delivery = service.sender.send("shop", message(), lambda: next(left))
    assert (delivery.attempts, delivery.outcome.error_class) == (1, ErrorClass.TRANSIENT)
    assert delivery.outcome.retryable
    assert len(service.refresher.asked) == 1


def test_a_rejected_token_is_not_replaced_where_there_is_no_time_left_for_that(service: Service) -> None:
    service.wechat.plan.append(answer(40001))
    left = iter([29.0, 29.0, 15.9])
    delivery = service.sender.send("shop", message(), lambda: next(left))
    assert (delivery.attempts, delivery.outcome.errcode, delivery.outcome.retryable) == (1, 40001, True)
    assert service.refresher.asked == []


@pytest.mark.parametrize(("left", "longest"), [(29.0, 12.0 + 2.0), (20.0, 6.0 + 2.0), (13.0, 0.5)])
def test_a_busy_refresher_is_waited_for_as_long_as_there_is_time(
    service: Service, left: float, longest: float
) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    ends = service.clock.now() + left
    delivery = service.sender.send("shop", message(), lambda: ends - service.clock.now())
    assert (delivery.attempts, delivery.outcome.unattempted) == (0, True)
    assert longest - 3.0 < sum(service.clock.slept) <= longest


@pytest.mark.parametrize(
    ("errcode", "least"),
    [(-1, 2.0), (40001, 3.0), (43108, 1.0), (43117, 60.0), (45011, 60.0), (45009, UNTIL_MIDNIGHT)],
)
def test_what_is_worth_repeating_waits_as_long_as_its_kind_of_error_asks(errcode: int, least: float) -> None:
    assert again(answer(errcode)) == least


@pytest.mark.parametrize(
    "errcode", [0, 40003, 40037, 40125, 40241, 41030, 43101, 43107, 45103, 47003, 48001, 99999]
)
def test_what_would_fail_again_is_not_repeated(errcode: int) -> None:
    assert again(answer(errcode)) is None


def test_a_message_that_was_not_judged_waits_for_an_operator() -> None:
    sender_outcome = Outcome(**{**fields(answer(40164)), "unattempted": True})
    assert [again(sender_outcome, receive_count=count) for count in (1, 2, 3, 5, 500)] == [
        300.0, 600.0, 1200.0, 3600.0, 3600.0,
    ]  # fmt: skip


def fields(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}


def test_a_message_that_something_in_between_refused_waits_for_an_operator() -> None:
    assert again(misdirected(), receive_count=2) == 600.0


def test_the_pauses_grow_to_five_minutes() -> None:
    waits = [again(unreachable(), jitter=highest, receive_count=count) for count in (1, 2, 3, 4, 5, 6, 1000)]
    assert waits == [4.0, 8.0, 32.0, 128.0, 300.0, 300.0, 300.0]


def test_many_messages_do_not_come_back_at_the_same_moment() -> None:
    assert again(unreachable(), jitter=lowest, receive_count=4) == 2.0
    assert again(unreachable(), jitter=highest, receive_count=4) == 128.0
    assert again(answer(45009), jitter=highest) == UNTIL_MIDNIGHT + 600


@pytest.mark.parametrize("receive_count", [1, 2, 1000])
def test_a_lost_answer_never_goes_back_to_the_queue(receive_count: int) -> None:
    assert again(lost(), receive_count=receive_count) is None


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_template_message_with_a_client_msg_id_is_deduplicated(kind: str) -> None:
    assert not deduplicated(message(kind))
    if kind in {"subscription", "template"}:
        assert deduplicated(message(kind, client_msg_id="refund-7")) == (kind == "template")


outcomes = st.sampled_from([*map(answer, ERRCODES), lost(), unreachable(), misdirected()])
portions = st.floats(0, 1, allow_nan=False)


@given(
    outcome=outcomes,
    circumstances=st.fixed_dictionaries(
        {
            "receive_count": st.integers(1, 2000),
            "now": st.floats(START, START + 86400 * 400, allow_nan=False),
        }
    ),
    portion=portions,
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_message_is_repeated_that_may_have_been_sent(
    outcome: Outcome, circumstances: dict[str, Any], portion: float
) -> None:
    wait = again(outcome, jitter=lambda low, high: low + (high - low) * portion, **circumstances)
    if outcome.status in {Status.SENT, Status.UNKNOWN}:
        assert wait is None
    elif outcome.retryable or outcome.unattempted:
        assert wait is not None
        assert wait >= (outcome.retry_after or 0)
    if wait is not None:
        assert 0 < wait <= 43200 - 900  # what SQS allows, less the time since the message was received
    if wait is not None and outcome.error_class is not ErrorClass.QUOTA:
        assert wait <= (3660 if outcome.unattempted else 400)


@given(st.floats(START, START + 86400 * 400, allow_nan=False))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_quotas_start_again_at_midnight_in_beijing(now: float) -> None:
    wait = seconds_to_reset(now)
    assert 0 < wait <= 86400
    then = datetime.fromtimestamp(round(now + wait), BEIJING)
    assert (then.hour, then.minute, then.second) == (0, 0, 0)


def test_a_quota_that_is_far_from_midnight_waits_as_long_as_sqs_allows() -> None:
    just_after_midnight = datetime(2026, 3, 2, 0, 0, 1, tzinfo=BEIJING).timestamp()
    assert again(answer(45009), now=just_after_midnight) == 41400.0
