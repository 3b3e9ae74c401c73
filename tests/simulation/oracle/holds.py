"""Circuits: what they hold, what their probes are, when a hold ends and what is sent after it."""

from __future__ import annotations

from collections import defaultdict

from tests.fakes.aws.dynamodb import plain
from tests.simulation.oracle.evidence import REJECTED, Evidence
from tests.simulation.wechat import Attempt
from tests.simulation.workload import PATHS
from tests.simulation.world.setting import MIDNIGHT

_KINDS = {path: kind for kind, path in PATHS.items()}
_HOLD_OVER_AFTER = 2400.0
"""Seconds after the end of a refusal of a quarter of an hour in which everything it held must be sent."""
_SAYS_NOTHING = frozenset({None, -1, 43108, 43117, 45011, 45009}) | REJECTED
"""Answers that do not show that a refusal is over."""
_STALE = 1.5
"""Seconds for which a worker may not have heard of a circuit, and a little for the write itself."""


def judge_circuits(evidence: Evidence) -> None:
    """Judge the calls that were made although a circuit was open."""
    wechat = evidence.world.wechat
    for account, path in wechat.quota_reached:
        late = _late(evidence, account, path, "quota", until=MIDNIGHT)
        evidence.report.counts[f"calls to {account} after its quota was known to be used up"] = len(late)
        if late:
            evidence.breaks("after 45009 nothing is sent until the reset", late[0])
        held = [each for each in wechat.attempts if each.account != account and each.errcode == 45009]
        if held:
            evidence.breaks("one account's quota is no other's", held[0])
    for window in wechat.windows:
        if window.errcode == 48001:
            late = _late(evidence, window.account, window.path, "permission", until=window.until)
            refused = [each for each in late if each.errcode == window.errcode]
            if len(refused) > (window.until - window.since) / 300 + 2:
                what = f"{len(refused)} {window}"
                evidence.breaks("a refusal of the whole account holds its messages", what)


def judge_probes(evidence: Evidence) -> None:
    """A refusal of a whole account lets one message of a batch through, and ends when one was judged."""
    world = evidence.world
    attempts = world.wechat.attempts
    for window in world.wechat.windows:
        if window.path != "*" or window.errcode == -1:
            continue
        tried: dict[tuple[str, float], set[str]] = defaultdict(set)
        for each in _late(evidence, window.account, "*", None, until=window.until):
            if each.errcode == window.errcode:
                tried[each.sandbox, each.invocation_began].add(each.marker)
        for markers in tried.values():
            if len(markers) > 1:
                evidence.breaks("a hold lets one message through at a time", f"{sorted(markers)} {window}")
    open_since: dict[tuple[str, str], float] = {}
    for at, item in world.writes.circuits_stored:
        account = item["account"]["S"]
        existing = {circuit["scope"] for circuit in plain(item)["circuits"]}
        for scope in [scope for name, scope in open_since if name == account and scope not in existing]:
            began = open_since.pop((account, scope))
            if not any(
                each.account == account and began <= each.at <= at and each.errcode not in _SAYS_NOTHING
                for each in attempts
            ):
                evidence.breaks("a hold ends when WeChat judged a message", f"{account} {scope} at {at:.3f}")
        for scope in existing:
            open_since.setdefault((account, scope), at)


def judge_holds(evidence: Evidence) -> None:
    """Judge how soon after a refusal what it held was sent."""
    for window, asks in evidence.workload.held:
        for ask in asks:
            accepted = evidence.accepted[ask.marker]
            if accepted and accepted[0].at > window.until + _HOLD_OVER_AFTER:
                late = accepted[0].at - window.until
                evidence.breaks("what was held is sent soon after", f"{ask} {late:.0f} s after {window}")


def _late(
    evidence: Evidence, account: str, path: str, error_class: str | None, until: float
) -> list[Attempt]:
    """The calls that began after everybody could know of the circuit of a path, or of the whole account."""
    scope = "account" if path == "*" else f"kind:{_KINDS[path]}"
    known_at = min(
        (
            at
            for at, item in evidence.world.writes.circuits_stored
            if item["account"]["S"] == account
            for circuit in plain(item)["circuits"]
            if circuit["scope"] == scope and error_class in {None, circuit["error_class"]}
        ),
        default=until,
    )
    # Who cannot ask the table goes by what it knows.
    outages = evidence.world.outages["dynamodb"]
    return [
        each
        for each in evidence.world.wechat.attempts
        if each.account == account
        and path in {"*", each.path}
        and each.invocation_began > known_at + _STALE
        and each.at < until
        and not any(since <= each.invocation_began < end + 1 for since, end, _ in outages)
    ]
