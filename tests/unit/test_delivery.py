from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fakes import (
    ERRCODES,
    Service,
    answer,
    lost,
    message,
    misdirected,
    unreachable,
)
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.errors import TokenUnavailableError, UnknownAccountError
from wechat_notify.core.messages.kinds import KINDS, Message
from wechat_notify.core.outcomes import ErrorClass, Holds, Outcome, Status
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.outcomes import outcome_of, outcome_of_no_answer
from wechat_notify.wechat.session import NoAnswer

COMPARED = (
    "status",
    "error_class",
    "retryable",
    "errcode",
    "retry_after",
    "unjudged",
    "repeats",
    "holds",
)
REJECTED = [40001, 40014, 42001]


def send(
    service: Service, what: Message | None = None, *, seconds_left: float | Iterator[float] = 60.0
) -> Delivery:
    """As the dispatcher does it: the token is had first."""
    token = service.sender.token("shop", lambda: 60.0)

    def left() -> float:
        return seconds_left if isinstance(seconds_left, float) else next(seconds_left)

    return service.sender.send("shop", what or message(), token, left)


@pytest.mark.parametrize("errcode", ERRCODES)
def test_the_fake_answers_are_those_of_the_client(errcode: int) -> None:
    real, fake = outcome_of(Answer(errcode, "", None, None, None)), answer(errcode)
    for name in COMPARED:
        assert getattr(real, name) == getattr(fake, name), name


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (NoAnswer("ReadTimeout", may_have_arrived=True), lost()),
        (NoAnswer("ConnectTimeout", may_have_arrived=False), unreachable()),
        (NoAnswer("HTTP 404", may_have_arrived=False, passing=False), misdirected()),
    ],
)
def test_the_fake_failures_are_those_of_the_client(real: NoAnswer, fake: Outcome) -> None:
    for name in COMPARED:
        assert getattr(outcome_of_no_answer(real), name) == getattr(fake, name), name


@pytest.mark.parametrize("errcode", [40001, 41001, 43101, 48006])
def test_a_hint_begins_with_a_capital_letter_or_with_a_name_as_it_is_spelled(errcode: int) -> None:
    hint = outcome_of(Answer(errcode, "", None, None, None)).hint.en
    first = hint.split()[0]
    assert first == first.lower() if "_" in first else first[0].isupper()


def test_access_token_is_spelled_as_wechat_spells_it() -> None:
    hint = outcome_of(Answer(41001, "", None, None, None)).hint.en
    assert hint.startswith("access_token is missing in the query string. ")


# ---------------------------------------------------------------- one attempt


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_sent_once_with_the_accounts_token(service: Service, kind: str) -> None:
    what = message(kind)
    delivery = send(service, what)
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 1)
    assert service.wechat.attempts == [(what, "token-1-of-wx-shop")]


def test_the_seconds_are_those_that_wechat_took(service: Service) -> None:
    service.wechat.while_in_flight = lambda _message: service.clock.advance(0.25)
    service.wechat.renew("wx-shop")
    service.refresher.busy = 3
    delivery = send(service)
    assert delivery.attempts == 2
    assert delivery.seconds == pytest.approx(0.5)
    assert sum(service.clock.slept) > 0


