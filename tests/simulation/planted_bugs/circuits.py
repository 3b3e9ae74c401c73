"""Bugs of the circuits: when a hold begins and ends, and what its probes are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from wechat_notify.core import outcomes
from wechat_notify.core.delivery import circuits
from wechat_notify.core.delivery.circuit import Admission, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.settings import Settings


@bug(breaks="after 45009 nothing is sent until the reset")
def circuits_not_read() -> Patches:
    """What is held is sent."""
    return [(Circuits, "admit", lambda _self, _account, _message: Admission())]


@bug(breaks="it drains in bounded time")
def circuit_never_closes() -> Patches:
    """A circuit stays open when its cause is gone."""
    return [(circuits, name, 3 * 86400.0) for name in ("_FIRST_HOLD_ELSE", "_MAX_HOLD")]


@in_place_of(circuits, "_judged", breaks="a hold ends when WeChat judged a message")
def busy_closes(right: Any, outcome: Any) -> Any:
    """A probe that is told that WeChat is busy ends the hold."""
    return right(outcome) or outcome.errcode == -1


@bug(breaks="after 45009 nothing is sent until the reset")
def wrong_midnight() -> Patches:
    """The quota's day begins in another time zone."""
    return [(Settings, "quota_reset", QuotaReset(timezone(timedelta(hours=9))))]


@in_place_of(Circuits, "_held_until", breaks="it drains in bounded time")
def late_reset_is_a_day(right: Any, self: Circuits, opened: Any, outcome: Any, *, first: bool) -> Any:
    """A quota that is refused after its reset holds for another day."""
    if outcome.until_reset:
        return self._quota_reset.next(self._now())
    return right(self, opened, outcome, first=first)


@bug(breaks="it drains in bounded time")
def quota_forgotten() -> Patches:
    """A limit per minute makes a used-up quota forgotten, so that it holds for another day."""
    right_opened, right_until = Circuits._opened, Circuits._held_until

    def opened(self: Circuits, scope: str, existing: Any, outcome: Any) -> Any:
        now = right_opened(self, scope, existing, outcome)
        if outcome.error_class is outcomes.ErrorClass.RATE_LIMIT:
            return replace(now, error_class=outcome.error_class, probes=0)
        return now

    def held_until(self: Circuits, opened: Any, outcome: Any, *, first: bool) -> float:
        if outcome.until_reset and first:
            return self._quota_reset.next(self._now())
        return right_until(self, opened, outcome, first=first)

    return [(Circuits, "_opened", opened), (Circuits, "_held_until", held_until)]


@in_place_of(Circuits, "probe", breaks="a hold lets one message through at a time")
def probe_of_one_circuit(right: Any, self: Circuits, account: str, message: Any) -> Any:
    """A probe of several holds keeps others from the first one only."""
    waiting = Circuits._waiting
    judged = []

    def first(self: Circuits, known: Any, message: Any) -> Any:
        found = waiting(self, known, message)
        judged.append(found)
        # Every other call is the one that marks them.
        return found if len(judged) % 2 else found[:1]

    Circuits._waiting = first  # type: ignore[method-assign] # for this call
    try:
        return right(self, account, message)
    finally:
        Circuits._waiting = waiting  # type: ignore[method-assign] # as it was


@bug(breaks="what was held is sent soon after")
def probe_eaten() -> Patches:
    """A message that is not to be sent takes the probe of a hold."""
    return [
        (Ledger, "find_blocker", lambda *_, **__: None),
        (Circuits, "release_probe", lambda *_: None),
    ]
