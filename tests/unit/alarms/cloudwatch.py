"""CloudWatch's alarms, as its documentation describes them: streams of values in, states out.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.unit.alarms.expressions import Series, compute

OK, ALARM, UNCHECKED = "OK", "ALARM", "INSUFFICIENT_DATA"
DELAY: Final = 120.0
"""Seconds until a value that was sent is seen."""
_MORE: Final = 2
"""Points that are looked at beyond the evaluation periods; the documentation's example has 5 for 3."""
_STATISTICS: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}
Properties = Mapping[str, Any]
Key = tuple[str, str, frozenset[tuple[str, str]]]


class Stream:
    """The values of metrics, each put at its time in seconds, in order of time."""

    def __init__(self) -> None:
        self._times: defaultdict[Key, list[float]] = defaultdict(list)
        self._values: defaultdict[Key, list[float]] = defaultdict(list)

    def put(
        self, namespace: str, metric: str, dimensions: Iterable[tuple[str, str]], at: float, value: float
    ) -> None:
        key = (namespace, metric, frozenset(dimensions))
        assert not self._times[key] or self._times[key][-1] <= at
        self._times[key].append(at)
        self._values[key].append(value)

    def series(self, key: Key, statistic: str, period: float, now: float, points: int) -> Series:
        """The statistic's last values, one a period, the newest last; what came a moment ago is not seen."""
        if key not in self._times:
            return [None] * points
        times, values = self._times[key], self._values[key]
        seen = bisect_left(times, now - DELAY)
        bounds = [min(bisect_left(times, now - number * period), seen) for number in range(points, -1, -1)]
        return [
            float(_STATISTICS[statistic](values[begin:end])) if begin < end else None
            for begin, end in pairwise(bounds)
        ]


@dataclass
class MetricAlarm:
    """An alarm on a metric, or on an expression of several; ``properties`` are those of the template."""

    properties: Properties
    fills_empty: bool = True
    state: str = UNCHECKED

    def evaluate(self, stream: Stream, now: float) -> str:
        """The state after a look at what is known now."""
        periods = int(self.properties["EvaluationPeriods"])
        compare = _COMPARISONS[self.properties["ComparisonOperator"]]
        threshold = float(self.properties["Threshold"])
        points = self._points(stream, now, periods + _MORE)
        breaching = [None if point is None else compare(point, threshold) for point in points]
        needed = int(self.properties.get("DatapointsToAlarm", periods))
        self.state = judged(breaching, periods, needed, self._treatment(), self.state)
        return self.state

    def _treatment(self) -> str:
        # Alarms on DynamoDB's metrics ignore missing data, whatever they say.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        of_dynamodb = any(key[0] == "AWS/DynamoDB" for key in metrics_of(self.properties))
        return "ignore" if of_dynamodb else self.properties.get("TreatMissingData", "missing")

    def _points(self, stream: Stream, now: float, points: int) -> Series:
        its = self.properties
        if "Metrics" not in its:
            return stream.series(key_of(its), its["Statistic"], its["Period"], now, points)
        series, expression = {}, ""
        for query in its["Metrics"]:
            if "Expression" in query:
                expression = query["Expression"]
                continue
            stat = query["MetricStat"]
            key = key_of(stat["Metric"])
            series[query["Id"]] = stream.series(key, stat["Stat"], stat["Period"], now, points)
        return compute(expression, series, fills_empty=self.fills_empty)


def judged(breaching: Sequence[bool | None], periods: int, needed: int, treatment: str, state: str) -> str:
    """The state that follows from points that breach or do not; a missing one is None, the newest is last."""
    existing = [point for point in breaching if point is not None][-periods:]
    missing = periods - len(existing)
    if treatment == "ignore" and sum(existing) < needed and missing and all(existing):
        return state
    fillers = missing if treatment == "breaching" else 0
    assert treatment in {"breaching", "notBreaching", "ignore"}, "the template uses no other"
    return ALARM if sum(existing) + fillers >= needed else OK


def key_of(metric: Properties) -> Key:
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", []))
    return metric["Namespace"], metric["MetricName"], dimensions


def metrics_of(alarm: Properties) -> list[Key]:
    """The metrics that an alarm looks at, and is paid for."""
    if "Metrics" not in alarm:
        return [key_of(alarm)]
    return [key_of(query["MetricStat"]["Metric"]) for query in alarm["Metrics"] if "MetricStat" in query]


@dataclass
class AlarmClock:
    """All alarms of a stack, looked at again and again; ``raised`` has when each was raised and ended."""

    alarms: Mapping[str, MetricAlarm]
    composites: Mapping[str, str] = field(default_factory=dict)
    raised: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    @property
    def metrics(self) -> set[str]:
        """The names of the metrics that are looked at."""
        return {name for alarm in self.alarms.values() for _, name, _ in metrics_of(alarm.properties)}

    def run(self, stream: Stream, begin: float, end: float, step: float = 60.0) -> None:
        """Look every ``step`` seconds, both ends included; changes of a state are noted."""
        now = begin
        while now <= end:
            before = {name: alarm.state for name, alarm in self.alarms.items()}
            states = {name: alarm.evaluate(stream, now) for name, alarm in self.alarms.items()}
            for name, rule in self.composites.items():
                noted = self.raised.get(name, [])
                before[name], states[name] = noted[-1][1] if noted else OK, combined(rule, states)
            for name, state in states.items():
                if state != before[name]:
                    self.raised.setdefault(name, []).append((now, state))
            now += step


def combined(rule: str, states: Mapping[str, str]) -> str:
    """The state of a composite alarm: only ``ALARM("…") OR …`` is known."""
    terms = rule.split(" OR ")
    names = [re.fullmatch(r'ALARM\("<?([^">]+)>?"\)', term.strip()) for term in terms]
    assert all(names), f"unknown rule: {rule}"
    return ALARM if any(states[name[1]] == ALARM for name in names if name) else OK
