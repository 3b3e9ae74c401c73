from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fakes import ERRCODES, Service, answer, lost, message, misdirected, unreachable
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.errors import TokenUnavailableError, UnknownAccountError
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status

REJECTED = [40001, 40014, 42001]


def send(
    service: Service, seconds_left: Iterator[float] | None = None, expires_at: float = float("inf")
) -> Exchange:
    """As an attempt does it: the token is had first."""
    token = service.sender.token("shop", lambda: 60.0)
    left = seconds_left or itertools.repeat(60.0)
    return service.sender.send(
        "shop", message(), token, lambda: next(left), lambda: service.clock.now() >= expires_at
    )


def test_seconds_are_those_of_wechat(service: Service) -> None:
    """The wait for a token does not count."""
    service.wechat.while_in_flight = lambda _message: service.clock.advance(0.25)
    service.wechat.renew("wx-shop")
    service.refresher.busy = 3
    exchange = send(service)
    assert exchange.posts == 2
    assert exchange.seconds == pytest.approx(0.5)
    assert sum(service.clock.slept) > 0


@pytest.mark.parametrize(
    "outcome",
    [*(answer(code) for code in ERRCODES if code not in REJECTED), lost(), unreachable(), misdirected()],
    ids=lambda outcome: str(outcome.errcode or outcome.cause),
)
def test_other_outcomes_are_not_repeated(service: Service, outcome: Outcome) -> None:
    service.wechat.plan.append(outcome)
    assert send(service) == Exchange(outcome, 1, 0.0)
    assert service.wechat.attempts == [(message(), "token-1-of-wx-shop")]
    assert service.refresher.asked == []


# ---- permission sets


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("granted", [None, (), (7,), (18,), (89,), (1, 100)])
def test_kind_needs_its_permission_set(service: Service, kind: str, granted: tuple[int, ...] | None) -> None:
    """A merchant may grant its platform less than all; an account of its own grants nothing."""
    needed = {
        "subscription": {89},
        "one_time_subscription": {7},
        "template": {7, 100, 101},
        "mini_program_subscription": {18},
        "mini_program_template": {18},
    }[kind]
    token = replace(service.store.tokens["shop"], permissions=granted)
    exchange = service.sender.send("shop", message(kind=kind), token, lambda: 60.0)
    if granted is None or needed & set(granted):
        assert (exchange.outcome.status, exchange.posts) == (Status.SENT, 1)
    else:
        assert (exchange.outcome.error_class, exchange.posts) == (ErrorClass.PERMISSION, 0)
        assert not exchange.outcome.retryable
        assert kind in exchange.outcome.hint.en
        assert kind in exchange.outcome.hint.zh
        assert service.wechat.attempts == []


# ---- rejected tokens


@pytest.mark.parametrize("errcode", REJECTED)
def test_rejected_token_is_replaced(service: Service, errcode: int) -> None:
    service.wechat.renew("wx-shop")
    service.wechat.plan.append(answer(errcode))
    exchange = send(service)
    assert (exchange.outcome.status, exchange.posts) == (Status.SENT, 2)
    assert [token for _, token in service.wechat.attempts] == ["token-1-of-wx-shop", "token-2-of-wx-shop"]


@pytest.mark.parametrize("errcode", REJECTED)
def test_rejected_new_token_holds(service: Service, errcode: int) -> None:
    """A token that is newer than the call is not to blame: the answer speaks about the kind."""
    service.wechat.plan.extend([answer(errcode)] * 3)
    assert send(service) == Exchange(answer(errcode), 2, 0.0)


@pytest.mark.parametrize(("rejections", "status"), [(2, Status.SENT), (5, Status.FAILED)])
def test_stored_token_may_be_rejected(service: Service, rejections: int, status: Status) -> None:
    """Then the refresher is asked, and nothing after that: three attempts at most."""
    send(service)
    service.clock.advance(5)
    newer = replace(service.store.tokens["shop"], value="newer", obtained_at=service.clock.now())
    service.store.tokens["shop"] = newer
    service.clock.advance(5)
    service.wechat.plan.extend([answer(40001)] * rejections)
    exchange = send(service)
    assert (exchange.posts, exchange.outcome.status) == (3, status)
    used = [used for _, used in service.wechat.attempts[1:]]
    assert used[1] == "newer" != used[2]
    assert len(service.refresher.asked) == 1
    if status is Status.FAILED:
        assert exchange.outcome == answer(40001)


def test_unavailable_replacement_is_unjudged(service: Service) -> None:
    service.wechat.reject("wx-shop")
    service.wechat.refuse_tokens("wx-shop", answer(40243))
    assert send(service) == Exchange(answer(40243)._replace(unjudged=True), 1, 0.0)


def test_account_removed_meanwhile(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(account: str, *_: object) -> None:
        raise UnknownAccountError(account)

    monkeypatch.setattr(service.refresher, "ask", removed)
    service.wechat.plan.append(answer(40001))
    assert send(service) == Exchange(answer(40001)._replace(holds=None), 1, 0.0)


# ---- time


@pytest.mark.parametrize(
    ("left", "asked", "attempts"),
    [
        ([24.9], 0, 1),
        ([25.0] * 3, 1, 2),
        ([29.0, 29.0, 22.9], 1, 1),
        ([29.0, 29.0, 23.0], 1, 2),
    ],
    ids=["no_time_to_ask", "time_to_ask", "no_time_to_repeat", "time_to_repeat"],
)
def test_time_for_another_token(service: Service, left: list[float], asked: int, attempts: int) -> None:
    service.wechat.plan.append(answer(40001))
    exchange = send(service, iter(left))
    assert (exchange.posts, len(service.refresher.asked)) == (attempts, asked)
    if attempts == 1:  # nothing is known of the account: the token may just have been old
        assert exchange.outcome == answer(40001)._replace(holds=None)


@pytest.mark.parametrize(("took", "attempts"), [(1.9, 2), (2.0, 1)])
def test_message_expires_waiting_for_token(service: Service, took: float, attempts: int) -> None:
    service.wechat.plan.append(answer(40001))
    service.refresher.while_running = lambda: service.clock.advance(took)
    assert send(service, expires_at=service.clock.now() + 2).posts == attempts


@pytest.mark.parametrize(("left", "longest"), [(60.0, 8.0), (28.0, 6.0), (24.0, 0.5)])
def test_busy_refresher_is_waited_for(service: Service, left: float, longest: float) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    ends = service.clock.now() + left
    with pytest.raises(TokenUnavailableError) as raised:
        service.sender.token("shop", lambda: ends - service.clock.now())
    assert raised.value.outcome.error_class is ErrorClass.TRANSIENT
    assert longest - 3.0 <= sum(service.clock.slept) <= longest + 0.001  # floats


# ---- accounts


def test_known_accounts(service: Service) -> None:
    assert service.sender.has_credentials("shop")
    assert not service.sender.has_credentials("nobody")
