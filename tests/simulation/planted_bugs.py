"""Bugs to be put into the service one at a time, each of which the oracle must catch.

A simulation that finds nothing proves little until it has been seen to find something. Every bug here is
one that somebody could write, or has written: most are known from other senders or from AWS's own traps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from itertools import count
from typing import Any

from botocore.exceptions import HTTPClientError

import functions.send_queue.handler as send_queue
from tests.simulation import world
from tests.simulation.world import TABLE
from wechat_notify import bootstrap
from wechat_notify.aws import clients, conditional_put, ledger_table
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.queue import RETRY_FOR, Queue
from wechat_notify.core import outcomes
from wechat_notify.core.delivery import attempts, circuits, ledger, retry_policy, sender, transitions
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.circuit import Admission, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.records import Disposition, Handled
from wechat_notify.core.delivery.results import Held, NotOurs, Unrecorded
from wechat_notify.core.delivery.retry_policy import RetryPolicy
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.delivery.send import Attempt
from wechat_notify.core.delivery.transitions import Transitions
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages import parser
from wechat_notify.core.messages.fingerprint import fingerprint
from wechat_notify.core.outcomes import DelayedMessage, Status
from wechat_notify.core.tokens import refresher
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.settings import Settings
from wechat_notify.telemetry import hash_openid
from wechat_notify.wechat import client, connections, session
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Connection
from wechat_notify.wechat.outcomes import outcome_of_no_answer

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Bug:
    """One bug: what it does, which promise it breaks, and what has to be replaced to have it."""

    name: str
    text: str
    broken: str
    patches: Callable[[], Sequence[Patch]]


def _retry_on_read_timeout() -> Sequence[Patch]:
    before = outcome_of_no_answer

    def no_answer(problem: Any) -> Any:
        return before(problem._replace(may_have_arrived=False))

    return [(client, "outcome_of_no_answer", no_answer)]


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
    def keep(self: AccessTokens, account: str, rejected: AccessToken, max_wait: float) -> AccessToken:  # noqa: ARG001
        return rejected

    return [(AccessTokens, "replace", keep)]


def _entry_deleted() -> Sequence[Patch]:
    before = Ledger.finish

    def finish(self: Ledger, entry: Entry, status: Status, **fields: Any) -> Entry:
        if status is Status.UNKNOWN:
            aws, key = bootstrap.aws(), {"pk": {"S": f"message#{entry.account}#{entry.id}"}}
            aws.call("delete", lambda: aws.dynamodb.delete_item(TableName=TABLE, Key=key))
            raise StorageError("send", "ReadTimeout")
        return before(self, entry, status, **fields)

    return [(Ledger, "finish", finish)]


def _visible_at_once() -> Sequence[Patch]:
    before = Queue.change_visibility

    def change_visibility(self: Queue, receipt_handle: str, seconds: float) -> None:  # noqa: ARG001 - the bug
        before(self, receipt_handle, 0)

    return [(Queue, "change_visibility", change_visibility)]


def _no_condition() -> Sequence[Patch]:
    def put(self: LedgerTable, put: ConditionalPut) -> Answer:
        self._aws.dynamodb.put_item(TableName=self._table_name, Item=put.item)
        return Answer(stored=True)

    return [(LedgerTable, "_put_item", put)]


def _refused_in_a_group_is_stored() -> Sequence[Patch]:
    return [(ledger_table, "answer_to_statement", lambda _error: Answer(stored=True))]


def _duplicate_in_a_group_is_stored() -> Sequence[Patch]:
    before = conditional_put.answer_to_statement

    def answer(error: dict[str, Any] | None) -> Answer | None:
        return before(None if error and error["Code"] == "DuplicateItem" else error)

    return [(ledger_table, "answer_to_statement", answer)]


def _groups_answers_are_mixed_up() -> Sequence[Patch]:
    before = LedgerTable._put_group

    def put_group(self: LedgerTable, puts: Sequence[ConditionalPut]) -> list[Answer | None]:
        return before(self, puts)[::-1]

    return [(LedgerTable, "_put_group", put_group)]


def _lost_group_is_stored() -> Sequence[Patch]:
    before = LedgerTable._put_group

    def put_group(self: LedgerTable, puts: Sequence[ConditionalPut]) -> list[Answer | None]:
        answers = before(self, puts)
        return answers if any(answers) else [Answer(stored=True)] * len(puts)

    return [(LedgerTable, "_put_group", put_group)]


def _no_lease() -> Sequence[Patch]:
    return [(module, "is_abandoned", lambda _entry, _now: True) for module in (ledger, transitions)]


def _lease_without_skew() -> Sequence[Patch]:
    early = [(module, "is_abandoned", _lease_is_over_early) for module in (ledger, transitions)]
    return [(ledger, "CLOCK_SKEW", 0.0), *early]


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


def _no_expiry() -> Sequence[Patch]:
    return [(Attempt, "_is_expired", lambda _self: False)]


def _circuits_not_read() -> Sequence[Patch]:
    return [(Circuits, "admit", lambda _self, _account, _message: Admission())]


def _wrong_midnight() -> Sequence[Patch]:
    return [(Settings, "quota_reset", QuotaReset(timezone(timedelta(hours=9))))]


def _circuit_never_closes() -> Sequence[Patch]:
    return [(circuits, "_FIRST_HOLD_ELSE", 3 * 86400.0), (circuits, "_MAX_HOLD", 3 * 86400.0)]


def _other_client_msg_id() -> Sequence[Patch]:
    number = count()
    return [(parser, "_client_msg_id", lambda message_id: f"{next(number)}-{message_id}"[:32])]


def _no_client_msg_id() -> Sequence[Patch]:
    return [(parser, "_client_msg_id", lambda _message_id: None)]


def _parked_without_id() -> Sequence[Patch]:
    before = Returns._delayed_copy

    def later(self: Returns, item: Handled) -> DelayedMessage:
        copy = before(self, item)
        assert item.request
        return copy._replace(body=copy.body.replace(f'"id":"{item.request.id}",', ""))

    return [(Returns, "_delayed_copy", later)]


def _parked_unseen() -> Sequence[Patch]:
    before = Queue.send_delayed

    def send_delayed(self: Queue, items: Sequence[DelayedMessage]) -> list[int]:
        before(self, items)
        return []

    return [(Queue, "send_delayed", send_delayed)]


def _held_is_done() -> Sequence[Patch]:
    def park(self: Returns, handled: Sequence[Handled]) -> list[Handled]:  # noqa: ARG001 - the bug
        return [
            item._replace(disposition=Disposition.FINISHED) if isinstance(item.result, Held) else item
            for item in handled
        ]

    return [(Returns, "park", park)]


def _cancel_anything() -> Sequence[Patch]:
    def cancel(self: Ledger, account: str, message_id: str) -> Written | NotOurs | None:
        existing = self._store.read(account, message_id)
        if existing is None:
            return None
        wanted = existing._replace(status=Status.CANCELLED, version=existing.version + 1)
        self._store.put(wanted)
        return Written(wanted)

    return [(Ledger, "cancel", cancel)]


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


def _openid_in_clear() -> Sequence[Patch]:
    before = Ledger.__init__

    def init(self: Ledger, *args: Any, **named: Any) -> None:
        before(self, *args, **{**named, "keyed_hash": lambda openid: openid})

    return [(Ledger, "__init__", init)]


def _url_in_errors() -> Sequence[Patch]:
    before = session._no_answer

    def no_answer(error: BaseException) -> session.NoAnswer:
        return before(error)._replace(reason=str(error))

    return [(session, "_no_answer", no_answer)]


def _transient_gives_up() -> Sequence[Patch]:
    return [(retry_policy, "MAX_ATTEMPTS", 1)]


def _unreadable_dropped() -> Sequence[Patch]:
    return [(Returns, "to_dead_letters", lambda _self, handled: handled)]


def _lost_is_failed() -> Sequence[Patch]:
    before = outcome_of_no_answer

    def no_answer(problem: Any) -> Any:
        outcome = before(problem)
        if outcome.status is Status.UNKNOWN:
            return outcome._replace(status=Status.FAILED, error_class=outcomes.ErrorClass.OTHER)
        return outcome

    return [(client, "outcome_of_no_answer", no_answer)]


def _invocation_repeated() -> Sequence[Patch]:
    before = Clients.call

    def call(self: Clients, action: str, request: Callable[[], Any], *, retry_for: float = 0.0) -> Any:
        return before(self, action, request, retry_for=retry_for or 1.0)

    return [(Clients, "call", call)]


def _throttled_is_final() -> Sequence[Patch]:
    before = clients._failure
    return [(clients, "_failure", lambda error: before(error)._replace(transient=False))]


def _lost_is_an_answer() -> Sequence[Patch]:
    before = Clients.call

    def call(self: Clients, action: str, request: Callable[[], Any], *, retry_for: float = 0.0) -> Any:
        def attempt() -> Any:
            try:
                return request()
            except HTTPClientError:
                return {}

        return before(self, action, attempt, retry_for=retry_for)

    return [(Clients, "call", call)]


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


def _busy_closes() -> Sequence[Patch]:
    before = circuits._judged
    return [(circuits, "_judged", lambda outcome: before(outcome) or outcome.errcode == -1)]


def _no_second_look() -> Sequence[Patch]:
    before = Attempt._admitted

    def admitted(self: Attempt, admission: Admission) -> Any:
        self._request = self._request._replace(expires_at=None)
        return before(self, admission)

    return [(Attempt, "_admitted", admitted)]


def _forced_by_utc_day() -> Sequence[Patch]:
    return [(refresher, "BEIJING", timezone.utc)]  # noqa: UP017 - beside the other time zones


def _park_mismatched() -> Sequence[Patch]:
    before = Queue.send_delayed

    def send_delayed(self: Queue, items: Sequence[DelayedMessage]) -> list[int]:
        return [(index + 1) % len(items) for index in before(self, items)]

    return [(Queue, "send_delayed", send_delayed)]


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


def _failed_is_trusted() -> Sequence[Patch]:
    def send_batch(self: Queue, entries: list[Any]) -> set[str]:
        answer = self._aws.sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
        return {entry["Id"] for entry in entries} - {entry["Id"] for entry in answer["Failed"]}

    def patched(self: Queue, entries: list[Any]) -> set[str]:
        try:
            return self._aws.call("send", lambda: send_batch(self, entries), retry_for=RETRY_FOR)
        except StorageError:
            return set()

    return [(Queue, "_send_batch", patched)]


def _repeated_for_an_hour() -> Sequence[Patch]:
    return [(retry_policy, "DEDUPLICATED_FOR", 3600.0)]


def _lane_goes_on() -> Sequence[Patch]:
    before = BatchSender._in_order

    def in_order(self: BatchSender, lane: Any, seconds_left: Any) -> Iterator[Handled]:
        for read in lane:
            yield from before(self, [read], seconds_left)

    return [(BatchSender, "_in_order", in_order)]


def _cancel_denies() -> Sequence[Patch]:
    before = Entry.moved

    def moved(self: Entry, status: Status, **named: Any) -> Entry:
        if status is Status.UNKNOWN and named.get("reason") == "cancelled":
            status = Status.CANCELLED
        return before(self, status, **named)

    return [(Entry, "moved", moved)]


def _idle_by_monotonic() -> Sequence[Patch]:
    def mark_used(self: Connection, max_idle: float = connections.MAX_IDLE) -> None:
        self._used_at, self._max_idle = vars(connections)["time"].monotonic(), max_idle

    def is_connected(self: Connection) -> bool:
        idle = vars(connections)["time"].monotonic() - self._used_at
        return self.sock is not None and 0 <= idle <= self._max_idle

    return [(Connection, "mark_used", mark_used), (Connection, "is_connected", property(is_connected))]


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


def _forced_count_forgotten() -> Sequence[Patch]:
    return [(refresher, "_with_newest_use", lambda token, _known: token)]


def _unrecorded_at_once() -> Sequence[Patch]:
    before = Attempt._finish

    def finish(self: Attempt, *args: Any) -> Any:
        result = before(self, *args)
        return replace(result, after=1.0) if isinstance(result, Unrecorded) else result

    return [(Attempt, "_finish", finish)]


def _twenty_copies() -> Sequence[Patch]:
    return [(retry_policy, "MAX_REPEATS_AFTER_LOSS", 20)]


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


def _loops_dropped() -> Sequence[Patch]:
    lines = world.template().splitlines(keepends=True)
    text = "".join(line for line in lines if "RecursiveLoop:" not in line)
    return [(world, "template", lambda: text)]


def _keyed_fingerprint() -> Sequence[Patch]:
    before = fingerprint

    def keyed(request: Any) -> str:
        return hash_openid(before(request), key=bootstrap.settings().openid_hash_key).ljust(32, "0")

    return [(transitions, "fingerprint", keyed)]


def _rejected_by_one_code() -> Sequence[Patch]:
    return [(sender, "REJECTED_TOKEN", frozenset({40001, 40014, 42001}))]


def _unconfirmed_claim_kept() -> Sequence[Patch]:
    def forget(*_: Any, **__: Any) -> None:
        pass

    return [(Ledger, "_remember", forget)]


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
        "busy_closes",
        "a probe that is told that WeChat is busy ends the hold",
        "a hold ends when WeChat judged a message",
        _busy_closes,
    ),
    Bug(
        "no_second_look",
        "nobody looks whether a message expired while its token was waited for",
        "nothing is sent after it expired",
        _no_second_look,
    ),
    Bug(
        "forced_by_utc_day",
        "forced refreshes are counted by the day in UTC",
        "a token is forced as soon as a new day allows it",
        _forced_by_utc_day,
    ),
    Bug(
        "park_mismatched",
        "what SQS refused to park is taken for another message",
        "every message that was taken comes to its end",
        _park_mismatched,
    ),
    Bug(
        "refusal_overrules",
        "a late refusal overrules a copy that was sent meanwhile",
        "what was accepted is sent or unknown",
        _refusal_overrules,
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
        "failed_is_trusted",
        "what SQS does not call failed counts as parked",
        "every message that was taken comes to its end",
        _failed_is_trusted,
    ),
    Bug(
        "repeated_for_an_hour",
        "a template message is repeated for an hour",
        "twice only where an answer was lost and the sender agreed",
        _repeated_for_an_hour,
    ),
    Bug(
        "lane_goes_on",
        "the rest of a batch goes to a person who has had enough",
        "a person who has had enough is left alone",
        _lane_goes_on,
    ),
    Bug(
        "cancel_denies",
        "a message of which a copy may have been sent is cancelled",
        "what was accepted is sent or unknown",
        _cancel_denies,
    ),
    Bug(
        "idle_by_monotonic",
        "the age of idle connections is told by a clock that stands still in a frozen process",
        "no request goes over a connection that a gateway has dropped",
        _idle_by_monotonic,
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
    Bug(
        "forced_count_forgotten",
        "a stale read loses the count of forced refreshes",
        "forced refreshes are half a minute apart",
        _forced_count_forgotten,
    ),
    Bug(
        "unrecorded_at_once",
        "a message whose answer could not be recorded comes back after a second",
        "an answer that was not recorded is left until its claim is over",
        _unrecorded_at_once,
    ),
    Bug(
        "twenty_copies",
        "at least once is up to twenty times",
        "four copies at most",
        _twenty_copies,
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
        "loops_dropped",
        "Lambda may take a long hold for a loop",
        "it drains in bounded time",
        _loops_dropped,
    ),
    Bug(
        "keyed_fingerprint",
        "a message is told from others by a key that is replaced",
        "every message that was taken comes to its end",
        _keyed_fingerprint,
    ),
    Bug(
        "rejected_by_one_code",
        "not every code that rejects a token is known",
        "a rejected token fails no message",
        _rejected_by_one_code,
    ),
    Bug(
        "unconfirmed_claim_kept",
        "a claim that was stored without an answer is not given back",
        "unknown has a cause",
        _unconfirmed_claim_kept,
    ),
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
        "no_condition",
        "an entry is written without a condition",
        "the ledger's rules are kept",
        _no_condition,
    ),
    Bug(
        "refused_in_a_group_is_stored",
        "a write that a group's answer refuses counts as stored",
        "the ledger's rules are kept",
        _refused_in_a_group_is_stored,
    ),
    Bug(
        "groups_answers_are_mixed_up",
        "the answers of a group go to the wrong writes",
        "twice only where an answer was lost and the sender agreed",
        _groups_answers_are_mixed_up,
    ),
    Bug(
        "lost_group_is_stored",
        "a group whose call failed counts as stored",
        "the ledger's rules are kept",
        _lost_group_is_stored,
    ),
    Bug(
        "duplicate_in_a_group_is_stored",
        "an entry that exists counts as made by a group",
        "twice only where an answer was lost and the sender agreed",
        _duplicate_in_a_group_is_stored,
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
        "a call to AWS ends with its answer or after all its attempts",
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
