"""Log lines, without secrets and without openids, and beside them the metrics of what they tell."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aws_lambda_powertools import Logger

from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.receipts import Match, Settled
from wechat_notify.core.delivery.results import (
    ConsentUse,
    Held,
    InFlight,
    NotDue,
    Queued,
    Replayed,
    Result,
    Sent,
    Unrecorded,
)
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import DomainEvent, Status
from wechat_notify.core.tokens.refresher import Refreshed
from wechat_notify.core.violations import Violation
from wechat_notify.metrics import Metrics

if TYPE_CHECKING:
    from wechat_notify.core.templates.sync import Synced


class InvocationError(Exception):
    """An invocation failed; the log line says with what and where."""


_Level = Literal["debug", "info", "warning", "error"]

_WORTH_TELLING = 60.0
"""Seconds of age below which nothing is told: most batches are younger, and a value is a line in the log."""
_OPENED = frozenset({"circuit.opened", "quota.reached"})


class EventBus(Protocol):
    """The event bus for the team's own automation."""

    def publish(self, events: Sequence[DomainEvent]) -> int:
        """Put events on the bus; how many could not be."""


class _Guarded:
    """Logs an exception instead of raising it: a report that fails must not make a message be sent again."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, Exception):
            return False
        # Without its text and a traceback's, which may quote a secret.
        self._logger.error("not reported", error=type(error).__name__, raised_at=_location(error))
        return True


class Telemetry:
    """Log lines at once, metrics summed up and flushed once an invocation."""

    def __init__(self, logger: Logger | None = None) -> None:
        self.logger = logger or Logger(utc=True, use_rfc3339=True)
        self._guarded = _Guarded(self.logger)
        self.metrics = Metrics(self.logger.service)
        self._line: dict[str, Any] = {}
        self._cold = True

    @contextmanager
    def invocation(
        self, context: Any, correlation_id: str | None = None, *, answers: bool = False
    ) -> Iterator[dict[str, Any]]:
        """One invocation: yields the fields of its line, which is written at the end.

        With ``answers`` its caller gets an answer in any case: Lambda counts no error then, so an unforeseen
        one is counted here.
        """
        # In the place of the last invocation's: nobody else appends any.
        self.logger.append_keys(
            function_request_id=getattr(context, "aws_request_id", None),
            cold_start=self._cold,
            correlation_id=correlation_id or None,
        )
        cold, self._cold = self._cold, False
        fields = self._line = {}
        try:
            yield fields
        except Exception as error:  # noqa: BLE001 - it is raised again by its name
            fields["error"] = type(error).__name__
            self.logger.error(  # noqa: TRY400 - a traceback's text may quote a secret
                "invocation failed", **fields, raised_at=_location(error)
            )
            if answers:
                self.metrics.count("MessagesUnforeseen")
            # Lambda prints what it is given: the name, not a text that may quote what it choked on.
            raise InvocationError(type(error).__name__) from None
        else:
            self.logger.info("invocation finished", **fields)
        finally:
            with self._guarded:
                if cold:
                    self.metrics.cold_start(context)
            with self._guarded:
                self.metrics.flush()
            if not gc.isenabled():  # the process has started
                gc.freeze()  # what it has made stays, and would be looked through at once
                gc.enable()

    def message(
        self,
        message: Message,
        result: Result,
        *,
        account: str,
        openid_hash: Callable[[str], str],
        message_id: str | None = None,
        warnings: Sequence[Violation] = (),
        alone: bool = False,
        **fields: Any,
    ) -> None:
        """Log what one call did about a message, with the entry point's own fields, and count it.

        Where the invocation is about this message alone, what went well stands in the invocation's line.
        """
        with self._guarded:
            level = _level(result, warnings)
            if level != "debug" or alone or self.logger.log_level <= logging.DEBUG:
                named = {"message_id": message_id, "openid_hash": openid_hash(message.touser), **fields}
                self._log_message(message, result, account, warnings, named, level=level, alone=alone)
            self.metrics.message(message, result, account, message_id or "")

    def _log_message(
        self,
        message: Message,
        result: Result,
        account: str,
        warnings: Sequence[Violation],
        fields: Mapping[str, Any],
        *,
        level: _Level,
        alone: bool,
    ) -> None:
        exchange, outcome, entry = result.exchange, result.outcome, result.entry
        said = {
            "account": account,
            "kind": message.kind,
            "result": result.name,
            "status": result.status,
            "reason": entry and entry.reason,
            "attempts": entry and entry.attempts,
            "wechat_ms": exchange and round(exchange.seconds * 1000, 1),
            "consent": result.consent,
            "warnings": [warning.for_log() for warning in warnings],
            **fields,
        }
        if outcome:
            said |= {
                "class": outcome.error_class.value,
                "cause": outcome.cause,
                "errcode": outcome.errcode,
                "errmsg": outcome.errmsg,
                "rid": outcome.rid,
                # As text: the tools that read logs take numbers for floats, and it has 19 digits.
                "msgid": outcome.msgid and str(outcome.msgid),
                "field": outcome.field,
            }
        said = {name: value for name, value in said.items() if value not in (None, [])}
        if alone and level in {"debug", "info"}:
            self._line.update(said)
            return
        text = "message attempted" if result.attempted else "message not attempted"
        getattr(self.logger, level)(text, extra=said)

    def ended(self, entry: Entry) -> None:
        """A message that came to its end because somebody asked about it."""
        self.metrics.ended(entry)

    def publish(self, events: Sequence[DomainEvent], bus: Callable[[], EventBus]) -> int:
        """Tell the team's automation; return how many events could not be published. It raises nothing.

        Parameters
        ----------
        events : Sequence
            What there is to tell; the bus is made only where there is something.
        bus : Callable
            Makes the bus.
        """
        if not events:
            return 0
        unpublished = len(events)
        with self._guarded:
            for domain_event in events:
                self._log_event(domain_event)
        with self._guarded:
            unpublished = bus().publish(events)
        if unpublished:
            self.metrics.count("EventsNotPublished", unpublished)
            with self._guarded:
                self.logger.error("events not published", count=unpublished)
        return unpublished

    def _log_event(self, domain_event: DomainEvent) -> None:
        if domain_event.detail_type in _OPENED:
            self.metrics.count("CircuitsOpened", account=str(domain_event.detail["account"]))
            self.logger.warning(domain_event.detail_type.replace(".", " "), extra={**domain_event.detail})
        elif domain_event.detail_type == "circuit.closed":
            self.logger.info("circuit closed", extra={**domain_event.detail})

    def refused(
        self, reason: str, error: Exception | None = None, *, counts: bool = True, **fields: Any
    ) -> None:
        """One message that was never attempted: its line and, unless it comes again, its count."""
        if error:
            fields.update(error=type(error).__name__, raised_at=_location(error))
            self.metrics.count("MessagesUnforeseen")
        with self._guarded:
            self.logger.warning("message refused", reason=reason, **fields)
        if counts:
            self.metrics.count("MessagesRefused", reason=reason)

    def returned(self, count: int) -> None:
        """Messages that went back to the queue to be repeated."""
        self.metrics.count("MessagesReturned", count)

    def waited(self, waiting: float, held: float = 0.0) -> None:
        """Measure the age of the oldest message of a batch, and of the oldest that a circuit holds.

        Parameters
        ----------
        waiting : float
            Seconds since the message came to the queue, however often it was received since.
        held : float
            Seconds since it was held for the first time, however often its copy was replaced since.
        """
        ages = {"WaitingAge": waiting, "HeldAge": held}
        for name, age in ages.items():
            if age >= _WORTH_TELLING:
                self.metrics.measure(name, "Seconds", round(age))
        if waiting >= _WORTH_TELLING:
            self._line.update(waiting_s=round(waiting))

    def rehearsed(self, account: str, message: Message, would: str) -> None:
        """A dry run: the invocation's line says so, and nothing is counted."""
        with self._guarded:
            self._line.update(dry_run=True, account=account, kind=message.kind, would=would)

    def receipt(self, settled: Settled) -> None:
        """Count a receipt, and log one that tells of a message that did not arrive."""
        entry, metrics = settled.entry, self.metrics
        with self._guarded:
            if settled.match is Match.OF_OTHERS:
                metrics.count("ReceiptsOfOthers")
            elif settled.match is Match.SETTLED and entry:
                metrics.ended(entry)
            if settled.match is Match.SETTLED and entry and entry.status is Status.UNDELIVERED:
                self.logger.warning(
                    "message undelivered",
                    account=entry.account,
                    message_id=entry.id,
                    kind=entry.kind,
                    status=entry.status.value,
                    reason=entry.reason,
                    openid_hash=entry.openid_hash,
                )

    def synced(self, results: Sequence[Synced], *, of_all: bool) -> None:
        """Report what came of reading the templates of an account, or of all accounts."""
        for result in results:
            with self._guarded:
                self._synced(result)
        if of_all:
            failed = sum(result.read_nothing for result in results)
            self.metrics.measure("TemplateSyncFailedShare", "Percent", 100 * failed / max(1, len(results)))

    def _synced(self, result: Synced) -> None:
        if result.error:
            self.metrics.count("TemplateSyncFailed", account=result.account)
            self.logger.warning("templates not read", account=result.account, error=result.error)
        for family, failure in result.failures:
            self.metrics.count("TemplateSyncFailed", account=result.account)
            self.logger.warning(
                "templates not read",
                account=result.account,
                family=family.value,
                extra={**failure.as_dict(), "hint": failure.hint.en},
            )
        if result.dropped:
            self.logger.warning("templates left out", account=result.account, count=result.dropped)

    def refreshed(self, results: Sequence[Refreshed], now: float, *, of_all: bool = False) -> None:
        """Report the refresher's results for an account, or for all accounts."""
        for result in results:
            with self._guarded:
                self._refreshed(result, now)
        if of_all:
            self.metrics.accounts(results, now)

    def _refreshed(self, result: Refreshed, now: float) -> None:
        self.metrics.refreshed(result, now)
        if not result.stored:
            self.logger.error("token not stored", account=result.account)
        if result.forced:
            self.logger.warning("token replaced by force", account=result.account)
        if result.failure:
            self.logger.error(
                "token refresh failed",
                account=result.account,
                extra={**result.failure.as_dict(), "hint": result.failure.hint.en},
            )


def _level(result: Result, warnings: Sequence[Violation]) -> _Level:
    """Return the level of a message's line: what nobody has to look at is not a warning."""
    match result:
        case Unrecorded():
            return "error"
        case Held() if not result.attempted:
            return "debug"  # each of a hundred thousand, every quarter of an hour
        case Sent():
            is_noted = warnings or result.consent is ConsentUse.MISSING
            return "info" if is_noted else "debug"  # its entry says the same, but for the warnings
        case Queued() | NotDue():
            return "info"
        case Replayed() | InFlight() if not result.attempted or result.status is Status.SENT:
            return "info"
    return "warning"


def _location(error: BaseException) -> str:
    """The innermost place of our own code that the error passed, as ``file:line``."""
    place, traceback = "", error.__traceback__
    while traceback:
        name = traceback.tb_frame.f_code.co_filename
        if "wechat_notify" in name or "functions" in name:
            place = f"{name.rpartition('/')[2]}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
