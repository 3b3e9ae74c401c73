from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.fakes import OPENID, answer
from wechat_notify.core.errors import (
    IllegalTransitionError,
    InvalidFieldsError,
    InvalidMessageError,
    InvalidRequestError,
    StartedError,
    StorageError,
    TokenUnavailableError,
    WeChatNotifyError,
)
from wechat_notify.core.outcomes import Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation


def errors(error: type[WeChatNotifyError] = WeChatNotifyError) -> Iterator[type[WeChatNotifyError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from errors(subclass)


REQUIRED = Bilingual("is required", "缺少必填字段")
BROKEN = (Violation("touser", "missing", REQUIRED), Violation(f"data.{OPENID}", "object", REQUIRED, "x"))


def test_every_error_has_its_reason() -> None:
    reasons = [vars(error)["reason"] for error in errors()]
    assert len(reasons) == len(set(reasons)) >= 8
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", reason) for reason in reasons)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (IllegalTransitionError(Status.SENT, Status.QUEUED), "sent -> queued"),
        (StartedError(Status.SENDING), "sending"),
        (StorageError("write it", "ThrottlingException"), "write it: ThrottlingException"),
        (InvalidMessageError(BROKEN), "touser: missing, data.?: object x"),
        (InvalidRequestError(BROKEN, None, None, {}), "touser: missing, data.?: object x"),
        (InvalidFieldsError(BROKEN), "touser: missing, data.?: object x"),
        (TokenUnavailableError(answer(40125)), "no access token: config 40125"),
    ],
)
def test_texts(error: WeChatNotifyError, text: str) -> None:
    """A log may hold them."""
    assert str(error) == text


def test_violations_are_kept() -> None:
    assert InvalidMessageError([*BROKEN]).violations == BROKEN
