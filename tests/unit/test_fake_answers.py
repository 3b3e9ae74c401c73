"""The fakes' outcomes are those of the client."""

from __future__ import annotations

import pytest

from tests.fakes import ERRCODES, answer, lost, misdirected, unreachable
from wechat_notify.core.outcomes import Outcome
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.outcomes import outcome_of, outcome_of_no_answer
from wechat_notify.wechat.session import NoAnswer


def compared(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.status,
        outcome.error_class,
        outcome.retryable,
        outcome.errcode,
        outcome.retry_after,
        outcome.unjudged,
        outcome.repeats,
        outcome.holds,
    )


@pytest.mark.parametrize("errcode", ERRCODES)
def test_answers(errcode: int) -> None:
    assert compared(outcome_of(Answer(errcode, "", None, None, None))) == compared(answer(errcode))


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (NoAnswer("ReadTimeout", may_have_arrived=True), lost()),
        (NoAnswer("ConnectTimeout", may_have_arrived=False), unreachable()),
        (NoAnswer("HTTP 404", may_have_arrived=False, passing=False), misdirected()),
    ],
)
def test_failures(real: NoAnswer, fake: Outcome) -> None:
    assert compared(outcome_of_no_answer(real)) == compared(fake)


@pytest.mark.parametrize("errcode", [40001, 41001, 43101, 48006])
def test_hints_begin_like_sentences(errcode: int) -> None:
    """With a capital letter, or with a name as WeChat spells it."""
    first = outcome_of(Answer(errcode, "", None, None, None)).hint.en.split()[0]
    assert first == first.lower() if "_" in first else first[0].isupper()


def test_access_token_keeps_its_spelling() -> None:
    hint = outcome_of(Answer(41001, "", None, None, None)).hint.en
    assert hint.startswith("access_token is missing in the query string. ")
