"""One message through one door: may it go, is it ours to send, what came of it, and what that means.

Every door comes through here, so that a message is the same message whichever way it arrives::

    circuits ─► token ─► claim ─► POST ─► decide ─► finish ─► circuits
     held?      none?    ours?            again?

Where a hold has run out, the ledger is asked first: only a message that is to be sent may be its probe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol

from wechat_notify.core.circuits import Admission, Circuit, Circuits
from wechat_notify.core.delivery import TIME_FOR_A_CLAIM, TIME_FOR_AN_ATTEMPT, Delivery, Sender
from wechat_notify.core.envelope import SendRequest, queue_body
from wechat_notify.core.ledger import (
    ATTEMPTS_MOST,
    EXHAUSTED,
    HELD,
    MIN_PURSUIT,
    TRY_AGAIN,
    Entry,
    Found,
    Ledger,
    Standing,
    repeatable,
)
from wechat_notify.core.messages import Message
from wechat_notify.core.outcomes import (
    Bilingual,
    ErrorClass,
    Notice,
    Outcome,
    Status,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
    iso_time,
)
from wechat_notify.core.tokens import AccessToken

GIVE_UP_AFTER = 3 * 86400.0
"""Seconds after which a message has failed that could never be attempted."""
_BACKOFF_FIRST = 2.0
_BACKOFF_MOST = 300.0
_MENDING_FIRST = 300.0
_MENDING_MOST = 3600.0
"""Seconds between attempts while an operator has something to mend: doubled each time, up to this."""
_LOST_FIRST = 10.0
"""Seconds until a message is repeated whose answer was lost, tripled with each: WeChat may just be slow, and
each copy may be one too many."""
_HELD_LEAST = 1.0
_ELSEWHERE = 60.0
"""Seconds after which a message that another invocation took over is looked at again."""


class Turn(Enum):
    """What happened when a message came to a door."""

    ATTEMPTED = auto()
    """It was claimed, and sent where nothing came in between."""
    NO_TOKEN = auto()
    """There was no access token; it was not claimed."""
    ACCEPTED = auto()
    """It is on the queue."""
    STANDING = auto()
    """Its entry says what became of it."""
    IN_FLIGHT = auto()
    """Another invocation is at it."""
    OTHER_BODY = auto()
    """Its id belongs to another message."""
    HELD = auto()
    """A circuit holds it."""
    NO_TIME = auto()
    """Too little time was left to begin."""


class Dispatched(NamedTuple):
    """What became of one message this time; ``status`` is its state now.

    ``entry`` is missing where the ledger was not asked. ``changed`` says that this call gave the message
    its state. ``again_in`` is set where it is to be handed out again after so many seconds, ``held_for``
    where it is to be parked for so many. ``repeatable``: it may have been sent, and may be sent again, in
    ``again_in`` seconds. ``unrecorded``: the outcome did not reach the ledger.
    """

    turn: Turn
    status: Status
    entry: Entry | None = None
    changed: bool = False
    delivery: Delivery | None = None
    outcome: Outcome | None = None
    again_in: float | None = None
    held_for: float | None = None
    repeatable: bool = False
    unrecorded: bool = False
    notices: Sequence[Notice] = ()


class _Case(NamedTuple):
    """One message at one door. ``queued``: the queue repeats it, not its caller."""

    request: SendRequest
    message: Message
    seconds_left: Callable[[], float]
    queued: bool = False
    receive_count: int = 1
    held_since: float | None = None


class SendQueue(Protocol):
    """The queue of messages to be sent."""

    def send(self, body: str, *, group: str | None = None) -> None:
        """Put a message on the queue; raises ``StorageError``."""


class Dispatcher:
    """Takes messages from the doors to WeChat, and what became of them to the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        circuits: Circuits,
        sender: Sender,
        queue: SendQueue,
        *,
        now: Callable[[], float],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._ledger = ledger
        self._circuits = circuits
        self._sender = sender
        self._queue = queue
        self._now = now
        self._jitter = jitter

    def look(self, accounts: Iterable[str]) -> None:
        """Find out, once for a whole batch, what is held of these accounts."""
        self._ledger.release_unsent()
        self._circuits.look(accounts)

    def accept(self, request: SendRequest, message: Message) -> Dispatched:
        """Put a message on the queue, and say that it waits there.

        Once: what the ledger knows as waiting is on the queue. So it goes there first, and a caller who hears
        nothing, because this process died in between, has a repeat put there another copy, which is the same
        message.

        Raises
        ------
        UnknownAccountError
            There are no credentials for the account.
        StorageError
            The message may be on the queue or not; it is safe to try again with the same id.
        """
        if not self._sender.knows(request.account):
            raise UnknownAccountError(request.account)
        if self._expired(request):
            return _found(self._ledger.note(request, message, Status.EXPIRED))
        there = self._ledger.to_send(request, message, waiting=False)
        if there and there.standing is not Standing.EARLY and not self._copy_is_lost(there):
            return _found(there)
        self._queue.send(queue_body(request), group=request.account)
        accepted = Dispatched(Turn.ACCEPTED, Status.QUEUED, changed=True)
        with suppress(StorageError):  # it will be sent, and has its entry then
            found = self._ledger.note(request, message, Status.QUEUED)
            # By now the queue's function may be at it, or through.
            if found.standing is not Standing.IN_FLIGHT and not _waits(found):
                return _found(found)
            return accepted._replace(entry=found.entry)
        return accepted

    def _copy_is_lost(self, found: Found) -> bool:
        """Whether what the queue had was purged, or went to the dead letters: by then it is given up."""
        return _waits(found) and self._now() - found.entry.updated_at > GIVE_UP_AFTER

    def send_now(
        self, request: SendRequest, message: Message, seconds_left: Callable[[], float]
    ) -> Dispatched:
        """Send a message whose caller waits; what is worth repeating is the caller's to repeat.

        Raises
        ------
        UnknownAccountError
            There are no credentials for the account.
        StorageError
            The ledger did not answer; nothing was sent.
        """
        self.look([request.account])
        dispatched = self._send(_Case(request, message, seconds_left))
        if dispatched.entry is None:  # nothing was tried: what came of an earlier call is not to be denied
            found = self._ledger.standing(request)
            if found:
                standing = self._not_ours(found)
                dispatched = standing._replace(notices=[*dispatched.notices, *standing.notices])
        return self._with_repeatable(request, message, dispatched)

    def send_queued(
        self,
        request: SendRequest,
        message: Message,
        seconds_left: Callable[[], float],
        *,
        receive_count: int,
        held_since: float | None,
    ) -> Dispatched:
        """Send a message of the queue; raises as ``send_now`` does.

        Parameters
        ----------
        request, message
            The message, already checked.
        seconds_left : Callable
            Seconds until the function is stopped.
        receive_count : int
            How often the queue has handed it out, this time included.
        held_since : float or None
            Seconds since the epoch since when it has been parked, None if it never was.
        """
        case = _Case(
            request, message, seconds_left, queued=True, receive_count=receive_count, held_since=held_since
        )
        return self._send(case)

    def refuse(
        self, request: SendRequest, message: Message | None, reason: str, outcome: Outcome | None = None
    ) -> Dispatched:
        """Record that a message of the queue is never attempted; raises ``StorageError``."""
        found = self._ledger.note(request, message, Status.FAILED, reason=reason, outcome=outcome)
        return self._not_ours(found)

    def look_up(self, account: str, message_id: str) -> Dispatched | None:
        """What became of a message; None where there is none. Raises ``StorageError``."""
        found = self._ledger.look_up(account, message_id)
        return _found(found) if found else None

    def cancel(self, account: str, message_id: str) -> Dispatched | None:
        """Keep a message that waits from being sent; None where there is none. Raises ``StorageError``."""
        found = self._ledger.cancel(account, message_id)
        return _found(found) if found else None

    def _send(self, case: _Case) -> Dispatched:
        request, message = case.request, case.message
        if self._expired(request):
            return self._not_ours(self._ledger.note(request, message, Status.EXPIRED))
        admission = self._circuits.admit(request.account, message)
        if admission.probe_due:
            there = self._ledger.to_send(request, message, waiting=case.queued)
            if there:
                return self._not_ours(there)
            admission = self._circuits.probe(request.account, message)
        if admission.held:
            return self._held(case, admission.held, _held_outcome(admission.held, self._now()))
        try:
            dispatched = self._admitted(case, admission)
        except Exception:
            self._circuits.give_back(request.account, admission)
            raise
        if not (dispatched.delivery and dispatched.delivery.attempts):
            self._circuits.give_back(request.account, admission)
        return dispatched

    def _admitted(self, case: _Case, admission: Admission) -> Dispatched:
        try:
            token = self._sender.token(case.request.account, case.seconds_left)
        except TokenUnavailableError as error:
            return self._unattempted(case, error.outcome._replace(unattempted=True), admission)
        if case.seconds_left() < TIME_FOR_A_CLAIM:
            if not case.queued:
                return self._turned_away(case, _TOO_LATE, Turn.NO_TIME)
            return Dispatched(Turn.NO_TIME, Status.QUEUED, outcome=_TOO_LATE, again_in=0.0)
        return self._attempt(case, token, admission)

    def _attempt(self, case: _Case, token: AccessToken, admission: Admission) -> Dispatched:
        request, message = case.request, case.message
        if self._expired(request):  # while it waited for the token
            return self._not_ours(self._ledger.note(request, message, Status.EXPIRED))
        found = self._ledger.claim(request, message, case.seconds_left(), waiting=case.queued)
        if found.standing is not Standing.TAKEN:
            return self._not_ours(found)
        # The table took its time: neither the POST nor the record of its answer must be cut off.
        if case.seconds_left() < TIME_FOR_AN_ATTEMPT or self._expired(request):
            return self._finish(case, found.entry, Delivery(_TOO_LATE, 0, 0.0), admission)
        delivery = self._sender.send(
            request.account, message, token, case.seconds_left, lambda: self._expired(request)
        )
        return self._finish(case, found.entry, delivery, admission)

    def _finish(self, case: _Case, claimed: Entry, delivery: Delivery, admission: Admission) -> Dispatched:
        outcome = delivery.outcome
        decision = decide(case.request, case.message, claimed, outcome, now=self._now(), queued=case.queued)
        if outcome.status is Status.UNKNOWN:
            outcome = self._with_consequence(case, outcome, decision)
            delivery = delivery._replace(outcome=outcome)
        again_in = self._again_in(case, claimed, outcome, decision)
        try:
            entry: Entry | None = self._ledger.finish(
                claimed,
                decision.status,
                outcome=outcome,
                reason=decision.reason,
                lost_at=decision.lost_at,
                answers_lost=decision.answers_lost,
                # Where a circuit holds the message, that says when.
                next_attempt_at=None if again_in is None or outcome.holds else self._now() + again_in,
                attempts=claimed.attempts - outcome.unattempted,
            )
        except StorageError:
            entry = None
        circuit, notices = self._circuits.settle(case.request.account, case.message, outcome, admission)
        attempted = Dispatched(
            Turn.ATTEMPTED,
            entry.status if entry else Status.SENDING,
            entry or claimed,
            changed=True,
            delivery=delivery,
            outcome=outcome,
            notices=notices,
        )
        if entry is None:
            # When the claim has run out, whoever gets the message knows that this answer is lost.
            lease_left = (claimed.lease_until or 0.0) - self._now()
            return attempted._replace(again_in=lease_left, unrecorded=True)
        if entry.writer != claimed.writer:  # the claim was given up: somebody else is at it, or through
            is_open = entry.status in {Status.SENDING, Status.QUEUED}
            return attempted._replace(changed=False, again_in=_ELSEWHERE if is_open else None)
        if entry.status in {Status.SENT, Status.EXPIRED}:
            expired = entry.status is Status.EXPIRED
            return attempted._replace(turn=Turn.STANDING, outcome=None) if expired else attempted
        if entry.status is not Status.QUEUED:
            told = _told(outcome, circuit, entry, self._now()) if entry.in_vain else outcome
            return attempted._replace(outcome=told, notices=[*notices, *_notices(entry)])
        if outcome.holds and circuit:
            return attempted._replace(held_for=max(_HELD_LEAST, circuit.held_until - self._now()))
        return attempted._replace(again_in=again_in)

    def _again_in(self, case: _Case, claimed: Entry, outcome: Outcome, decision: Decision) -> float | None:
        """Seconds for which nobody may attempt the message again; None where that is not for us to say.

        A caller may try again at any time, but for what may have been sent and WeChat does not drop.
        """
        if decision.status is Status.QUEUED:
            return wait(outcome, claimed.tries, self._jitter, answers_lost=decision.answers_lost)
        in_doubt = decision.status is Status.UNKNOWN and not case.message.deduplicated
        if in_doubt and self._repeatable(case, decision):
            return _pause_after_loss(decision.answers_lost)
        return None

    def _repeatable(self, case: _Case, decision: Decision) -> bool:
        return decision.lost_at is not None and repeatable(
            case.request,
            case.message,
            lost_at=decision.lost_at,
            answers_lost=decision.answers_lost,
            now=self._now(),
        )

    def _with_consequence(self, case: _Case, outcome: Outcome, decision: Decision) -> Outcome:
        """The outcome of a lost answer, with what follows from it for the message."""
        if decision.status is Status.QUEUED:
            consequence = _IS_REPEATED
        elif self._repeatable(case, decision):
            consequence = _CAN_BE_REPEATED
        else:
            consequence = _IS_IN_DOUBT
        hint = outcome.hint
        return outcome._replace(hint=Bilingual(f"{hint.en} {consequence.en}", f"{hint.zh}{consequence.zh}"))

    def _unattempted(self, case: _Case, outcome: Outcome, admission: Admission) -> Dispatched:
        """There was no token: nothing is claimed, and nothing is in doubt."""
        request, message = case.request, case.message
        circuit, notices = self._circuits.settle(request.account, message, outcome, admission)
        delivery = Delivery(outcome, 0, 0.0)
        if case.queued and outcome.holds and circuit:
            held = self._held(case, circuit, outcome)
            return held._replace(delivery=delivery, notices=[*notices, *held.notices])
        if not case.queued:
            if outcome.holds and circuit:
                told = _told(outcome, circuit, None, self._now())
                return Dispatched(
                    Turn.NO_TOKEN, Status.FAILED, delivery=delivery, outcome=told, notices=notices
                )
            return self._turned_away(case, outcome, Turn.NO_TOKEN)._replace(
                delivery=delivery, notices=notices
            )
        found = self._ledger.note(request, message, Status.QUEUED, outcome=outcome)
        if _waits(found) and self._now() - found.entry.pursued_since > GIVE_UP_AFTER:
            found = self._ledger.note(request, message, Status.FAILED, outcome=outcome, reason=EXHAUSTED)
        if not _waits(found):
            standing = self._not_ours(found)
            return standing._replace(notices=[*notices, *standing.notices])
        return Dispatched(
            Turn.NO_TOKEN,
            Status.QUEUED,
            found.entry,
            delivery=delivery,
            outcome=outcome,
            again_in=wait(outcome, case.receive_count, self._jitter),
            notices=notices,
        )

    def _turned_away(self, case: _Case, outcome: Outcome, turn: Turn) -> Dispatched:
        """A caller's message that was not claimed: its entry counts how often, for a wait that grows."""
        turned_away = Dispatched(turn, Status.FAILED, outcome=_told(outcome, None, None, self._now()))
        with suppress(StorageError):  # the caller is told to try again all the same
            found = self._ledger.turn_away(case.request, case.message, outcome)
            if found.changed and found.entry.in_vain:
                told = _told(outcome, None, found.entry, self._now())
                return turned_away._replace(entry=found.entry, changed=True, outcome=told)
            if found.entry.owns_id:
                return self._not_ours(found)
        return turned_away

    def _held(self, case: _Case, circuit: Circuit, outcome: Outcome) -> Dispatched:
        now = self._now()
        held_for = max(_HELD_LEAST, circuit.held_until - now)
        if not case.queued:
            return Dispatched(Turn.HELD, Status.FAILED, outcome=outcome, held_for=held_for)
        found: Found | None = None
        if case.held_since is None:
            found = self._ledger.note(case.request, case.message, Status.QUEUED, outcome=outcome, reason=HELD)
        elif now - case.held_since > GIVE_UP_AFTER:
            found = self._ledger.note(
                case.request, case.message, Status.FAILED, outcome=outcome, reason=EXHAUSTED
            )
        if found and not _waits(found):
            return self._not_ours(found)
        entry = found.entry if found else None
        return Dispatched(Turn.HELD, Status.QUEUED, entry, outcome=outcome, held_for=held_for)

    def _with_repeatable(self, request: SendRequest, message: Message, dispatched: Dispatched) -> Dispatched:
        entry = dispatched.entry
        if entry is None or dispatched.status is not Status.UNKNOWN:
            return dispatched
        again = repeatable(
            request,
            message,
            lost_at=entry.lost_at or entry.updated_at,
            answers_lost=max(1, entry.answers_lost),
            now=self._now(),
        )
        if not again:
            return dispatched._replace(again_in=None)
        due = entry.next_attempt_at
        again_in = _pause_after_loss(entry.answers_lost) if due is None else self._due_in(due)
        return dispatched._replace(repeatable=True, again_in=again_in)

    def _not_ours(self, found: Found) -> Dispatched:
        dispatched, entry = _found(found), found.entry
        match found.standing:
            case Standing.IN_FLIGHT:
                return dispatched._replace(again_in=self._due_in(entry.lease_until))
            case Standing.EARLY:
                return dispatched._replace(again_in=self._due_in(entry.next_attempt_at))
        return dispatched

    def _due_in(self, at: float | None) -> float:
        return max(1.0, (at or 0.0) - self._now())

    def _expired(self, request: SendRequest) -> bool:
        return _is_over(request, self._now())


