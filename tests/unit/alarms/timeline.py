"""Hours of a stack's metrics, minute by minute: calm ones, and what a fault puts in their place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes import Metric
from tests.unit.alarms.cloudwatch import Stream
from tests.unit.template.conftest import FUNCTIONS, Stack

MINUTE: Final = 60.0
HOUR: Final = 3600.0
QUEUES: Final = ("SendQueue", "BroadcastQueue", "BroadcastStepQueue", "CallbackQueue")
DEAD_LETTERS: Final = ("DeadLetterQueue", "EventDeadLetterQueue", "CallbackDeadLetterQueue")
_SCHEDULED: Final = {"TokenRefreshFunction": 5, "TemplateSyncFunction": 360}
"""Minutes between the runs of functions that nobody but a schedule starts."""
Put = Callable[[str, str, Mapping[str, str], float], None]
"""Put a value: namespace, metric, dimensions, value."""
Source = Callable[[Put, int], None]
"""Put the values of a minute, which is counted from the start."""


def of_queue(name: str, *, waiting: float = 0.0, in_flight: float = 0.0) -> Source:
    """What SQS says of a queue each minute."""
    dimensions = {"QueueName": f"<{name}.QueueName>"}

    def source(put: Put, _minute: int) -> None:
        put("AWS/SQS", "ApproximateNumberOfMessagesVisible", dimensions, waiting)
        put("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", dimensions, in_flight)

    return source


def of_function(name: str, *, running: float = 2.0, every: int | None = None) -> Source:
    """What Lambda says of a function: nothing of a minute in which it was not invoked."""
    dimensions, every = {"FunctionName": f"<{name}>"}, every or _SCHEDULED.get(name, 1)

    def source(put: Put, minute: int) -> None:
        if minute % every:
            return
        runs = 1.0 if every > 1 else 20.0
        values = {"Invocations": runs, "Errors": 0.0, "Throttles": 0.0, "ConcurrentExecutions": running}
        for metric, value in values.items():
            put("AWS/Lambda", metric, dimensions, value)

    return source


def of_lambda(claimed: float) -> Source:
    """The AWS account's concurrency."""
    return lambda put, _minute: put("AWS/Lambda", "ClaimedAccountConcurrency", {}, claimed)


def of_api(calls: float, errors: float) -> Source:
    def source(put: Put, _minute: int) -> None:
        put("AWS/ApiGateway", "Count", {"ApiId": "<HttpApi>"}, calls)
        put("AWS/ApiGateway", "5xx", {"ApiId": "<HttpApi>"}, errors)

    return source


def of_ledger(index: str | None = None) -> Source:
    """DynamoDB throttles the ledger, or an index of it; otherwise it says nothing."""
    dimensions = {"TableName": "<Ledger>"} | ({"GlobalSecondaryIndexName": index} if index else {})
    return lambda put, _minute: put("AWS/DynamoDB", "WriteThrottleEvents", dimensions, 12.0)


def of_canary(delivered: float) -> Source:
    def source(put: Put, minute: int) -> None:
        if minute % 10 == 0:
            put("WeChatNotify", "CanaryDelivered", {}, delivered)

    return source


def written(metrics: Iterable[Metric], every: int = 1) -> Source:
    """The service's own metrics, every so many minutes."""
    kept = list(metrics)

    def source(put: Put, minute: int) -> None:
        if minute % every == 0:
            for metric in kept:
                put("WeChatNotify", metric.name, metric.dimensions, metric.value)

    return source


def together(*sources: Source) -> Source:
    def source(put: Put, minute: int) -> None:
        for each in sources:
            each(put, minute)

    return source


def nothing(_put: Put, _minute: int) -> None:
    """Of whom nothing is heard."""


Sources = Mapping[str, Source]


@dataclass
class Timeline:
    """Calm hours, in which other sources take the place of some for a while."""

    calm: Sources
    service: str
    faults: list[tuple[float, float, Sources]] = field(default_factory=list)

    def with_fault(self, begin: float, end: float, sources: Sources) -> Timeline:
        return Timeline(self.calm, self.service, [*self.faults, (begin, end, sources)])

    def stream(self, hours: float, wanted: Collection[str]) -> Stream:
        """The values of so many hours, of the metrics of these names."""
        stream = Stream()
        for minute in range(int(hours * 60)):
            at = minute * MINUTE
            sources = dict(self.calm)
            for begin, end, others in self.faults:
                if begin <= at < end:
                    sources.update(others)

            def put(
                namespace: str, metric: str, dimensions: Mapping[str, str], value: float, at: float = at
            ) -> None:
                if metric not in wanted:
                    return
                own = {"service": self.service} if namespace == "WeChatNotify" else {}
                stream.put(namespace, metric, {**dimensions, **own}.items(), at, value)

            for source in sources.values():
                source(put, minute)
        return stream


def service_of(stack: Stack) -> str:
    """The value of the dimension ``service``, as the functions have it."""
    variables: dict[str, Any] = stack["TokenRefreshFunction"]["Environment"]["Variables"]
    return str(variables["POWERTOOLS_SERVICE_NAME"])


def _refresher_is_busy(put: Put, minute: int) -> None:
    """Now and then a sender asks for a token while another's is fetched."""
    if minute % 20 == 7:
        put("AWS/Lambda", "Throttles", {"FunctionName": "<TokenRefreshFunction>"}, 1.0)


def day(own: Sources) -> Sources:
    """A day with traffic on every way in; ``own`` are the service's metrics."""
    return {
        **{name: of_queue(name, waiting=2.0, in_flight=40.0) for name in QUEUES},
        **{name: of_queue(name) for name in DEAD_LETTERS},
        **{name: of_function(name) for name in FUNCTIONS},
        "busy": _refresher_is_busy,
        "lambda": of_lambda(120.0),
        "api": of_api(200.0, 2.0),
        "canary": of_canary(1.0),
        **own,
    }


def night(own: Sources, awake: Collection[str]) -> Sources:
    """Hours in which nobody sends anything: SQS and Lambda have nothing to say, but of what is scheduled."""
    scheduled = {name: of_function(name) for name in _SCHEDULED}
    return {**scheduled, "canary": of_canary(1.0), **{name: own[name] for name in awake}}
