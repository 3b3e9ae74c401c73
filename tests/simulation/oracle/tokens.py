"""Access tokens: how often WeChat is asked for one, and when by force."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.fakes.stable_token import FORCED_A_DAY, FORCED_APART, local_day
from tests.simulation.oracle.evidence import Evidence
from tests.simulation.scenarios import FORCED
from tests.simulation.wechat import App
from tests.simulation.workload import SECRET_ACCOUNT
from tests.simulation.world.setting import MAX_SKEW, MIDNIGHT


def judge_tokens(evidence: Evidence) -> None:
    """Judge the refreshes of each account."""
    for app in evidence.world.wechat.apps.values():
        _judge_app(evidence, app)


def _judge_app(evidence: Evidence, app: App) -> None:
    world = evidence.world
    days = Counter(local_day(at) for at in app.force_calls)
    if any(count > FORCED_A_DAY for count in days.values()):
        evidence.breaks("a token is forced twenty times a day at most", f"{app.account} {days}")
    for (first, by), (second, by_whom) in pairwise(zip(app.force_calls, app.forced_by, strict=True)):
        # Another process, after one that died, has another clock.
        apart = FORCED_APART - (0 if by == by_whom else 2 * MAX_SKEW)
        if second - first < apart:
            evidence.breaks(
                "forced refreshes are half a minute apart", f"{app.account} {second - first:.1f} s"
            )
    revoked = [at for at, account, _ in world.wechat.epochs if account == app.account]
    others = sum(at > MIDNIGHT for at in revoked) > 1  # by chance, and without need of force
    if app.account == FORCED and revoked and not others and not any(at > MIDNIGHT for at in app.force_calls):
        evidence.breaks("a token is forced as soon as a new day allows it", f"{app.account} {revoked}")
    epochs = sum(account == app.account for _, account, _ in world.wechat.epochs)
    lives = int((world.scheduler.now - world.start) / 6000) + 1
    # A forced refresh that was lost, or died with the refresher, cannot be repeated for half a minute;
    # meanwhile each process that asks makes the refresher look whether WeChat has another token.
    in_vain = app.forced_in_vain + world.token_refresh.kills
    allowed = 2 * (epochs + lives) + app.refused_by_fault + 20 * in_vain
    if app.account in {SECRET_ACCOUNT, FORCED}:  # who finds no token asks, and each probe of its hold
        allowed += 30
    evidence.report.counts.setdefault("token calls that senders caused, and allowed", {})[app.account] = (
        f"{app.asked_calls} of {allowed}"
    )
    if app.asked_calls > allowed:
        evidence.breaks("one rejected token, one refresh", f"{app.account} {app.asked_calls} > {allowed}")
