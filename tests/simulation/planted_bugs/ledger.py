"""Bugs of the ledger: claims, leases, what is recorded and what an entry keeps."""

from __future__ import annotations

from typing import Any

from tests.fakes import FakeHashes
from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from tests.simulation.world.setting import TABLE
from wechat_notify import bootstrap
from wechat_notify.core.delivery import ledger, transitions
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.transitions import Transitions
from wechat_notify.core.errors import StorageError
from wechat_notify.core.openid_hashes import hash_openid
from wechat_notify.core.outcomes import Status

_ACCEPTED = "what was accepted is sent or unknown"
_TWICE = "twice only where an answer was lost and the sender agreed"
_LEDGER = "the ledger's rules are kept"
_COMES_TO_ITS_END = "every message that was taken comes to its end"


@in_place_of(Transitions, "_successor", breaks=_ACCEPTED)
def claim_forgets_doubt(right: Any, self: Transitions, existing: Entry, intent: Any, writer: str) -> Any:
    """A claim after an abandoned claim forgets that a copy may have been sent."""
    wanted = right(self, existing, intent, writer)
    if isinstance(wanted, Entry) and wanted.status is Status.SENDING is existing.status:
        return wanted._replace(lost_at=None, answers_lost=0)
    return wanted


@in_place_of(Ledger, "look_up", breaks=_TWICE)
def look_forgets_doubt(right: Any, *args: Any) -> Any:
    """A look that ends an abandoned claim forgets when a copy may have been sent."""
    module = vars(ledger)
    doubt = module["doubt_of"]
    module["doubt_of"] = lambda entry: {}  # noqa: ARG005 - as it is called
    try:
        return right(*args)
    finally:
        module["doubt_of"] = doubt


@bug(breaks=_ACCEPTED)
def refusal_overrules() -> Patches:
    """A late refusal overrules a copy that was sent meanwhile."""

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        wanted = entry.moved(status, writer=entry.writer, now=self._now(), **fields)
        for _ in range(8):
            existing = self._store.put(wanted, patient=True)
            if existing is None:
                return wanted
            if existing.status is not Status.UNKNOWN or status not in {Status.SENT, Status.FAILED}:
                return existing
            wanted = existing.moved(status, writer=entry.writer, now=self._now(), **fields)
        raise StorageError("record what came of the message", "Contended")

    return [(Ledger, "finish", finish)]


@in_place_of(Entry, "moved", breaks=_ACCEPTED)
def cancel_denies(right: Any, self: Entry, status: Status, **named: Any) -> Any:
    """A message of which a copy may have been sent is cancelled."""
    if status is Status.UNKNOWN and named.get("reason") == "cancelled":
        status = Status.CANCELLED
    return right(self, status, **named)


@in_place_of(Ledger, "cancel", breaks="what is cancelled stays so")
def cancel_anything(_right: Any, self: Ledger, account: str, message_id: str) -> Written | None:
    """A message is cancelled whatever its state."""
    existing = self._store.read(account, message_id)
    if existing is None:
        return None
    wanted = existing._replace(status=Status.CANCELLED, version=existing.version + 1)
    self._store.put(wanted)
    return Written(wanted)


@bug(breaks="unknown has a cause")
def unconfirmed_claim_kept() -> Patches:
    """A claim that was stored without an answer is not given back."""
    return [(Ledger, "_remember", lambda *_, **__: None)]


@in_place_of(Ledger, "finish", breaks=_COMES_TO_ITS_END)
def unrecorded_is_done(right: Any, self: Ledger, entry: Entry, status: Status, **fields: Any) -> Any:
    """An outcome that could not be recorded counts as recorded."""
    try:
        return right(self, entry, status, **fields)
    except StorageError:
        return entry.moved(status, writer=entry.writer, now=self._now(), **fields)


@in_place_of(Ledger, "finish", breaks=_TWICE)
def entry_deleted(right: Any, self: Ledger, entry: Entry, status: Status, **fields: Any) -> Any:
    """An exception deletes the entry, as some idempotency decorators do."""
    if status is Status.UNKNOWN:
        aws, key = bootstrap.aws(), {"pk": {"S": f"message#{entry.account}#{entry.id}"}}
        aws.call("delete", lambda: aws.dynamodb.delete_item(TableName=TABLE, Key=key))
        raise StorageError("send", "ReadTimeout")
    return right(self, entry, status, **fields)


@in_place_of(Ledger, "claim", breaks="what is sent was accepted")
def sent_before_it_is(right: Any, self: Ledger, *args: Any, **named: Any) -> Any:
    """A message is recorded as sent before it goes out."""
    found = right(self, *args, **named)
    if isinstance(found, Written) and found.entry.status is Status.SENDING:
        self.finish(found.entry, Status.SENT)
    return found


@in_place_of(Ledger, "claim", breaks=_LEDGER)
def ledger_ignored(right: Any, *args: Any, **named: Any) -> Written:
    """What the ledger says of a message is not heeded."""
    return Written(right(*args, **named).entry._replace(status=Status.SENDING))


@bug(breaks=_LEDGER)
def no_lease() -> Patches:
    """Anybody may take over a claim."""
    return [(module, "is_abandoned", lambda _entry, _now: True) for module in (ledger, transitions)]


@bug(breaks=_LEDGER)
def lease_without_skew() -> Patches:
    """A lease does not reckon with two clocks."""

    def early(entry: Entry, now: float) -> bool:
        # A lease as short as most messages take, by two clocks that differ.
        return now >= (entry.lease_until or 0.0) - 50

    return [
        (ledger, "CLOCK_SKEW", 0.0),
        *((module, "is_abandoned", early) for module in (ledger, transitions)),
    ]


@in_place_of(transitions, "fingerprint", breaks=_COMES_TO_ITS_END)
def keyed_fingerprint(right: Any, request: Any) -> str:
    """A message is told from others by a key that is replaced."""
    return hash_openid(right(request), key=bootstrap.hash_keys().load().current).ljust(32, "0")


@in_place_of(Ledger, "__init__", breaks="no secret leaves the service")
def openid_in_clear(right: Any, *args: Any, **named: Any) -> None:
    """The ledger keeps openids as they are."""
    right(*args, **{**named, "keyed_hash": FakeHashes(str)})
