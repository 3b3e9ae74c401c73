"""What people are advised to do about a code."""

from __future__ import annotations

import re

import pytest

from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat.advice import advice
from wechat_notify.wechat.error_codes import ERROR_CODES, RetryHint, lookup


def test_advice_is_one_sentence() -> None:
    assert {row.retry_hint for row in ERROR_CODES.values()} == set(RetryHint) - {RetryHint.UNKNOWN}
    for row in (*ERROR_CODES.values(), lookup(12345)):
        text = advice(row)
        assert re.fullmatch(r"[A-Z].*[^.]\.", text.en)
        assert ". " not in text.en
        assert re.fullmatch(r"[^。]*[\u4e00-\u9fff][^。]*。", text.zh)
        assert not re.search(r"[,;:()?!]", row.meaning.zh + text.zh)


def test_advice_by_class() -> None:
    never = {
        row.error_class: advice(row) for row in ERROR_CODES.values() if row.retry_hint is RetryHint.NEVER
    }
    assert len({text.en for text in never.values()}) == len(never)
    assert len({text.zh for text in never.values()}) == len(never)
    for hint in RetryHint:
        for error_class in ErrorClass:
            assert advice(lookup(0)._replace(code=1, error_class=error_class, retry_hint=hint)).en


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (41001, "WeChatApiBase"),
        (42007, "Have the user"),
        (40234, "neither signs nor encrypts"),
        (40243, "Unfreeze"),
        (45028, "mass-send quota"),
        (45040, "next month"),
        (45104, "Spread the calls"),
        (45501, "for a minute"),
        (48006, "back end count as well"),
        (89501, "administrator approve"),
        (200011, "Stop adding templates"),
        (200012, "Delete a template"),
    ],
)
def test_advice_by_code(code: int, says: str) -> None:
    assert says in advice(lookup(code), "subscription").en


@pytest.mark.parametrize("code", [45102, 61450, 42007, 46004])
def test_advice_of_no_other_code(code: int) -> None:
    assert not re.search("template_id|permission sets|obtained from", advice(lookup(code)).en)
