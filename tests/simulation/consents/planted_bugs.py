"""Bugs of consents to be put into the service one at a time, each of which the oracle must catch."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from tests.simulation.consents.oracle import NONE_LOST, USED_ONCE, WARNED, WITHDRAWN
from tests.simulation.planted_bugs.bug import Bug, Patches, bug, in_place_of
from wechat_notify.core.callbacks.events import PersonLeft
from wechat_notify.core.consents.consents import Consents, Hold
from wechat_notify.core.consents.record import PersonConsents
from wechat_notify.core.delivery.consented import Consented, UnsentEntries
from wechat_notify.core.outcomes import Status


@in_place_of(Consents, "_put", breaks=USED_ONCE)
def written_over(right: Any, self: Consents, changed: PersonConsents, before: PersonConsents) -> Any:
    """Of two senders that want the same consent the second one does not look again."""
    existing = right(self, changed, before)
    return existing and right(self, changed, existing)


@in_place_of(Consents, "take", breaks=USED_ONCE)
def seen_and_not_taken(_right: Any, self: Consents, need: Any, _holder: Any) -> Hold | None:
    """A consent that is there is enough for any number of messages."""
    return Hold(need, None) if self.is_given(need) else None


@in_place_of(Consents, "_moved", breaks=USED_ONCE)
def copied_and_not_moved(_right: Any, self: Consents, known: PersonConsents, current: str) -> Any:
    """After a rotation of the hashes' key a consent is under both hashes."""
    copy = known._replace(openid_hash=current, version=0)
    return self._put(copy, copy) or copy._replace(version=1)


@in_place_of(PersonConsents, "granted", breaks=USED_ONCE)
def repeats_add_up(right: Any, self: PersonConsents, template_id: str, scene: Any, *decision: Any) -> Any:
    """An event that comes again is another consent."""
    key, at = decision
    return right(self, template_id, scene, f"{key}#{next(_NUMBERS)}", at)


@in_place_of(Consented, "settle", breaks=USED_ONCE)
def doubt_gives_back(right: Any, self: Consented, outcome: Any, seconds_left: Any) -> Any:
    """A message whose answer was lost is taken for one that was not sent."""
    if outcome.status is Status.UNKNOWN:
        outcome = outcome._replace(status=Status.FAILED)
    return right(self, outcome, seconds_left)


@bug(breaks=NONE_LOST)
def nothing_is_given_back() -> Patches:
    """A message that was refused keeps its consent, and its entry is not asked."""
    return [(Consents, "give_back", lambda *_: False), (UnsentEntries, "__call__", lambda *_: set())]


@in_place_of(Consents, "record", breaks=WITHDRAWN)
def leaving_is_forgotten(right: Any, self: Consents, account: str, events: Any) -> Any:
    """Who unfollows still gets what they had allowed."""
    if any(isinstance(event, PersonLeft) for event in events):
        return right(self, account, [events[0].__class__(events[0].openid, erase=False, at=0)])
    return right(self, account, events)


@bug(breaks=WITHDRAWN)
def order_matters() -> Patches:
    """A consent that is told after the withdrawal, and is older, counts."""
    return [(PersonConsents, "_withdrawn_to", lambda *_: float("-inf"))]


@in_place_of(Consented, "__init__", breaks=WARNED)
def warnings_refuse(right: Any, self: Consented, consents: Any, _policy: str, *others: Any) -> None:
    """An account that wants a warning gets a refusal."""
    right(self, consents, "enforce", *others)


_NUMBERS = count()
BUGS = {name: found for name, found in list(vars().items()) if isinstance(found, Bug)}


def plant(name: str) -> AbstractContextManager[None]:
    """Have the bug of this name for a while."""
    return BUGS[name].planted()
