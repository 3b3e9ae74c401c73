"""Secrets, tokens and openids: none of them leaves the service."""

from __future__ import annotations

from tests.simulation.oracle.evidence import Evidence
from tests.simulation.world import CANARY


def judge_secrecy(evidence: Evidence) -> None:
    """Judge the attributes of messages, and every text in which a secret was seen."""
    world = evidence.world
    for queue in (world.queue, world.dead_letters):
        for stored in queue.messages.values():
            if CANARY in str(stored.attributes):
                evidence.breaks(
                    "no secret leaves the service", f"an attribute of a message: {stored.attributes}"
                )
    for leak in world.leaks[:5]:
        evidence.breaks("no secret leaves the service", leak)
