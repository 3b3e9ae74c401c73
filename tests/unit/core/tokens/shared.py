"""What the tests of tokens share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes import START
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.outcomes import Outcome
from wechat_notify.core.tokens.token import AccessToken


def failure(call: Callable[[], object]) -> Outcome:
    """Why the call gets no token."""
    with pytest.raises(TokenUnavailableError) as caught:
        call()
    return caught.value.outcome


def token(value: str = "T1", *, at: float = START, life: float = 7200.0) -> AccessToken:
    return AccessToken(value, at + life, at)