class Decision(NamedTuple):
    """What an attempt's outcome makes of a message.

    ``queued`` means that it is repeated; ``lost_at`` is when the first copy went out whose answer was
    lost, in seconds since the epoch, and ``answers_lost`` how many did.
    """

    status: Status
    reason: str | None = None
    lost_at: float | None = None
    answers_lost: int = 0


def decide(
    request: SendRequest, message: Message, claimed: Entry, outcome: Outcome, *, now: float, queued: bool
) -> Decision:
    """What becomes of a claimed message by its class of outcome, and by how often that came already.

    Parameters
    ----------
    request, message
        The message.
    claimed : Entry
        Its entry, as it was claimed for this attempt.
    outcome : Outcome
        What came of the attempt.
    now : float
        Seconds since the epoch.
    queued : bool
        Whether the queue repeats the message; if not, its caller is told to.
    """
    if outcome.status is Status.SENT:
        return Decision(Status.SENT)
    lost_at, answers_lost = claimed.lost_at, claimed.answers_lost
    if outcome.status is Status.UNKNOWN:
        lost_at, answers_lost = lost_at or claimed.updated_at, answers_lost + 1
    # What only waits for another day or for somebody to mend the account.
    waits = bool(outcome.holds) and (outcome.unattempted or outcome.error_class is ErrorClass.QUOTA)
    worth = waits or outcome.retryable or outcome.unattempted or bool(outcome.repeats)
    exhausted = _exhausted(claimed, outcome, now, waits=waits, queued=queued)
    over = _is_over(request, now)
    if lost_at is not None:
        again = (outcome.status is Status.UNKNOWN or worth) and not (exhausted or over)
        if (
            queued
            and again
            and repeatable(request, message, lost_at=lost_at, answers_lost=answers_lost, now=now)
        ):
            return Decision(Status.QUEUED, None, lost_at, answers_lost)
        return Decision(Status.UNKNOWN, None, lost_at, answers_lost)
    if not worth or over:
        return Decision(Status.EXPIRED if worth else Status.FAILED)
    if exhausted or not queued:
        return Decision(Status.FAILED, EXHAUSTED if exhausted else TRY_AGAIN)
    return Decision(Status.QUEUED, HELD if waits else None)


