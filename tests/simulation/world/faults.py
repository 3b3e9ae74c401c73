"""What goes wrong in a world, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.clients import Faults
from tests.simulation.wechat import Network

OUTAGE = Faults(throttled=0.9, request_lost=0.02, answer_lost=0.05)
DOWN = Faults(throttled=1.0)
ANSWERS_LOST = Faults(answer_lost=1.0)
"""Requests have their effect, and their answers are lost."""


@dataclass(frozen=True)
class Mix:
    """How often what goes wrong, as shares of calls, messages or invocations."""

    network: Network = field(default_factory=Network)
    faults: dict[str, Faults] = field(default_factory=dict)
    entries_lost: float = 0.0
    copies: float = 0.0
    killed: float = 0.0
    clock_skew: float = 0.0
    stale: float = 0.0


NO_FAULTS = Mix()
FEW_FAULTS = Mix(entries_lost=0.05, stale=0.5)
"""Until the daily quotas start again, when nothing else goes wrong."""
FAULTY = Mix(
    Network(
        unreachable=0.005,
        timeout_before=0.02,
        timeout_after=0.01,
        reset=0.01,
        server_error=0.02,
        truncated=0.002,
        busy=0.03,
        template_refused=0.001,
        unknown_code=0.0005,
        too_often=0.001,
        duplicate_refused=0.3,
    ),
    {
        "dynamodb": Faults(throttled=0.02, request_lost=0.001, answer_lost=0.002),
        "ssm": Faults(throttled=0.01, request_lost=0.001, answer_lost=0.002),
        "sqs": Faults(throttled=0.005, request_lost=0.001, answer_lost=0.002),
        "events": Faults(throttled=0.01, request_lost=0.001, answer_lost=0.002),
        "lambda": Faults(throttled=0.01, request_lost=0.01, answer_lost=0.01),
    },
    entries_lost=0.01,
    copies=0.02,
    killed=0.005,
    clock_skew=60.0,
    stale=0.5,
)
