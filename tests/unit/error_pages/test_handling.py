"""What the pages say of the service is what it does."""

from __future__ import annotations

import pytest

from error_pages.field_reports import REPORTS, Place
from error_pages.handling import duration, of_platform, of_send, of_token, platform_outcome, token_outcome
from tests.fakes import Service
from tests.unit.functions.send_api.calls import keyed
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.core.platform.authorizations import USED_CODE
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.error_codes import ERROR_CODES
from wechat_notify.wechat.outcomes import outcome_of

UNKNOWN = 12345


@pytest.mark.parametrize("code", [*ERROR_CODES, UNKNOWN])
def test_answer_to_a_message(service: Service, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def send(message: Message, _token: str) -> Outcome:
        return outcome_of(Answer(code, "text", None, None, None), message.kind)

    monkeypatch.setattr(service.wechat, "send", send)
    response = keyed()
    told = of_send(code)
    assert (response.status, response.content.get("retryable", False)) == (told.status, told.retryable)
    assert bool(service.ledger_store.circuits) == ("所有消息暂停发送" in told.text.zh)


@pytest.mark.parametrize("code", [code for code, report in REPORTS.items() if Place.TOKEN in report.met])
def test_answer_to_a_question_for_a_token(service: Service, code: int) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", token_outcome(code))
    response = keyed()
    told = of_token(code)
    assert (response.status, response.content["retryable"]) == (told.status, told.retryable)
    assert service.wechat.attempts == []
    assert bool(service.ledger_store.circuits) == ("所有消息暂停发送" in told.text.zh)


@pytest.mark.parametrize("code", [code for code, report in REPORTS.items() if Place.PLATFORM in report.met])
def test_answer_to_a_call_of_a_platform(service: Service, code: int) -> None:
    """For a merchant's token; the page of authorizations has its own code, which no token is bought with."""
    told = of_platform(code)
    if code in USED_CODE:
        assert "logged as `failed`" in told.text.en
        return
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", platform_outcome(code))
    response = keyed()
    assert (response.status, response.content["retryable"]) == (told.status, told.retryable)
    assert bool(service.ledger_store.circuits) == ("所有消息暂停发送" in told.text.zh)


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (2, "2 seconds", "2 秒"),
        (60, "1 minute", "1 分钟"),
        (300, "5 minutes", "5 分钟"),
        (86400, "24 hours", "24 小时"),
        (259200, "3 days", "3 天"),
    ],
)
def test_duration(seconds: float, english: str, chinese: str) -> None:
    assert (duration(seconds).en, duration(seconds).zh) == (english, chinese)


def test_duration_of_parts_of_a_second() -> None:
    with pytest.raises(ValueError, match="no whole number"):
        duration(0.5)
