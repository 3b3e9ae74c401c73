"""Metrics: summed up during an invocation, and written once at its end by Powertools' EMF provider.

Each goes out under ``service`` alone (for alarms) and once more under what it is broken down by. Account
names that nobody has stored are never a dimension, for each value is billed as a metric of its own; nor are
errcodes that are not in the table, which a server could make up without end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.failed_shares import FailedShares
from wechat_notify.core.delivery.results import (
    ConsentUse,
    Expired,
    Failed,
    Held,
    IdReused,
    InFlight,
    NotDue,
    Replayed,
    Result,
    Sent,
    TryAgain,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.messages.identifiers import is_canary_id
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.tokens.refresher import Refreshed

if TYPE_CHECKING:
    from wechat_notify.core.canary import Sighting

_Unit = Literal["Milliseconds", "Seconds", "Percent"]
_Dimensions = tuple[tuple[str, str], ...]

_NAMESPACE = "WeChatNotify"
_COUNTED = {
    Status.SENT: "MessagesSent",
    Status.UNKNOWN: "MessagesUnknown",
    Status.EXPIRED: "MessagesExpired",
    Status.DELIVERED: "MessagesDelivered",
    Status.UNDELIVERED: "MessagesUndelivered",
}
_CONSENTS: dict[ConsentUse | None, str] = {
    ConsentUse.USED: "ConsentsUsed",
    ConsentUse.REFUSED: "ConsentsRefused",
}


class Metrics:
    """The counts and values of one invocation.

    Counts are summed up here, since the provider would keep every single one as a value of its own.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._counts: Counter[tuple[str, _Dimensions]] = Counter()
        self._values: defaultdict[tuple[str, _Unit, _Dimensions], list[float]] = defaultdict(list)
        self._shares = FailedShares()

    def count(self, name: str, number: int = 1, /, **dimensions: str) -> None:
        """Add to a count."""
        self._counts[name, tuple(dimensions.items())] += number

    def measure(self, name: str, unit: _Unit, value: float, /, **dimensions: str) -> None:
        """Keep a measured value."""
        self._values[name, unit, tuple(dimensions.items())].append(value)

    def message(self, message: Message, result: Result, account: str, message_id: str) -> None:
        """Count a message once by what it came to, and by each turn that brought it no nearer to that.

        The canary counts its own messages: there would be more of them than of a small team's.
        """
        outcome, entry = result.outcome, result.entry
        self._consent(result, account)
        # Without an attempt the account may be a name that somebody made up.
        known = result.attempted or isinstance(result, Held) or bool(entry and entry.attempts)
        by_account = {"account": account} if known else {}
        by_kind = {"kind": message.kind}
        self._answer(result, **by_account, **by_kind)
        match result:
            case Unrecorded():
                self.count("AnswersNotRecorded")
            case _ if is_canary_id(message_id):
                return
            case Held() if not result.attempted:
                self.count("MessagesHeld", **by_account)
            case Sent() | Unknown() | Expired() if entry:
                self.count(_COUNTED[entry.status], **by_account, **by_kind)
                if result.attempted and entry.status is not Status.EXPIRED:
                    self._shares.note(account, failed=entry.status is Status.UNKNOWN)
            case Failed() | TryAgain():
                if result.attempted:
                    self._shares.note(account, failed=True)
                error_class = outcome.error_class.value if outcome else "none"
                by_errcode = {"class": error_class, "errcode": _errcode(outcome)}
                self.count("MessagesFailed", **by_account, **by_errcode)
            # The call that gave it its status has counted it.
            case Replayed() | InFlight() | NotDue() | IdReused() if not result.attempted:
                self.count("MessagesReplayed", result=result.name)

    def _answer(self, result: Result, **dimensions: str) -> None:
        if result.exchange and result.attempted:
            milliseconds = round(result.exchange.seconds * 1000, 1)
            self.measure("WeChatLatency", "Milliseconds", milliseconds, **dimensions)
            if result.outcome and result.outcome.error_class is ErrorClass.OTHER:
                self.count("UnknownErrcode")

    def _consent(self, result: Result, account: str) -> None:
        if name := _CONSENTS.get(result.consent):
            self.count(name, account=account)

    def ended(self, entry: Entry) -> None:
        """Count a message that came to its end because somebody asked about it, or a receipt settled it."""
        if not is_canary_id(entry.id) and (name := _COUNTED.get(entry.status)):
            self.count(name, account=entry.account, kind=entry.kind or "none")

    def refreshed(self, result: Refreshed, now: float) -> None:
        """Count what the refresher did for one account."""
        account = result.account
        self.count("TokenRefreshes", result.calls, account=account)
        if result.best:
            self.measure("TokenAge", "Seconds", now - result.best.obtained_at, account=account)
        if not result.stored:
            self.count("TokenNotStored", account=account)
        if result.failure:
            self.count("TokenRefreshFailed", account=account, errcode=_errcode(result.failure))

    def sighted(self, seen: Sighting) -> None:
        """Count what a run of the canary saw: 1 or 0, so that an alarm tells a failure from no run."""
        self.count("CanaryDelivered", int(seen.arrived))
        if seen.latency is not None:
            self.measure("CanaryLatency", "Milliseconds", round(seen.latency * 1000, 1))

    def accounts(self, results: Sequence[Refreshed], now: float) -> None:
        """Count the accounts in trouble after a run for all of them; a zero says that it was looked at."""
        self.count("AccountsFailing", sum(result.failure is not None for result in results))
        self.count("AccountsNotStored", sum(not result.stored for result in results))
        usable = sum(result.best is not None and result.best.usable(now) for result in results)
        self.count("AccountsWithoutToken", len(results) - usable)

    def cold_start(self, context: Any) -> None:
        """Write Powertools' ``ColdStart``, by function; it is a document of its own."""
        self._provider().add_cold_start_metric(context)

    def flush(self) -> None:
        """Write a document for each set of dimensions, and begin anew."""
        if share := self._shares.worst():
            self.measure("FailedShare", "Percent", share)
        providers: dict[_Dimensions, AmazonCloudWatchEMFProvider] = {}
        counts, self._counts = self._counts, Counter()
        values, self._values = self._values, defaultdict(list)
        for (name, dimensions), number in counts.items():
            self._provider_of(dimensions, providers).add_metric(name, "Count", number)
        for (name, unit, dimensions), measured in values.items():
            provider = self._provider_of(dimensions, providers)
            for value in measured:  # with the hundredth, CloudWatch's limit, it writes what it has
                provider.add_metric(name, unit, value)
        for provider in providers.values():
            if provider.metric_set:  # it warns where there is nothing to write
                provider.flush_metrics()

    def _provider_of(
        self, dimensions: _Dimensions, providers: dict[_Dimensions, AmazonCloudWatchEMFProvider]
    ) -> AmazonCloudWatchEMFProvider:
        provider = providers.get(dimensions)
        if provider is None:
            provider = providers[dimensions] = self._provider()
            provider.add_dimension("service", self._service)
            if dimensions:
                provider.add_dimensions(service=self._service, **dict(dimensions))
        return provider

    def _provider(self) -> AmazonCloudWatchEMFProvider:
        # Not ``Metrics``, whose instances share one set of dimensions.
        return AmazonCloudWatchEMFProvider(namespace=_NAMESPACE, service=self._service)


def _errcode(outcome: Outcome | None) -> str:
    """The errcode as a dimension: ``none`` without one, ``other`` where it is not in the table."""
    if outcome is None or outcome.errcode is None:
        return "none"
    return "other" if outcome.error_class is ErrorClass.OTHER else str(outcome.errcode)
