"""An attempt whose account asks for the receiver's consent: a grant is taken before the POST.

::

    take ─► POST ─► sent, unknown, 43101: the grant is used up
      │             refused for another reason, put off: it is given back
      └─► none: `warn` sends all the same, `enforce` refuses

The grant is bound to the message and to the attempt's claim. Where it is not given back, because the function
ended or the table did not answer, the message's entry says so: what was not sent holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.consents.consents import Consents, Hold, Need
from wechat_notify.core.consents.record import Holder
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import ConsentUse
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.delivery.time_budgets import TIME_FOR_EVENTS, TIME_FOR_THE_LEDGER
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome, Status

WARN: Final = "warn"
"""The policy by which a message without a known consent is sent, and says so."""
ENFORCE: Final = "enforce"
"""The policy by which it is refused before the call."""
NOT_SUBSCRIBED: Final = 43101
"""WeChat's errcode where no consent is left."""
_UNSENT: Final = frozenset({Status.QUEUED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})


class Consented:
    """The consent of one attempt.

    Parameters
    ----------
    consents : Consents
        Where grants are taken.
    policy : str
        ``warn`` or ``enforce``.
    message, claimed
        The message, and its entry as it was claimed for this attempt.
    now : Callable
        Seconds since the epoch.
    """

    def __init__(
        self, consents: Consents, policy: str, message: Message, claimed: Entry, now: Callable[[], float]
    ) -> None:
        self._consents = consents
        self._enforced = policy == ENFORCE
        self._message = message
        self._claimed = claimed
        self._now = now
        self._need: Need | None = None
        self._hold: Hold | None = None
        self._use: ConsentUse | None = None
        self._posted_at = 0.0

    def send(self, post: Callable[[], Exchange]) -> Exchange:
        """Take a grant and make the POST; an exchange without a POST where the policy forbids it."""
        try:
            self._need = self._consents.need(self._claimed.account, self._message)
            if self._need is not None:
                holder = Holder(self._claimed.id, self._claimed.writer)
                self._hold = self._consents.take(self._need, holder)
        except StorageError:
            if self._enforced:
                return Exchange(own_outcomes.CONSENTS_UNREAD, 0, 0.0)
            self._need = None  # it is sent, and nothing is said of what is not known
        if self._need is None:
            return post()
        if self._hold is None:
            self._use = ConsentUse.MISSING
            if self._enforced:
                self._use = ConsentUse.REFUSED
                return Exchange(own_outcomes.NO_CONSENT, 0, 0.0)
        self._posted_at = round(self._now(), 3)
        return post()

    def settle(self, outcome: Outcome, seconds_left: SecondsLeft) -> ConsentUse | None:
        """Give the grant back or keep it, now that the outcome is in the ledger; return its use.

        Nothing is lost where this does not happen any more: ``UnsentEntries``.
        """
        if self._need is None or self._use is ConsentUse.REFUSED:
            return self._use
        has_time = seconds_left() >= TIME_FOR_THE_LEDGER + TIME_FOR_EVENTS
        if outcome.errcode == NOT_SUBSCRIBED:
            if has_time:
                with suppress(StorageError):
                    self._consents.correct(self._need, self._posted_at)
            return self._use or self._used()
        if self._hold is None:
            return self._use
        may_be_sent = outcome.status in {Status.SENT, Status.UNKNOWN} or self._claimed.lost_at is not None
        if may_be_sent:
            return self._used()
        if has_time:
            with suppress(StorageError):
                self._consents.give_back(self._hold)
        return ConsentUse.RETURNED if self._hold.holder else None

    def _used(self) -> ConsentUse | None:
        """Of a long-term consent nothing is used up."""
        return ConsentUse.USED if self._hold and self._hold.holder else None


class EntryReader(Protocol):
    """Reads the newest entries; raises ``StorageError``."""

    def read_many(self, account: str, message_ids: Iterable[str]) -> Mapping[str, Entry]:
        """The entries of these messages, by id."""


class UnsentEntries:
    """Tells by their entries which messages hold a grant that they did not use."""

    def __init__(self, entries: EntryReader) -> None:
        self._entries = entries

    def __call__(self, account: str, message_ids: Iterable[str]) -> Collection[str]:
        """Those that were certainly not sent, and whose last answer was not 43101."""
        found = self._entries.read_many(account, message_ids)
        return {message_id for message_id, entry in found.items() if _is_unsent(entry)}


def _is_unsent(entry: Entry) -> bool:
    if entry.status not in _UNSENT or entry.lost_at is not None:
        return False
    return entry.outcome is None or entry.outcome.errcode != NOT_SUBSCRIBED
