"""CloudWatch's metrics of the last hour, in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from wxn.doctor.context import Context

_PERIOD: Final = 300
"""Seconds that one value stands for."""
_WINDOW: Final = timedelta(hours=1)


class Metric(NamedTuple):
    """A metric of a part of the stack."""

    part: str
    name: str
    namespace: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"


class Series:
    """Values by part and metric, the newest first, with the time at which their period began."""

    def __init__(self, values: Mapping[tuple[str, str], Sequence[tuple[datetime, float]]]) -> None:
        self._values = values

    def total(self, part: str, name: str, since: datetime | None = None) -> float:
        """The sum of the values, or of those since a time; 0 where CloudWatch has none."""
        values = self._values.get((part, name), ())
        return sum(value for at, value in values if since is None or at >= since)

    def newest(self, part: str, name: str) -> float:
        """The newest value; 0 where there is none."""
        return next((value for _, value in self._values.get((part, name), ())), 0)


def series(context: Context, metrics: Iterable[Metric]) -> Series:
    """Ask for metrics: at most 500, which is one request."""
    asked = list(metrics)
    now = context.now()
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [
                        {"Name": name, "Value": value} for name, value in metric.dimensions.items()
                    ],
                },
                "Period": _PERIOD,
                "Stat": metric.statistic,
            },
        }
        for number, metric in enumerate(asked)
    ]
    answer: Any = context.call(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=queries,
        StartTime=now - _WINDOW,
        EndTime=now,
        ScanBy="TimestampDescending",
    )
    found = {
        r["Id"]: list(zip(r["Timestamps"], r["Values"], strict=True)) for r in answer["MetricDataResults"]
    }
    return Series(
        {(metric.part, metric.name): found.get(f"m{number}", []) for number, metric in enumerate(asked)}
    )
