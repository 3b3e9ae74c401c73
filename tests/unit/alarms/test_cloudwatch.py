"""The tables of CloudWatch's documentation: its alarms here come to the same states."""

from __future__ import annotations

import pytest

from tests.unit.alarms.cloudwatch import ALARM, OK, MetricAlarm, Stream, combined, judged
from tests.unit.alarms.expressions import Series, compute

KEPT = "the state before"
POINTS = {"0": False, "X": True, "-": None}


@pytest.mark.parametrize(
    ("points", "needed", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", 3, OK, OK, OK),
        ("0----", 3, OK, OK, OK),
        ("-----", 3, KEPT, ALARM, OK),
        ("0XX-X", 3, ALARM, ALARM, ALARM),
        ("----X", 3, KEPT, ALARM, OK),
        ("X----", 3, KEPT, ALARM, OK),
        ("0-X-X", 2, ALARM, ALARM, ALARM),
        ("00X0X", 2, ALARM, ALARM, ALARM),
        ("0-X--", 2, OK, ALARM, OK),
        ("----0", 2, OK, ALARM, OK),
        ("----X", 2, KEPT, ALARM, OK),
    ],
)
def test_missing_data(points: str, needed: int, ignore: str, breaching: str, not_breaching: str) -> None:
    """Three evaluation periods, of which five points are looked at."""
    found = [
        judged([POINTS[point] for point in points], 3, needed, treatment, KEPT)
        for treatment in ("ignore", "breaching", "notBreaching")
    ]
    assert found == [ignore, breaching, not_breaching]


M1: Series = [1, 1, 0, 0, None]
M2: Series = [30, None, 0, 0, 30]
M3: Series = [0, 0, 20, None, 20]


@pytest.mark.parametrize(
    ("expression", "series"),
    [
        ("IF(m1, m2, m3)", [30, 0, 20, None, None]),
        ("IF(m1, 5, m3)", [5, 5, 20, None, None]),
        ("IF(m1, m2, 5)", [30, 0, 5, 5, None]),
        ("m1 + m2", [31, 1, 0, 0, 30]),
        ("m2 > m3", [1, 0, 0, 0, 1]),
        ("m1 / m3", [None, None, 0, None, 0]),
        ("2 * m1", [2, 2, 0, 0, None]),
        ("FILL(m1, 7)", [1, 1, 0, 0, 7]),
        ("DIFF(m3)", [None, 0, 20, None, 0]),
        ("FILL(none, 1)", [1, 1, 1, 1, 1]),
    ],
)
def test_metric_math(expression: str, series: Series) -> None:
    metrics: dict[str, Series] = {"m1": M1, "m2": M2, "m3": M3, "none": [None] * 5}
    assert compute(expression, metrics, fills_empty=True) == series


def test_expressions_that_are_unknown() -> None:
    with pytest.raises(AssertionError, match="RATE"):
        compute("RATE(m1)", {"m1": M1}, fills_empty=True)


def test_statistics_of_periods() -> None:
    """The newest period is the last; what was sent within the delay is not seen yet."""
    stream = Stream()
    for at, value in ((0.0, 1.0), (30.0, 3.0), (60.0, 5.0), (200.0, 7.0)):
        stream.put("N", "M", [], at, value)
    key = ("N", "M", frozenset[tuple[str, str]]())
    found = {stat: stream.series(key, stat, 60.0, 240.0, 4) for stat in ("Sum", "Maximum", "SampleCount")}
    assert found == {
        "Sum": [4, 5, None, None],
        "Maximum": [3, 5, None, None],
        "SampleCount": [2, 1, None, None],
    }
    assert stream.series(key, "Minimum", 300.0, 300.0, 1) == [1]


def test_dynamodb_ignores_missing_data() -> None:
    """So that an alarm on one of its metrics alone would never end."""
    alarm = MetricAlarm(
        {
            "Namespace": "AWS/DynamoDB",
            "MetricName": "WriteThrottleEvents",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        }
    )
    stream = Stream()
    stream.put("AWS/DynamoDB", "WriteThrottleEvents", [], 0.0, 1.0)
    assert [alarm.evaluate(stream, now) for now in (180.0, 86400.0)] == [ALARM, ALARM]


@pytest.mark.parametrize(("states", "state"), [({"A": OK, "B": OK}, OK), ({"A": OK, "B": ALARM}, ALARM)])
def test_composite(states: dict[str, str], state: str) -> None:
    assert combined('ALARM("<A>") OR ALARM("<B>")', states) == state
