"""What the fakes and the logs noted while the run went on: ledger rules, AWS calls, connections, errors."""

from __future__ import annotations

from tests.simulation.oracle.evidence import Evidence


def judge_conduct(evidence: Evidence) -> None:
    """Judge what was noted; of what is often the same, the first five."""
    world = evidence.world
    for write in world.writes.illegal[:5]:
        evidence.breaks("the ledger's rules are kept", write)
    for call in world.unexpected_calls[:5]:
        evidence.breaks("a call to AWS ends with its answer or after all its attempts", call)
    for error in world.raised:
        # SSM may refuse the refresher its parameters; then nobody can do anything.
        if "StorageError" not in error:
            evidence.breaks("no invocation fails", error)
    for call in world.dropped[:5]:
        evidence.breaks("no request goes over a connection that a gateway has dropped", call)
    for line in world.sink.problems:
        if "StorageError" not in line:
            evidence.breaks("nothing unforeseen happens", line)
