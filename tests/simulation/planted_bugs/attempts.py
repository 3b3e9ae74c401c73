"""Bugs of the attempts: whether a message is tried now, how often, and how long it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
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


@bug(breaks="nothing is sent after it expired")
def no_expiry() -> Patches:
    """Nobody looks whether a message has expired."""
    return [(Attempt, "_is_expired", lambda _self: False)]


@in_place_of(Attempt, "_admitted", breaks="nothing is sent after it expired")
def no_second_look(right: Any, self: Attempt, admission: Admission) -> Any:
    """Nobody looks whether a message expired while its token was waited for."""
    self._request = self._request._replace(expires_at=None)
    return right(self, admission)


@bug(breaks="what is worth repeating is repeated")
def transient_gives_up() -> Patches:
    """A message is given up after one attempt."""
    return [(retry_policy, "MAX_ATTEMPTS", 1)]


@in_place_of(BatchSender, "_refused", breaks="it drains in bounded time")
def unknown_account_again(right: Any, self: BatchSender, record: Any, request: Any, *rest: Any) -> Any:
    """A message for an account that nobody knows is tried for ever."""
    message, reason, *_ = rest
    if reason == "unknown_account":
        return self._returns.return_to_queue(Handled(record, Disposition.RETURNED, request, message), 60.0)
    return right(self, record, request, *rest)


@bug(breaks="four copies at most")
def twenty_copies() -> Patches:
    """At least once is up to twenty times."""
    return [(retry_policy, "MAX_REPEATS_AFTER_LOSS", 20)]


@bug(breaks="twice only where an answer was lost and the sender agreed")
def repeated_for_an_hour() -> Patches:
    """A template message is repeated for an hour."""
    return [(retry_policy, "DEDUPLICATED_FOR", 3600.0)]


@in_place_of(Ledger, "finish", breaks="a repeat waits")
def pause_of_the_copy(right: Any, self: Ledger, entry: Entry, status: Status, **fields: Any) -> Any:
    """A second copy on the queue knows nothing of the first one's pause."""
    return right(self, entry, status, **{**fields, "next_attempt_at": None})


@bug(breaks="what was never sent is not used up")
def counted_out() -> Patches:
    """A caller's attempts are counted where nothing was sent."""
    right = RetryPolicy._exhausted

    def exhausted(self: RetryPolicy, claimed: Entry, *args: Any, **named: Any) -> bool:
        return claimed.tries >= retry_policy.MAX_ATTEMPTS or right(self, claimed, *args, **named)

    return [
        (attempts, "caller_wait", lambda _outcome, _attempts: 2.0),
        (RetryPolicy, "_exhausted", exhausted),
    ]


@in_place_of(Attempt, "_finish", breaks="an answer that was not recorded is left until its claim is over")
def unrecorded_at_once(right: Any, *args: Any) -> Any:
    """A message whose answer could not be recorded comes back after a second."""
    result = right(*args)
    return replace(result, after=1.0) if isinstance(result, Unrecorded) else result


@in_place_of(BatchSender, "_in_order", breaks="a person who has had enough is left alone")
def lane_goes_on(right: Any, self: BatchSender, lane: Any, seconds_left: Any) -> Iterator[Handled]:
    """The rest of a batch goes to a person who has had enough."""
    for read in lane:
        yield from right(self, [read], seconds_left)
