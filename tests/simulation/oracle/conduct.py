"""What was noted while the run went on, and what the queues hold at its end."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.oracle.evidence import Evidence
from tests.simulation.world.setting import CANARY


def judge_conduct(evidence: Evidence) -> None:
    """Judge what the fakes and the logs noted; of what is often the same, the first five."""
    world = evidence.world
    attributes = [
        stored.attributes
        for queue in (world.queue, world.dead_letters)
        for stored in queue.messages.values()
        if CANARY in str(stored.attributes)
    ]
    noted: dict[str, Sequence[object]] = {
        "the ledger's rules are kept": world.writes.illegal,
        "a call to AWS ends with its answer or after all its attempts": world.unexpected_calls,
        "no request goes over a connection that a gateway has dropped": world.dropped,
        "one rejected token, one refresh": world.wechat.needless,
        "no secret leaves the service": [*world.leaks, *attributes],
        # SSM may refuse the refresher its parameters; then nobody can do anything.
        "no invocation fails": [each for each in world.raised if "StorageError" not in each],
        "nothing unforeseen happens": [each for each in world.sink.problems if "StorageError" not in each],
    }
    for promise, cases in noted.items():
        for case in cases[:5]:
            evidence.breaks(promise, case)


def judge_dead_letters(evidence: Evidence) -> None:
    """Judge which bodies ended among the dead letters."""
    found = {stored.body for stored in evidence.world.dead_letters.messages.values()}
    if odd := found ^ set(evidence.workload.unreadable):
        evidence.breaks("the dead letters are the bodies that nobody can read", sorted(odd)[:2])