def _exhausted(claimed: Entry, outcome: Outcome, now: float, *, waits: bool, queued: bool) -> bool:
    """Whether a message is given up: by time alone where WeChat did not judge it, else by its answers.

    The queue spreads its attempts over half an hour by itself; a caller may repeat at any pace.
    """
    pursued_for = now - claimed.pursued_since
    if waits or outcome.unattempted:
        return pursued_for > GIVE_UP_AFTER
    if outcome.repeats is not None:
        attempted = (change for change in claimed.timeline if change.reason != HELD)
        if sum(change.errcode == outcome.errcode for change in attempted) >= outcome.repeats:
            return True
    if claimed.attempts < ATTEMPTS_MOST:
        return False
    return claimed.queue_tries >= ATTEMPTS_MOST if queued else pursued_for >= MIN_PURSUIT


def wait(
    outcome: Outcome, tries: int, jitter: Callable[[float, float], float], *, answers_lost: int = 1
) -> float:
    """Seconds until the next attempt: full jitter, and never less than the kind of error asks for."""
    if outcome.status is Status.UNKNOWN:
        return _pause_after_loss(answers_lost) + jitter(0, 2)
    pause = _pause(outcome, tries)
    if outcome.unattempted and not outcome.retryable:
        return pause + jitter(0, 60)
    if outcome.unattempted and pause >= _BACKOFF_MOST:
        # It may be three days until it is given up, and the queue hands a message out 1,000 times at most.
        return pause + jitter(0, 60)
    return max(jitter(0, pause), (outcome.retry_after or 0.0) + jitter(0, 2))


