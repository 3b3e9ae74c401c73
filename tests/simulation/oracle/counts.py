"""The counts of a run, for its report."""

from __future__ import annotations

from collections import Counter

from tests.simulation.oracle.evidence import Evidence


def count(evidence: Evidence, states: Counter[str]) -> None:
    """Put them into the report, in the order in which they are told."""
    world, wechat = evidence.world, evidence.world.wechat
    markers = Counter(accepted.marker for accepted in wechat.accepted)
    evidence.report.counts = {
        "messages asked for": len(evidence.workload.asks),
        "bodies that nobody can read": len(evidence.workload.unreadable),
        "states": dict(sorted(states.items())),
        "accepted by WeChat": len(wechat.accepted),
        "of these a second time": sum(count - 1 for count in markers.values()),
        "answers lost": sum(map(len, wechat.lost.values())),
        "attempts": len(wechat.attempts),
        "answers by errcode": dict(
            sorted(Counter(str(attempt.errcode) for attempt in wechat.attempts).items())
        ),
        "invocations": {
            function.name: f"{function.invocations}, {function.kills} killed"
            for function in (world.send_queue, world.send_api, world.token_refresh)
        },
        "handed out by the queue": world.queue.received,
        "of these once more than they had to be": len(world.queue.doubled),
        "dead letters": len(world.dead_letters.messages),
        "token epochs": len(wechat.epochs),
        "canaries in what left the service": len(world.leaks),
        **evidence.report.counts,
        "virtual seconds": round(world.scheduler.now - world.start),
        "events": world.history.events,
        "history": world.history.digest,
    }
