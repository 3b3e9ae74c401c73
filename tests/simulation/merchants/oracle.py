"""What must be true of merchants in the end, by WeChat's own record of who authorized what."""

from __future__ import annotations

from typing import Any, Final

from local.simulator.components import Pushing
from local.simulator.errcodes import Refusal
from tests.simulation.merchants.world import MIX, NO_FAULTS, START, MerchantWorld, Mix
from tests.simulation.oracle.evidence import Report

MERCHANTS: Final = tuple(f"wx{number:016x}" for number in range(4))
SPAN: Final = 8 * 3600.0
"""Seconds with faults: each token is renewed four times."""
CALM: Final = 3 * 3600.0
_RUN: Final = 300.0
_TICKETS: Final = 600.0
_SETS: Final = (1, 7, 18, 89, 100)

NOT_CUT_OFF = "no merchant is cut off"
LEFT = "who left is left alone"
PERMISSIONS = "permission sets are the ones that were granted"
STORED_FIRST = "a refresh token is stored before its access token"


class Workload:
    """What administrators do: each authorizes, changes the permission sets, leaves, and comes again."""

    def __init__(self, world: MerchantWorld) -> None:
        self._world = world
        self.granted: dict[str, tuple[int, ...]] = {}
        """The permission sets of those who have not left."""
        self.lost = 0

    def go_on(self) -> None:
        """What happens within one run of the schedule."""
        world, chance = self._world, self._world.chance
        for app_id in MERCHANTS:
            if chance.random() < 0.05:
                self._decide(app_id)
            if chance.random() < 0.03 and app_id in world.component.merchants:
                self.lost += 1
                world.wechat.components.lose(world.component, app_id)
                world.refresh_tokens.append(world.component.merchants[app_id].refresh_token)
            if chance.random() < 0.05:
                world.ask(app_id)

    def _decide(self, app_id: str) -> None:
        world, chance = self._world, self._world.chance
        components, component = world.wechat.components, world.component
        if app_id in self.granted and chance.random() < 0.5:
            del self.granted[app_id]
            components.unauthorize(component, app_id)
            return
        self.granted[app_id] = tuple(sorted(chance.sample(_SETS, 3)))
        page = f"page-{world.now}"
        component.pre_auth_codes[page] = world.now + 1
        pushing = Pushing(chance.choice((1, 1, 2)), malformed=chance.random() < 0.5)
        components.authorize(component, app_id, self.granted[app_id], page, pushing)


def run(seed: int | str, mix: Mix = MIX) -> Report:
    """One run from its seed, judged."""
    world = MerchantWorld(seed, mix, SPAN)
    workload = Workload(world)
    with world.standing():
        _until(world, START + SPAN, workload.go_on)
        world.mix = NO_FAULTS
        _until(world, START + SPAN + CALM, lambda: None)
        return _judge(world, workload)


def _until(world: MerchantWorld, end: float, meanwhile: Any) -> None:
    """Let the time pass: tickets, runs of the schedule, and callbacks when they are due."""
    while world.now < end:
        following = (world.now // _RUN + 1) * _RUN
        while (due := min((each.due for each in world.queue), default=following)) < following:
            world.now = max(world.now, due)
            world.work_off()
        world.now = max(world.now, following)
        if following % _TICKETS == 0:
            world.wechat.components.push_ticket(world.component)
        world.schedule()
        meanwhile()


def _judge(world: MerchantWorld, workload: Workload) -> Report:
    report = Report()

    def breaks(promise: str, what: object) -> None:
        report.broken.append(f"{promise}: {what}")

    for app_id in world.used_early:
        breaks(STORED_FIRST, app_id)
    for app_id in MERCHANTS:
        credentials = world.stored(app_id, "credentials")
        if app_id in world.component.merchants:
            wrong = _cut_off(world, app_id)
            if credentials is None or "revoked_at" in credentials or wrong:
                breaks(NOT_CUT_OFF, f"{app_id}: {wrong or credentials}")
            elif credentials.get("func_info") not in (None, [*workload.granted[app_id]]):
                breaks(PERMISSIONS, f"{app_id} has {credentials['func_info']}")
        elif credentials is not None:
            tokens = [name for name in ("access-token", "refresh-token") if _has(world, app_id, name)]
            if tokens or "revoked_at" not in credentials:
                breaks(LEFT, f"{app_id} has {tokens}, {credentials}")
    report.counts |= {
        "kills": world.kills,
        "dropped": len(world.dropped),
        "calls": dict(world.component.calls),
        "lost": workload.lost,
        "merchants": len(world.component.merchants),
    }
    return report


def _cut_off(world: MerchantWorld, app_id: str) -> str | None:
    """What keeps a sender from sending, which asks for another token where the stored one is rejected."""
    stored = world.stored(app_id, "access-token")
    if _refused(world, app_id, stored and stored["value"]) is None:
        return None
    asked = world.ask(app_id)
    return _refused(world, app_id, asked.value if asked else None)


def _refused(world: MerchantWorld, app_id: str, token: str | None) -> str | None:
    if token is None:
        return "no token"
    try:
        return None if world.wechat.tokens.owner(token) == app_id else "another's token"
    except Refusal as refusal:
        return str(refusal.errcode)


def _has(world: MerchantWorld, app_id: str, name: str) -> bool:
    return any(key.endswith(f"/{app_id}/{name}") for key in world.parameters.values)