def _pause(outcome: Outcome, tries: int, first: float | None = None) -> float:
    """Seconds that the next attempt is put off by at most: doubled with each that there was."""
    mending = outcome.unattempted and not outcome.retryable
    most = _MENDING_MOST if mending else _BACKOFF_MOST
    first = first or (_MENDING_FIRST if mending else _BACKOFF_FIRST)
    return max(first, min(most, first * 2.0 ** min(max(tries, 1) - 1, 16)))  # beyond that it is over the most


def _pause_after_loss(answers_lost: int) -> float:
    """Seconds until a message is repeated of which so many answers were lost."""
    return min(_BACKOFF_MOST, _LOST_FIRST * 3.0 ** max(answers_lost - 1, 0))


def _is_over(request: SendRequest, now: float) -> bool:
    """Whether the message is not worth sending any more."""
    return request.expires_at is not None and request.expires_at <= datetime.fromtimestamp(now, UTC)


def _waits(found: Found) -> bool:
    return found.entry.status is Status.QUEUED and found.standing is not Standing.OTHER_BODY


def _found(found: Found) -> Dispatched:
    turn = {Standing.IN_FLIGHT: Turn.IN_FLIGHT, Standing.OTHER_BODY: Turn.OTHER_BODY}.get(
        found.standing, Turn.STANDING
    )
    entry = found.entry
    return Dispatched(
        turn,
        entry.status,
        entry,
        found.changed,
        outcome=entry.outcome,
        notices=_notices(entry) if found.changed else (),
    )


