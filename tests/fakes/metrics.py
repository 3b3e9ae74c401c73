"""Reads metrics as CloudWatch does."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One value of a metric under one set of dimensions, ``service`` left out."""

    name: str
    dimensions: dict[str, str]
    value: float
    unit: str


def metrics(stdout: str, *, starts: bool = False) -> list[Metric]:
    """What CloudWatch makes of the embedded metric lines, under each of their sets of dimensions.

    Cold starts are left out where they are not asked for: every service of a test begins with one.
    """
    found: list[Metric] = []
    for line in filter(None, stdout.splitlines()):
        document = json.loads(line)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "WeChatNotify"
            for names, metric in itertools.product(directive["Dimensions"], directive["Metrics"]):
                assert document["service"]
                assert "service" in names
                if metric["Name"] == "ColdStart" and not starts:
                    continue
                dimensions = {name: document[name] for name in names if name != "service"}
                value = document[metric["Name"]]
                values = value if isinstance(value, list) else [value]
                found += [Metric(metric["Name"], dimensions, number, metric["Unit"]) for number in values]
    return found
