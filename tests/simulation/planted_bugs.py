"""Bugs to be put into the service one at a time, each of which the oracle must catch.

A simulation that finds nothing proves little until it has been seen to find something. Every bug here is
one that somebody could write, or has written: most are known from other senders or from AWS's own traps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta, timezone
from itertools import count
from typing import Any

import functions.send_queue.handler as send_queue
from tests.simulation.world import TABLE
from wechat_notify import bootstrap
from wechat_notify.aws import calls
from wechat_notify.aws.calls import Caller
from wechat_notify.aws.sqs import Queue
from wechat_notify.core import circuits, ledger, messages, outcomes
from wechat_notify.core.batches import BatchSender, Disposition, Handled
from wechat_notify.core.circuits import Admission, Circuits, QuotaReset
from wechat_notify.core.dispatch import Dispatcher, Turn
from wechat_notify.core.ledger import Entry, Found, Ledger, Standing
from wechat_notify.core.outcomes import Later, Status, StorageError
from wechat_notify.core.tokens import AccessToken, AccessTokens, TokenRefresher
from wechat_notify.settings import Settings
from wechat_notify.transport import Answer
from wechat_notify.wechat import client
from wechat_notify.wechat.client import WeChatClient

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Bug:
    """One bug: what it does, which promise it breaks, and what has to be replaced to have it."""

    name: str
    text: str
    broken: str
    patches: Callable[[], Sequence[Patch]]


def _retry_on_read_timeout() -> Sequence[Patch]:
    before = client._no_answer

    def no_answer(problem: Any) -> Any:
        return before(problem._replace(may_have_arrived=False))

    return [(client, "_no_answer", no_answer)]


def _lost_failure_id() -> Sequence[Patch]:
    before = send_queue.lambda_handler

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        answer = before(event, context)
        return {"batchItemFailures": answer["batchItemFailures"][:-1]}

    return [(send_queue, "lambda_handler", handler)]


def _failure_under_another_name() -> Sequence[Patch]:
    before = send_queue.lambda_handler

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"batchItemFailure": before(event, context)["batchItemFailures"]}

    return [(send_queue, "lambda_handler", handler)]


def _refresh_without_compare() -> Sequence[Patch]:
    def swap(self: TokenRefresher, account: str, rejected: str | None) -> Any:
        return self._renew(self._store.load(account), rejected)

    return [(TokenRefresher, "replace", swap)]


def _force_always() -> Sequence[Patch]:
    before = WeChatClient.fetch_token

    def fetch(self: WeChatClient, app_id: str, app_secret: str, *, force: bool) -> Any:  # noqa: ARG001 - the bug
        return before(self, app_id, app_secret, force=True)

    return [(WeChatClient, "fetch_token", fetch)]


def _rejected_token_kept() -> Sequence[Patch]:
    def keep(self: AccessTokens, account: str, rejected: AccessToken, patience: float) -> AccessToken:  # noqa: ARG001
        return rejected

    return [(AccessTokens, "replace", keep)]


def _entry_deleted() -> Sequence[Patch]:
    before = Ledger.finish

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        if status is Status.UNKNOWN:
            key = {"pk": {"S": f"message#{entry.account}#{entry.id}"}}
            bootstrap.aws().call("dynamodb", "DeleteItem", "delete", TableName=TABLE, Key=key)
            raise StorageError("send", "ReadTimeout")
        return before(self, entry, status, **fields)

    return [(Ledger, "finish", finish)]


def _visible_at_once() -> Sequence[Patch]:
    before = Queue.hand_out_again

    def hand_out_again(self: Queue, receipt_handle: str, seconds: float) -> None:  # noqa: ARG001 - the bug
        before(self, receipt_handle, 0)

    return [(Queue, "hand_out_again", hand_out_again)]


def _visible_too_early() -> Sequence[Patch]:
    before = Queue.hand_out_again

    def hand_out_again(self: Queue, receipt_handle: str, seconds: float) -> None:
        before(self, receipt_handle, max(0.0, seconds - 1))

    return [(Queue, "hand_out_again", hand_out_again)]


def _no_condition() -> Sequence[Patch]:
    def put(self: Caller, _condition: str, action: str, *, patient: bool = False, **request: Any) -> None:
        del request["ExpressionAttributeValues"]
        Caller.call(self, "dynamodb", "PutItem", action, patient=patient, **request)

    return [(Caller, "put_if", put)]


def _no_lease() -> Sequence[Patch]:
    return [(ledger, "_abandoned", lambda _entry, _now: True)]


def _lease_without_skew() -> Sequence[Patch]:
    return [(ledger, "CLOCK_SKEW", 0.0), (ledger, "_abandoned", _lease_is_over_early)]


def _lease_is_over_early(entry: Entry, now: float) -> bool:
    # A lease as short as most messages take, by two clocks that differ.
    return now >= (entry.lease_until or 0.0) - 50


def _unrecorded_is_done() -> Sequence[Patch]:
    before = Ledger.finish

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        try:
            return before(self, entry, status, **fields)
        except StorageError:
            return entry.moved(status, writer=entry.writer, now=self._now(), **fields)

    return [(Ledger, "finish", finish)]


def _sent_before_it_is() -> Sequence[Patch]:
    before = Ledger.claim

    def claim(self: Ledger, *args: Any, **named: Any) -> Found:
        found = before(self, *args, **named)
        if found.standing is Standing.TAKEN:
            return found._replace(entry=self.finish(found.entry, Status.SENT))
        return found

    return [(Ledger, "claim", claim)]


def _ledger_ignored() -> Sequence[Patch]:
    before = Ledger.claim

    def claim(self: Ledger, *args: Any, **named: Any) -> Found:
        return before(self, *args, **named)._replace(standing=Standing.TAKEN)

    return [(Ledger, "claim", claim)]


def _no_expiry() -> Sequence[Patch]:
    return [(Dispatcher, "_expired", lambda _self, _request: False)]


def _circuits_not_read() -> Sequence[Patch]:
    return [(Circuits, "admit", lambda _self, _account, _message: Admission())]


def _wrong_midnight() -> Sequence[Patch]:
    return [(Settings, "quota_reset", QuotaReset(timezone(timedelta(hours=9))))]


def _circuit_never_closes() -> Sequence[Patch]:
    return [(circuits, "_FIRST_HOLD_ELSE", 3 * 86400.0), (circuits, "_HOLD_MOST", 3 * 86400.0)]


def _other_client_msg_id() -> Sequence[Patch]:
    number = count()
    return [(messages, "_client_msg_id", lambda message_id: f"{next(number)}-{message_id}"[:32])]


def _no_client_msg_id() -> Sequence[Patch]:
    return [(messages, "_client_msg_id", lambda _message_id: None)]


def _parked_without_id() -> Sequence[Patch]:
    before = BatchSender._later

    def later(self: BatchSender, item: Handled) -> Later:
        copy = before(self, item)
        assert item.request
        return copy._replace(body=copy.body.replace(f'"id":"{item.request.id}",', ""))

    return [(BatchSender, "_later", later)]


def _parked_unseen() -> Sequence[Patch]:
    before = Queue.send_later

    def send_later(self: Queue, items: Sequence[Later]) -> list[int]:
        before(self, items)
        return []

    return [(Queue, "send_later", send_later)]


def _held_is_done() -> Sequence[Patch]:
    def park(self: BatchSender, handled: Sequence[Handled]) -> list[Handled]:  # noqa: ARG001 - the bug
        return [
            item._replace(disposition=Disposition.FINISHED)
            if item.dispatched and item.dispatched.turn is Turn.HELD
            else item
            for item in handled
        ]

    return [(BatchSender, "_park", park)]


def _cancel_anything() -> Sequence[Patch]:
    def cancel(self: Ledger, account: str, message_id: str) -> Found | None:
        there = self._store.read(account, message_id)
        if there is None:
            return None
        wanted = there._replace(status=Status.CANCELLED, version=there.version + 1)
        self._store.put(wanted)
        return Found(Standing.FINAL, wanted, changed=True)

    return [(Ledger, "cancel", cancel)]


def _unknown_account_again() -> Sequence[Patch]:
    before = BatchSender._refused

    def refused(
        self: BatchSender, record: Any, request: Any, message: Any, reason: str, *rest: Any
    ) -> Handled:
        if reason == "unknown_account":
            return self._again(Handled(record, Disposition.RETURNED, request, message), 60.0)
        return before(self, record, request, message, reason, *rest)

    return [(BatchSender, "_refused", refused)]


def _openid_in_clear() -> Sequence[Patch]:
    before = Ledger.__init__

    def init(self: Ledger, *args: Any, **named: Any) -> None:
        before(self, *args, **{**named, "keyed_hash": lambda openid: openid})

    return [(Ledger, "__init__", init)]


def _url_in_errors() -> Sequence[Patch]:
    before = client._NoAnswer

    def no_answer(_reason: str, *args: Any, **named: Any) -> Any:
        return before("ReadTimeout: /send?access_token=TOKEN-CANARY-1", *args, **named)

    return [(client, "_no_answer", _with_reason(client._no_answer, no_answer))]


def _with_reason(before: Callable[[Any], Any], renamed: Callable[..., Any]) -> Callable[[Any], Any]:
    def no_answer(problem: Any) -> Any:
        return before(
            renamed(
                problem.reason, problem.may_have_arrived, passing=problem.passing, limited=problem.limited
            )
        )

    return no_answer


def _transient_gives_up() -> Sequence[Patch]:
    return [(ledger, "ATTEMPTS_MOST", 1), (_dispatch(), "ATTEMPTS_MOST", 1)]


def _dispatch() -> Any:
    from wechat_notify.core import dispatch  # noqa: PLC0415 - its name is that of a method here

    return dispatch


def _unreadable_dropped() -> Sequence[Patch]:
    return [(BatchSender, "_put_aside", lambda _self, handled: handled)]


def _lost_is_failed() -> Sequence[Patch]:
    before = client._no_answer

    def no_answer(problem: Any) -> Any:
        outcome = before(problem)
        if outcome.status is Status.UNKNOWN:
            return outcome._replace(status=Status.FAILED, error_class=outcomes.ErrorClass.OTHER)
        return outcome

    return [(client, "_no_answer", no_answer)]


def _invocation_repeated() -> Sequence[Patch]:
    repeated = calls._APIS["lambda"]._replace(attempts=2)
    return [(calls, "_APIS", {**calls._APIS, "lambda": repeated})]


def _throttled_is_final() -> Sequence[Patch]:
    return [(calls, "_PASSING", frozenset()), (calls, "_PASSING_STATUS", frozenset())]


def _lost_is_an_answer() -> Sequence[Patch]:
    before = Caller._attempt

    def attempt(self: Caller, *args: Any) -> Any:
        said = before(self, *args)
        lost = isinstance(said, calls._Refusal) and said.answer is None
        return calls._Reply(Answer(200, b"{}", b""), {}) if lost else said

    return [(Caller, "_attempt", attempt)]


BUGS = (
    Bug(
        "retry_on_read_timeout",
        "a lost answer counts as a failure that can be repeated",
        "twice only where an answer was lost and the sender agreed",
        _retry_on_read_timeout,
    ),
    Bug(
        "lost_is_failed",
        "a lost answer counts as a failure, and is not repeated",
        "what was accepted is sent or unknown",
        _lost_is_failed,
    ),
    Bug(
        "lost_failure_id",
        "the last of the batch item failures is left out",
        "every message that was taken comes to its end",
        _lost_failure_id,
    ),
    Bug(
        "failure_under_another_name",
        "the key of the batch item failures is misspelled",
        "every message that was taken comes to its end",
        _failure_under_another_name,
    ),
    Bug(
        "refresh_without_compare",
        "every rejected sender makes the refresher call WeChat",
        "one rejected token, one refresh",
        _refresh_without_compare,
    ),
    Bug(
        "force_always",
        "the refresher always asks by force, and does not count it",
        "forced refreshes are half a minute apart",
        _force_always,
    ),
    Bug(
        "rejected_token_kept",
        "a rejected token is used again",
        "a rejected token fails no message",
        _rejected_token_kept,
    ),
    Bug(
        "entry_deleted",
        "an exception deletes the entry, as some idempotency decorators do",
        "twice only where an answer was lost and the sender agreed",
        _entry_deleted,
    ),
    Bug(
        "visible_at_once", "what is to be repeated is handed out at once", "a repeat waits", _visible_at_once
    ),
    Bug(
        "visible_too_early",
        "what is to be repeated is handed out a second early",
        "a repeat waits",
        _visible_too_early,
    ),
    Bug(
        "no_condition",
        "an entry is written without a condition",
        "the ledger's rules are kept",
        _no_condition,
    ),
    Bug("no_lease", "anybody may take over a claim", "the ledger's rules are kept", _no_lease),
    Bug(
        "lease_without_skew",
        "a lease does not reckon with two clocks",
        "the ledger's rules are kept",
        _lease_without_skew,
    ),
    Bug(
        "unrecorded_is_done",
        "an outcome that could not be recorded counts as recorded",
        "every message that was taken comes to its end",
        _unrecorded_is_done,
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
    Bug(
        "no_expiry",
        "nobody looks whether a message has expired",
        "nothing is sent after it expired",
        _no_expiry,
    ),
    Bug(
        "circuits_not_read",
        "what is held is sent",
        "after 45009 nothing is sent until the reset",
        _circuits_not_read,
    ),
    Bug(
        "wrong_midnight",
        "the quota's day begins in another time zone",
        "after 45009 nothing is sent until the reset",
        _wrong_midnight,
    ),
    Bug(
        "circuit_never_closes",
        "a circuit stays open when its cause is gone",
        "it drains in bounded time",
        _circuit_never_closes,
    ),
    Bug(
        "other_client_msg_id",
        "each attempt has a client_msg_id of its own",
        "a template message carries its id",
        _other_client_msg_id,
    ),
    Bug(
        "no_client_msg_id",
        "a template message goes out without an id",
        "a template message carries its id",
        _no_client_msg_id,
    ),
    Bug(
        "parked_without_id",
        "a parked copy is another message",
        "every message that was taken comes to its end",
        _parked_without_id,
    ),
    Bug(
        "parked_unseen",
        "a copy that SQS refused counts as parked",
        "every message that was taken comes to its end",
        _parked_unseen,
    ),
    Bug(
        "held_is_done",
        "a held message is deleted and not parked",
        "every message that was taken comes to its end",
        _held_is_done,
    ),
    Bug(
        "cancel_anything",
        "a message is cancelled whatever its state",
        "what is cancelled stays so",
        _cancel_anything,
    ),
    Bug(
        "unknown_account_again",
        "a message for an account that nobody knows is tried for ever",
        "it drains in bounded time",
        _unknown_account_again,
    ),
    Bug(
        "openid_in_clear",
        "the ledger keeps openids as they are",
        "no secret leaves the service",
        _openid_in_clear,
    ),
    Bug(
        "url_in_errors",
        "an error on the way is told with its URL",
        "no secret leaves the service",
        _url_in_errors,
    ),
    Bug(
        "transient_gives_up",
        "a message is given up after one attempt",
        "what is worth repeating is repeated",
        _transient_gives_up,
    ),
    Bug(
        "invocation_repeated",
        "an invocation is repeated, though the function may be running",
        "a call to AWS ends with its answer or after all its attempts",
        _invocation_repeated,
    ),
    Bug(
        "throttled_is_final",
        "what AWS refuses for the moment is not asked again",
        "a call to AWS ends with its answer or after all its attempts",
        _throttled_is_final,
    ),
    Bug(
        "lost_is_an_answer",
        "a lost answer of AWS's counts as an empty one",
        "every message that was taken comes to its end",
        _lost_is_an_answer,
    ),
    Bug(
        "unreadable_dropped",
        "a body that nobody can read is dropped",
        "the dead letters are the bodies that nobody can read",
        _unreadable_dropped,
    ),
)


@contextmanager
def plant(name: str) -> Iterator[None]:
    """Have the bug of this name for a while."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    undo: list[Patch] = []
    for owner, attribute, value in bug.patches():
        undo.append((owner, attribute, owner.__dict__[attribute]))
        setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in undo:
            setattr(owner, attribute, value)