def _notices(entry: Entry) -> list[Notice]:
    """What there is to announce of a message's new state."""
    name = {Status.FAILED: "message.failed", Status.UNKNOWN: "message.unknown"}.get(entry.status)
    if name is None or entry.in_vain:
        return []
    outcome = entry.final_outcome
    detail: dict[str, Any] = {
        "id": entry.id,
        "account": entry.account,
        "kind": entry.kind,
        "template_id": entry.template_id,
        "openid_hash": entry.openid_hash,
        "status": entry.status.value,
        "reason": entry.reason,
        "attempts": entry.attempts,
        "at": iso_time(entry.updated_at),
    }
    if outcome:
        detail |= {
            "class": outcome.error_class.value,
            "errcode": outcome.errcode,
            "errmsg": outcome.errmsg,
            "rid": outcome.rid,
            "field": outcome.field,
            "hint": {"en": outcome.hint.en, "zh": outcome.hint.zh},
        }
    return [Notice(name, {key: value for key, value in detail.items() if value is not None})]


def _told(outcome: Outcome, circuit: Circuit | None, entry: Entry | None, now: float) -> Outcome:
    """The outcome for a caller who is to try again, with a wait that grows each time, as its entry counts."""
    if circuit and outcome.holds:
        retry_after = max(_HELD_LEAST, circuit.held_until - now)
    else:
        retry_after = _pause(outcome, entry.turned_away if entry else 1, outcome.retry_after)
    return outcome._replace(retryable=True, retry_after=retry_after)


