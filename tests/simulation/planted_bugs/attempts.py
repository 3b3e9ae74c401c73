"""Bugs of the attempts: whether a message is tried now, how often, and how long it waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tests.simulation.planted_bugs.bug import Bug, Patch
from wechat_notify.core.delivery import attempts, retry_policy
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.circuit import Admission
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.records import Disposition, Handled
from wechat_notify.core.delivery.results import Unrecorded
from wechat_notify.core.delivery.retry_policy import RetryPolicy
from wechat_notify.core.delivery.send import Attempt
from wechat_notify.core.outcomes import Status


def _no_expiry() -> Sequence[Patch]:
    return [(Attempt, "_is_expired", lambda _self: False)]


def _no_second_look() -> Sequence[Patch]:
    before = Attempt._admitted

    def admitted(self: Attempt, admission: Admission) -> Any:
        self._request = self._request._replace(expires_at=None)
        return before(self, admission)

    return [(Attempt, "_admitted", admitted)]


def _transient_gives_up() -> Sequence[Patch]:
    return [(retry_policy, "MAX_ATTEMPTS", 1)]


def _unknown_account_again() -> Sequence[Patch]:
    before = BatchSender._refused

    def refused(
        self: BatchSender, record: Any, request: Any, message: Any, reason: str, *rest: Any
    ) -> Handled:
        if reason == "unknown_account":
            return self._returns.return_to_queue(
                Handled(record, Disposition.RETURNED, request, message), 60.0
            )
        return before(self, record, request, message, reason, *rest)

    return [(BatchSender, "_refused", refused)]


def _twenty_copies() -> Sequence[Patch]:
    return [(retry_policy, "MAX_REPEATS_AFTER_LOSS", 20)]


def _repeated_for_an_hour() -> Sequence[Patch]:
    return [(retry_policy, "DEDUPLICATED_FOR", 3600.0)]


def _pause_of_the_copy() -> Sequence[Patch]:
    before = Ledger.finish

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        return before(self, entry, status, **{**fields, "next_attempt_at": None})

    return [(Ledger, "finish", finish)]


def _counted_out() -> Sequence[Patch]:
    def wait(_outcome: Any, _attempts: int) -> float:
        return 2.0

    before = RetryPolicy._exhausted

    def exhausted(self: RetryPolicy, claimed: Entry, *args: Any, **named: Any) -> bool:
        return claimed.tries >= retry_policy.MAX_ATTEMPTS or before(self, claimed, *args, **named)

    return [(attempts, "caller_wait", wait), (RetryPolicy, "_exhausted", exhausted)]


def _unrecorded_at_once() -> Sequence[Patch]:
    before = Attempt._finish

    def finish(self: Attempt, *args: Any) -> Any:
        result = before(self, *args)
        return replace(result, after=1.0) if isinstance(result, Unrecorded) else result

    return [(Attempt, "_finish", finish)]


def _lane_goes_on() -> Sequence[Patch]:
    before = BatchSender._in_order

    def in_order(self: BatchSender, lane: Any, seconds_left: Any) -> Iterator[Handled]:
        for read in lane:
            yield from before(self, [read], seconds_left)

    return [(BatchSender, "_in_order", in_order)]


BUGS = (
    Bug(
        "no_expiry",
        "nobody looks whether a message has expired",
        "nothing is sent after it expired",
        _no_expiry,
    ),
    Bug(
        "no_second_look",
        "nobody looks whether a message expired while its token was waited for",
        "nothing is sent after it expired",
        _no_second_look,
    ),
    Bug(
        "transient_gives_up",
        "a message is given up after one attempt",
        "what is worth repeating is repeated",
        _transient_gives_up,
    ),
    Bug(
        "unknown_account_again",
        "a message for an account that nobody knows is tried for ever",
        "it drains in bounded time",
        _unknown_account_again,
    ),
    Bug(
        "twenty_copies",
        "at least once is up to twenty times",
        "four copies at most",
        _twenty_copies,
    ),
    Bug(
        "repeated_for_an_hour",
        "a template message is repeated for an hour",
        "twice only where an answer was lost and the sender agreed",
        _repeated_for_an_hour,
    ),
    Bug(
        "pause_of_the_copy",
        "a second copy on the queue knows nothing of the first one's pause",
        "a repeat waits",
        _pause_of_the_copy,
    ),
    Bug(
        "counted_out",
        "a caller's attempts are counted where nothing was sent",
        "what was never sent is not used up",
        _counted_out,
    ),
    Bug(
        "unrecorded_at_once",
        "a message whose answer could not be recorded comes back after a second",
        "an answer that was not recorded is left until its claim is over",
        _unrecorded_at_once,
    ),
    Bug(
        "lane_goes_on",
        "the rest of a batch goes to a person who has had enough",
        "a person who has had enough is left alone",
        _lane_goes_on,
    ),
)
