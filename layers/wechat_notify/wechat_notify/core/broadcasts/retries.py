"""Choose the failed messages that a retry sends again, and store the list of their rows."""

from __future__ import annotations

from collections.abc import Iterable

from wechat_notify.core.broadcasts.duplicates import Selection
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.outcomes import ErrorClass, Status

NOT_FOUND = "not_found"
"""The reason of a message that was on the queue, and that the ledger never saw."""
_CAN_PASS = frozenset(
    {
        ErrorClass.TRANSIENT,
        ErrorClass.TOKEN,
        ErrorClass.QUOTA,
        ErrorClass.RATE_LIMIT,
        ErrorClass.CONFIG,
        ErrorClass.PERMISSION,
        ErrorClass.PLATFORM,
    }
)
"""Classes of errors after which the same message can be answered differently: time passes, or somebody mends
the account. A message, a template or a recipient that WeChat refused is refused again."""
_NEVER_ATTEMPTED = frozenset({"unknown_account", "retries_exhausted", NOT_FOUND})
"""Reasons of messages that failed without an answer of WeChat's."""
_UNKNOWN_MARK = "?"


def can_be_retried(status: str, entry: Entry | None) -> bool:
    """Return whether a row failed, was certainly not sent, and may be answered differently later.

    A failed row without an entry is one that was lost.
    """
    if status != Status.FAILED or may_have_been_sent(status, entry):
        return False
    if entry is None:
        return True
    if entry.outcome is None:
        return entry.reason in _NEVER_ATTEMPTED
    return entry.outcome.error_class in _CAN_PASS


def may_have_been_sent(status: str, entry: Entry | None) -> bool:
    """Return whether a row did not reach its end as sent, and WeChat may have it all the same."""
    if status == Status.UNKNOWN:
        return True
    return status == Status.FAILED and entry is not None and entry.lost_at is not None


def to_bytes(failed: Iterable[int], unknown: Iterable[int]) -> bytes:
    """Return a list of rows as it is stored: a number a line, marked where the message may have been sent."""
    lines = [f"{row}\n" for row in failed] + [f"{row}{_UNKNOWN_MARK}\n" for row in unknown]
    return "".join(lines).encode()


def rows_to_retry(blocks: Iterable[bytes], *, include_unknown: bool) -> Selection:
    """Return the rows of a stored list, with those whose message may have been sent only where asked."""
    rows = Selection()
    rest = ""
    for block in blocks:
        *lines, rest = (rest + block.decode()).split("\n")
        for line in lines:
            if include_unknown or not line.endswith(_UNKNOWN_MARK):
                rows.add(int(line.removesuffix(_UNKNOWN_MARK)))
    return rows
