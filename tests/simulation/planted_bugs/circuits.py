"""Bugs of the circuits: when a hold begins and ends, and what its probes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

from tests.simulation.planted_bugs.bug import Bug, Patch
from wechat_notify.core import outcomes
from wechat_notify.core.delivery import circuits
from wechat_notify.core.delivery.circuit import Admission, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.settings import Settings


def _circuits_not_read() -> Sequence[Patch]:
    return [(Circuits, "admit", lambda _self, _account, _message: Admission())]


def _circuit_never_closes() -> Sequence[Patch]:
    return [(circuits, "_FIRST_HOLD_ELSE", 3 * 86400.0), (circuits, "_MAX_HOLD", 3 * 86400.0)]


def _busy_closes() -> Sequence[Patch]:
    before = circuits._judged
    return [(circuits, "_judged", lambda outcome: before(outcome) or outcome.errcode == -1)]


def _wrong_midnight() -> Sequence[Patch]:
    return [(Settings, "quota_reset", QuotaReset(timezone(timedelta(hours=9))))]


def _late_reset_is_a_day() -> Sequence[Patch]:
    before = Circuits._held_until

    def held_until(self: Circuits, opened: Any, outcome: Any, *, first: bool) -> float:
        if outcome.until_reset:
            return self._quota_reset.next(self._now())
        return before(self, opened, outcome, first=first)

    return [(Circuits, "_held_until", held_until)]


def _quota_forgotten() -> Sequence[Patch]:
    before = Circuits._opened

    def opened(self: Circuits, scope: str, existing: Any, outcome: Any) -> Any:
        now = before(self, scope, existing, outcome)
        if outcome.error_class is outcomes.ErrorClass.RATE_LIMIT:
            return replace(now, error_class=outcome.error_class, probes=0)
        return now

    def held_until(self: Circuits, opened: Any, outcome: Any, *, first: bool) -> float:
        if outcome.until_reset and first:
            return self._quota_reset.next(self._now())
        return before_until(self, opened, outcome, first=first)

    before_until = Circuits._held_until
    return [(Circuits, "_opened", opened), (Circuits, "_held_until", held_until)]


def _probe_of_one_circuit() -> Sequence[Patch]:
    before = Circuits.probe

    def probe(self: Circuits, account: str, message: Any) -> Admission:
        waiting = Circuits._waiting
        judged = []

        def first(self: Circuits, known: Any, message: Any) -> Any:
            found = waiting(self, known, message)
            judged.append(found)
            # Every other call is the one that marks them.
            return found if len(judged) % 2 else found[:1]

        Circuits._waiting = first  # type: ignore[method-assign] # for this call
        try:
            return before(self, account, message)
        finally:
            Circuits._waiting = waiting  # type: ignore[method-assign] # as it was

    return [(Circuits, "probe", probe)]


def _probe_eaten() -> Sequence[Patch]:
    return [
        (Ledger, "find_blocker", lambda *_, **__: None),
        (Circuits, "release_probe", lambda *_: None),
    ]


BUGS = (
    Bug(
        "circuits_not_read",
        "what is held is sent",
        "after 45009 nothing is sent until the reset",
        _circuits_not_read,
    ),
    Bug(
        "circuit_never_closes",
        "a circuit stays open when its cause is gone",
        "it drains in bounded time",
        _circuit_never_closes,
    ),
    Bug(
        "busy_closes",
        "a probe that is told that WeChat is busy ends the hold",
        "a hold ends when WeChat judged a message",
        _busy_closes,
    ),
    Bug(
        "wrong_midnight",
        "the quota's day begins in another time zone",
        "after 45009 nothing is sent until the reset",
        _wrong_midnight,
    ),
    Bug(
        "late_reset_is_a_day",
        "a quota that is refused after its reset holds for another day",
        "it drains in bounded time",
        _late_reset_is_a_day,
    ),
    Bug(
        "quota_forgotten",
        "a limit per minute makes a used-up quota forgotten, so that it holds for another day",
        "it drains in bounded time",
        _quota_forgotten,
    ),
    Bug(
        "probe_of_one_circuit",
        "a probe of several holds keeps others from the first one only",
        "a hold lets one message through at a time",
        _probe_of_one_circuit,
    ),
    Bug(
        "probe_eaten",
        "a message that is not to be sent takes the probe of a hold",
        "what was held is sent soon after",
        _probe_eaten,
    ),
)
