"""The service's real handlers, adapters and core between fakes of AWS and WeChat, in one thread."""

from __future__ import annotations

from tests.simulation.world.faults import ANSWERS_LOST, DOWN, FEW_FAULTS, NO_FAULTS, OUTAGE, Mix
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.records import GivenUp
from tests.simulation.world.setting import (
    CANARY,
    MAX_SKEW,
    MIDNIGHT,
    PATH,
    SEND_QUEUE_FUNCTION,
    START,
    TABLE,
    TIMEOUTS,
    loops_allowed,
)
from tests.simulation.world.world import World

__all__ = [
    "ANSWERS_LOST",
    "CANARY",
    "DEAD",
    "DOWN",
    "FEW_FAULTS",
    "MAX_SKEW",
    "MIDNIGHT",
    "NO_FAULTS",
    "OUTAGE",
    "PATH",
    "SEND_QUEUE_FUNCTION",
    "START",
    "TABLE",
    "TIMEOUTS",
    "GivenUp",
    "Invocation",
    "Mix",
    "World",
    "loops_allowed",
]