@pytest.mark.parametrize("errcode", [code for code in ERRCODES if code not in REJECTED])
def test_no_other_answer_is_repeated_at_once(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    assert send(service) == Delivery(answer(errcode), 1, 0.0)
    assert service.refresher.asked == []


@pytest.mark.parametrize("outcome", [lost(), unreachable(), misdirected()])
def test_what_is_no_answer_is_not_repeated_at_once(service: Service, outcome: Outcome) -> None:
    service.wechat.plan.append(outcome)
    assert send(service) == Delivery(outcome, 1, 0.0)
    assert len(service.wechat.attempts) == 1


# ---------------------------------------------------------------- a rejected token


@pytest.mark.parametrize("errcode", REJECTED)
def test_a_rejected_token_is_replaced_and_the_message_repeated(service: Service, errcode: int) -> None:
    service.wechat.renew("wx-shop")
    service.wechat.plan.append(answer(errcode))
    delivery = send(service)
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert [token for _, token in service.wechat.attempts] == ["token-1-of-wx-shop", "token-2-of-wx-shop"]


@pytest.mark.parametrize("errcode", REJECTED)
def test_a_new_token_that_is_rejected_as_well_speaks_about_the_kind(service: Service, errcode: int) -> None:
    service.wechat.plan.extend([answer(errcode)] * 3)
    delivery = send(service)
    assert (delivery.outcome, delivery.attempts) == (answer(errcode), 2)
    assert delivery.outcome.holds is Holds.KIND
    assert len(service.wechat.attempts) == 2


def test_a_token_from_the_store_that_is_rejected_as_well_is_replaced_too(service: Service) -> None:
    send(service)
    token = service.store.tokens["shop"]
    service.clock.advance(5)
    # Another sender was rejected and got a token, and that one is void by now, too.
    service.store.tokens["shop"] = replace(token, value="newer", obtained_at=service.clock.now())
    service.clock.advance(5)
    service.wechat.plan.extend([answer(40001), answer(40001)])
    delivery = send(service)
    assert (delivery.attempts, delivery.outcome.status) == (3, Status.SENT)
    used = [used for _, used in service.wechat.attempts[1:]]
    assert used[1] == "newer" != used[2]
    assert len(service.refresher.asked) == 1


def test_three_attempts_are_the_most(service: Service) -> None:
    send(service)
    token = service.store.tokens["shop"]
    service.clock.advance(5)
    service.store.tokens["shop"] = replace(token, value="newer", obtained_at=service.clock.now())
    service.clock.advance(5)
    service.wechat.plan.extend([answer(40001)] * 5)
    delivery = send(service)
    assert (delivery.attempts, delivery.outcome) == (3, answer(40001))


def test_where_the_rejected_token_cannot_be_replaced_the_message_is_not_judged(service: Service) -> None:
    service.wechat.reject("wx-shop")
    service.wechat.refuse_tokens("wx-shop", answer(40243))
    delivery = send(service)
    assert (delivery.outcome, delivery.attempts) == (answer(40243)._replace(unjudged=True), 1)


def test_an_account_that_is_removed_meanwhile_keeps_the_answer_that_it_got(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(account: str, *_: object) -> None:
        raise UnknownAccountError(account)

    monkeypatch.setattr(service.refresher, "ask", removed)
    service.wechat.plan.append(answer(40001))
    delivery = send(service)
    assert (delivery.outcome, delivery.attempts) == (answer(40001)._replace(holds=None), 1)


# ---------------------------------------------------------------- time


def test_a_rejected_token_is_not_replaced_where_there_is_no_time_left_for_that(service: Service) -> None:
    service.wechat.plan.append(answer(40001))
    delivery = send(service, seconds_left=24.9)
    # Nothing is known of the account: the token may just have been old.
    assert (delivery.outcome, delivery.attempts) == (answer(40001)._replace(holds=None), 1)
    assert (service.refresher.asked, delivery.outcome.retryable) == ([], True)
    service.wechat.plan.append(answer(40001))
    assert send(service, seconds_left=25.0).attempts == 2


@pytest.mark.parametrize(("left", "attempts"), [(22.9, 1), (23.0, 2)])
def test_a_message_is_not_repeated_where_the_new_token_took_too_long(
    service: Service, left: float, attempts: int
) -> None:
    service.wechat.plan.append(answer(40001))
    delivery = send(service, seconds_left=iter([29.0, 29.0, left]))
    assert delivery.attempts == attempts
    if attempts == 1:
        assert delivery.outcome == answer(40001)._replace(holds=None)
    assert len(service.refresher.asked) == 1


@pytest.mark.parametrize(("left", "longest"), [(60.0, 8.0), (28.0, 6.0), (24.0, 0.5)])
def test_a_busy_refresher_is_waited_for_as_long_as_there_is_time(
    service: Service, left: float, longest: float
) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    ends = service.clock.now() + left
    with pytest.raises(TokenUnavailableError) as unavailable:
        service.sender.token("shop", lambda: ends - service.clock.now())
    assert unavailable.value.outcome.error_class is ErrorClass.TRANSIENT
    assert longest - 3.0 <= sum(service.clock.slept) <= longest + 0.001  # floats


# ---------------------------------------------------------------- accounts


def test_an_unknown_account_is_an_error(service: Service) -> None:
    with pytest.raises(UnknownAccountError):
        service.sender.token("nobody", lambda: 60.0)


def test_without_a_token_there_is_none(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    with pytest.raises(TokenUnavailableError) as unavailable:
        service.sender.token("shop", lambda: 60.0)
    assert unavailable.value.outcome.errcode == 40164


def test_an_account_is_known_where_something_could_be_sent_for_it(service: Service) -> None:
    assert service.sender.knows("shop")
    assert not service.sender.knows("nobody")
    assert service.wechat.attempts == []
