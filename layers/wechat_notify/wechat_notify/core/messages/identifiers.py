"""Names of accounts and ids of messages: which are valid, and new ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from wechat_notify.core.messages.findings import Finding, pydantic_error
from wechat_notify.core.texts import Bilingual

APP_ID = r"wx[A-Za-z0-9]{1,62}"
"""The form of the appids that WeChat gives to accounts."""
_ACCOUNT = re.compile(r"[a-z0-9-]{1,64}")
_ID = re.compile(r"[\x21-\x7e]{1,64}")
CANARY = "canary-"
"""The beginning of the canary's ids; then comes a run's time, or the request id of one by hand."""
_CANARY_ID = re.compile(rf"{CANARY}(\d{{8}}T\d{{6}}Z|[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


def is_account_name(account: str) -> bool:
    """Return whether an account may have this name: 1 to 64 of ``a-z``, ``0-9`` and ``-``."""
    return _ACCOUNT.fullmatch(account) is not None


def is_message_id(given: str) -> bool:
    """Return whether a caller may give a message this id: 1 to 64 visible ASCII characters."""
    return _ID.fullmatch(given) is not None


def is_canary_id(message_id: str) -> bool:
    """Return whether this is the id of a message of the canary, which counts its own."""
    return _CANARY_ID.fullmatch(message_id) is not None


def _account_name(value: str) -> str:
    if not is_account_name(value):
        raise pydantic_error(ACCOUNT_NAME)
    return value


ACCOUNT_NAME = Finding(
    "account_name",
    Bilingual(
        "must be 1 to 64 characters of a-z, 0-9 and -", "必须为 1 到 64 个字符，只能含小写字母 a-z、数字和 -"
    ),
    limit="a-z0-9-",
)
AccountName = Annotated[str, AfterValidator(_account_name)]


def short_id(given: str) -> str:
    """The id, or a digest of it where it is not 1 to 64 visible ASCII characters.

    A schedule's ARN with its scheduled time is longer than that; its digest is as good a name.
    """
    return given if is_message_id(given) else hashlib.sha256(given.encode()).hexdigest()[:32]


def new_id(now: Callable[[], float], random_bits: Callable[[int], int]) -> str:
    """A time-ordered id (UUID version 7, RFC 9562) as 32 hex digits; ``uuid`` has it from Python 3.14 on.

    Parameters
    ----------
    now : Callable
        Seconds since the epoch.
    random_bits : Callable
        ``n`` → an unpredictable integer of ``n`` bits.
    """
    bits = random_bits(74)
    value = int(now() * 1000) << 80 | 0x7 << 76 | bits >> 62 << 64 | 0b10 << 62 | bits & (1 << 62) - 1
    return f"{value:032x}"