def _held_outcome(circuit: Circuit, now: float) -> Outcome:
    """The outcome of a message that is not sent because of an earlier one's, with what mends that."""
    next_at = iso_time(circuit.held_until)
    hint = circuit.hint or Bilingual(f"errcode {circuit.errcode}.", f"错误码 {circuit.errcode}。")
    return Outcome(
        Status.FAILED,
        circuit.error_class,
        Bilingual(
            f"Nothing was sent: the answer to an earlier message holds for this one too. {hint.en} "
            f"The next attempt is due at {next_at}.",
            f"消息未发出：微信此前的应答对该消息同样适用。{hint.zh}下次尝试时间为 {next_at}。",
        ),
        retryable=True,
        errcode=circuit.errcode,
        retry_after=max(_HELD_LEAST, circuit.held_until - now),
        unattempted=True,
    )


_IS_REPEATED = Bilingual(
    "It is sent again: WeChat drops the second copy, or its sender asked for at least once.",
    "服务会自动重发：微信会去重，或发送方要求至少送达一次。",
)
_CAN_BE_REPEATED = Bilingual(
    "Repeat it under the same id: WeChat drops the second copy, or you asked for at least once.",
    "请使用相同的 id 重发：微信会去重，或该消息要求至少送达一次。",
)
_IS_IN_DOUBT = Bilingual(
    "A copy under a new id can reach the user as a second message.",
    "使用新的 id 重发可能造成用户收到两条。",
)
_TOO_LATE = Outcome(
    Status.FAILED,
    ErrorClass.TRANSIENT,
    Bilingual(
        "Too little time was left to send the message; nothing was sent. Try again shortly.",
        "剩余时间不足，消息未发出，请稍后重试。",
    ),
    retryable=True,
    retry_after=2.0,
    unattempted=True,
)
