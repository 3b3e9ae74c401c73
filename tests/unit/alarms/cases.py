"""Faults that raise an alarm each: what is heard of them, and within how many minutes the alarm is raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.alarms import timeline as of
from tests.unit.alarms.service_metrics import Functions, Written
from tests.unit.alarms.timeline import Source, Sources, nothing, written
from tests.unit.template.conftest import FUNCTIONS


@dataclass(frozen=True)
class Case:
    """A fault.

    ``sources`` has what is heard in the place of the calm sources while it lasts; ``within`` is in minutes
    from its begin, ``recovers`` in minutes from its end.
    """

    alarm: str
    name: str
    sources: Callable[[Functions], Sources]
    within: int
    lasts: int = 60
    recovers: int = 45

    def __str__(self) -> str:
        return f"{self.alarm}-{self.name}"


def _own(fault: Callable[[Functions], Written], every: int = 5) -> Callable[[Functions], Sources]:
    """What the functions write about it, every so many minutes, beside what they write of other messages."""
    return lambda functions: {"fault": written(fault(functions), every)}


def _source(**sources: Source) -> Callable[[Functions], Sources]:
    return lambda _: sources


def _refreshed(fault: Callable[[Functions], Written]) -> Callable[[Functions], Sources]:
    """In the place of what a run of token_refresh writes."""
    return lambda functions: {"tokens": written(fault(functions), 5)}


def _second_account(functions: Functions) -> Sources:
    return {"tokens": written(functions.tokens_refused("bank", "cafe"), 5)}


def _of_lambda(function: str, metric: str, value: float) -> Source:
    return lambda put, _minute: put("AWS/Lambda", metric, {"FunctionName": f"<{function}>"}, value)


ERRORS = [
    Case(
        name.replace("Function", "ErrorAlarm"),
        "one error",
        _source(fault=_of_lambda(name, "Errors", 1.0)),
        within=4,
        lasts=1,
    )
    for name in FUNCTIONS
]
THROTTLES = [
    Case("ThrottleAlarm", name, _source(fault=_of_lambda(name, "Throttles", 3.0)), within=13)
    for name in FUNCTIONS
    if name != "TokenRefreshFunction"
]
DEAD = [
    Case(name.replace("Queue", "Alarm"), "one", _source(**{name: of.of_queue(name, waiting=1.0)}), within=4)
    for name in of.DEAD_LETTERS
]
CONSUMERS = (
    ("SendQueue", "SendQueueFunction"),
    ("BroadcastQueue", "SendBroadcastFunction"),
    ("BroadcastStepQueue", "BroadcastFunction"),
    ("CallbackQueue", "CallbackEventsFunction"),
)
STALLED = [
    # The mapping is disabled, or may not read the queue: one message waits.
    Case(
        "QueueStalledAlarm", queue, _source(**{queue: of.of_queue(queue, waiting=1.0), function: nothing}), 20
    )
    for queue, function in CONSUMERS
]
NOT_INVOKED = [
    # The mapping takes what it cannot hand over, again and again: one message is always in flight.
    Case(
        "NotInvokedAlarm", queue, _source(**{queue: of.of_queue(queue, in_flight=1.0), function: nothing}), 38
    )
    for queue, function in CONSUMERS
]
AGES = {
    "send_queue": Functions.message_returned,
    "broadcast": Functions.step_returned,
    "callback_events": Functions.callback_returned,
}
OLDEST = [Case("OldestMessageAlarm", name, _own(fault, every=10), within=8) for name, fault in AGES.items()]
TOKENS = [
    Case("TokenRefreshAlarm", "refused", _refreshed(lambda its: its.tokens_refused("bank")), within=15),
    Case("NoTokenAlarm", "run out", _refreshed(lambda its: its.tokens_run_out("bank")), within=15),
    Case("TokenNotStoredAlarm", "throttled", _refreshed(Functions.tokens_not_stored), within=15),
    Case("MoreAccountsFailAlarm", "second", _second_account, within=25),
    Case("TokenRefreshMissingAlarm", "no run", _source(tokens=nothing), within=22),
]
LONG = 14 * 60
CASES = [
    *ERRORS,
    *THROTTLES,
    *DEAD,
    *STALLED,
    *NOT_INVOKED,
    *OLDEST,
    *TOKENS,
    Case(
        "TokenRefreshThrottleAlarm",
        "busy",
        _source(busy=_of_lambda("TokenRefreshFunction", "Throttles", 4.0)),
        within=18,
    ),
    Case("ConcurrencyAlarm", "account", _source(**{"lambda": of.of_lambda(850.0)}), within=9),
    Case(
        "SendConcurrencyAlarm",
        "at the cap",
        _source(SendQueueFunction=of.of_function("SendQueueFunction", running=10.0)),
        within=19,
    ),
    *(
        Case("InFlightAlarm", queue, _source(**{queue: of.of_queue(queue, in_flight=100_000.0)}), within=4)
        for queue in ("SendQueue", "BroadcastQueue", "CallbackQueue")
    ),
    Case("HeldMessageAlarm", "26 hours", _own(Functions.held_for_days, 15), within=20, recovers=120),
    Case("CanaryAlarm", "not delivered", _source(canary=of.of_canary(0.0)), within=35),
    Case("CanaryAlarm", "not sent", _source(canary=nothing), within=35),
    Case("ApiErrorAlarm", "one in ten", _source(api=of.of_api(200.0, 20.0)), within=13),
    Case("HoldAlarm", "quota", _own(Functions.hold_opened, 30), within=8),
    Case(
        "FailedDayAlarm",
        "four a day",
        lambda its: {"sent": written(its.message_failed(), 360)},
        within=26 * 60,
        lasts=30 * 60,
    ),
    Case("FailedShareAlarm", "zoo", _own(Functions.mostly_failed), within=8, recovers=60),
    Case(
        "TemplateSyncAlarm",
        "nothing read",
        lambda its: {"templates": written(its.templates_not_read(), 360)},
        within=LONG,
        lasts=LONG,
        recovers=360,
    ),
    Case("TemplateSyncAlarm", "no run", _source(templates=nothing), within=LONG, lasts=LONG, recovers=360),
    Case("AnswersNotRecordedAlarm", "ledger", _own(Functions.not_recorded), within=8),
    Case("UnforeseenAlarm", "bug", _own(Functions.unforeseen), within=8),
    Case("UnknownErrcodeAlarm", "errcode", _own(Functions.unknown_errcode), within=8),
    Case("EventsNotPublishedAlarm", "bus", _own(Functions.not_published), within=8),
    *(
        Case("LedgerThrottleAlarm", str(index), _source(ledger=of.of_ledger(index)), within=13)
        for index in (None, "listed", "receipts", "people")
    ),
    Case("MessagesDoNotFlowAlarm", "queue", STALLED[0].sources, within=20),
    Case("MessagesDoNotFlowAlarm", "not invoked", NOT_INVOKED[0].sources, within=38),
    Case("MessagesDoNotFlowAlarm", "oldest", OLDEST[0].sources, within=8),
    Case("MessagesDoNotFlowAlarm", "api", _source(api=of.of_api(200.0, 20.0)), within=13),
    Case("MessagesDoNotFlowAlarm", "canary", _source(canary=nothing), within=35),
]
