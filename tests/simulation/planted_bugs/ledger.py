"""Bugs of the ledger: claims, leases, what is recorded and what an entry keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.planted_bugs.bug import Bug, Patch
from tests.simulation.world import TABLE
from wechat_notify import bootstrap
from wechat_notify.core.delivery import ledger, transitions
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.results import NotOurs
from wechat_notify.core.delivery.transitions import Transitions
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.fingerprint import fingerprint
from wechat_notify.core.outcomes import Status
from wechat_notify.telemetry import hash_openid


def _claim_forgets_doubt() -> Sequence[Patch]:
    before = Transitions._successor

    def successor(self: Transitions, existing: Entry, intent: Any, writer: str) -> Entry | NotOurs:
        wanted = before(self, existing, intent, writer)
        if not isinstance(wanted, Entry):
            return wanted
        if wanted.status is Status.SENDING is existing.status:
            return wanted._replace(lost_at=None, answers_lost=0)
        return wanted

    return [(Transitions, "_successor", successor)]


def _look_forgets_doubt() -> Sequence[Patch]:
    before = Ledger.look_up

    def look_up(self: Ledger, account: str, message_id: str) -> Written | NotOurs | None:
        module = vars(ledger)
        doubt = module["doubt_of"]
        module["doubt_of"] = lambda entry: {}  # noqa: ARG005 - as it is called
        try:
            return before(self, account, message_id)
        finally:
            module["doubt_of"] = doubt

    return [(Ledger, "look_up", look_up)]


def _refusal_overrules() -> Sequence[Patch]:
    before = Ledger._put

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        wanted = entry.moved(status, writer=entry.writer, now=self._now(), **fields)
        for _ in range(8):
            existing = before(self, wanted, patient=True)
            if existing is None:
                return wanted
            if existing.status is not Status.UNKNOWN or status not in {Status.SENT, Status.FAILED}:
                return existing
            wanted = existing.moved(status, writer=entry.writer, now=self._now(), **fields)
        raise StorageError("record what came of the message", "Contended")

    return [(Ledger, "finish", finish)]


def _cancel_denies() -> Sequence[Patch]:
    before = Entry.moved

    def moved(self: Entry, status: Status, **named: Any) -> Entry:
        if status is Status.UNKNOWN and named.get("reason") == "cancelled":
            status = Status.CANCELLED
        return before(self, status, **named)

    return [(Entry, "moved", moved)]


def _cancel_anything() -> Sequence[Patch]:
    def cancel(self: Ledger, account: str, message_id: str) -> Written | NotOurs | None:
        existing = self._store.read(account, message_id)
        if existing is None:
            return None
        wanted = existing._replace(status=Status.CANCELLED, version=existing.version + 1)
        self._store.put(wanted)
        return Written(wanted)

    return [(Ledger, "cancel", cancel)]


def _unconfirmed_claim_kept() -> Sequence[Patch]:
    def forget(*_: Any, **__: Any) -> None:
        pass

    return [(Ledger, "_remember", forget)]


def _unrecorded_is_done() -> Sequence[Patch]:
    before = Ledger.finish

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        try:
            return before(self, entry, status, **fields)
        except StorageError:
            return entry.moved(status, writer=entry.writer, now=self._now(), **fields)

    return [(Ledger, "finish", finish)]


def _entry_deleted() -> Sequence[Patch]:
    before = Ledger.finish

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        if status is Status.UNKNOWN:
            aws, key = bootstrap.aws(), {"pk": {"S": f"message#{entry.account}#{entry.id}"}}
            aws.call("delete", lambda: aws.dynamodb.delete_item(TableName=TABLE, Key=key))
            raise StorageError("send", "ReadTimeout")
        return before(self, entry, status, **fields)

    return [(Ledger, "finish", finish)]


def _sent_before_it_is() -> Sequence[Patch]:
    before = Ledger.claim

    def claim(self: Ledger, *args: Any, **named: Any) -> Written | NotOurs:
        found = before(self, *args, **named)
        if isinstance(found, Written) and found.entry.status is Status.SENDING:
            self.finish(found.entry, Status.SENT)
        return found

    return [(Ledger, "claim", claim)]


def _ledger_ignored() -> Sequence[Patch]:
    before = Ledger.claim

    def claim(self: Ledger, *args: Any, **named: Any) -> Written:
        return Written(before(self, *args, **named).entry._replace(status=Status.SENDING))

    return [(Ledger, "claim", claim)]


def _no_lease() -> Sequence[Patch]:
    return [(module, "is_abandoned", lambda _entry, _now: True) for module in (ledger, transitions)]


def _lease_without_skew() -> Sequence[Patch]:
    early = [(module, "is_abandoned", _lease_is_over_early) for module in (ledger, transitions)]
    return [(ledger, "CLOCK_SKEW", 0.0), *early]


def _lease_is_over_early(entry: Entry, now: float) -> bool:
    # A lease as short as most messages take, by two clocks that differ.
    return now >= (entry.lease_until or 0.0) - 50


def _keyed_fingerprint() -> Sequence[Patch]:
    before = fingerprint

    def keyed(request: Any) -> str:
        return hash_openid(before(request), key=bootstrap.settings().openid_hash_key).ljust(32, "0")

    return [(transitions, "fingerprint", keyed)]


def _openid_in_clear() -> Sequence[Patch]:
    before = Ledger.__init__

    def init(self: Ledger, *args: Any, **named: Any) -> None:
        before(self, *args, **{**named, "keyed_hash": lambda openid: openid})

    return [(Ledger, "__init__", init)]


BUGS = (
    Bug(
        "claim_forgets_doubt",
        "a claim after an abandoned claim forgets that a copy may have been sent",
        "what was accepted is sent or unknown",
        _claim_forgets_doubt,
    ),
    Bug(
        "look_forgets_doubt",
        "a look that ends an abandoned claim forgets when a copy may have been sent",
        "twice only where an answer was lost and the sender agreed",
        _look_forgets_doubt,
    ),
    Bug(
        "refusal_overrules",
        "a late refusal overrules a copy that was sent meanwhile",
        "what was accepted is sent or unknown",
        _refusal_overrules,
    ),
    Bug(
        "cancel_denies",
        "a message of which a copy may have been sent is cancelled",
        "what was accepted is sent or unknown",
        _cancel_denies,
    ),
    Bug(
        "cancel_anything",
        "a message is cancelled whatever its state",
        "what is cancelled stays so",
        _cancel_anything,
    ),
    Bug(
        "unconfirmed_claim_kept",
        "a claim that was stored without an answer is not given back",
        "unknown has a cause",
        _unconfirmed_claim_kept,
    ),
    Bug(
        "unrecorded_is_done",
        "an outcome that could not be recorded counts as recorded",
        "every message that was taken comes to its end",
        _unrecorded_is_done,
    ),
    Bug(
        "entry_deleted",
        "an exception deletes the entry, as some idempotency decorators do",
        "twice only where an answer was lost and the sender agreed",
        _entry_deleted,
    ),
    Bug(
        "sent_before_it_is",
        "a message is recorded as sent before it goes out",
        "what is sent was accepted",
        _sent_before_it_is,
    ),
    Bug(
        "ledger_ignored",
        "what the ledger says of a message is not heeded",
        "the ledger's rules are kept",
        _ledger_ignored,
    ),
    Bug("no_lease", "anybody may take over a claim", "the ledger's rules are kept", _no_lease),
    Bug(
        "lease_without_skew",
        "a lease does not reckon with two clocks",
        "the ledger's rules are kept",
        _lease_without_skew,
    ),
    Bug(
        "keyed_fingerprint",
        "a message is told from others by a key that is replaced",
        "every message that was taken comes to its end",
        _keyed_fingerprint,
    ),
    Bug(
        "openid_in_clear",
        "the ledger keeps openids as they are",
        "no secret leaves the service",
        _openid_in_clear,
    ),
)
