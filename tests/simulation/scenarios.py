"""Accounts whose messages meet one particular order of faults, beside those at random.

Each scenario is a few messages in the one order of events that a rule is about: a process that dies
between WeChat's answer and the ledger, and somebody who asks an hour later. At random that happens
once in a hundred thousand messages. The oracle says what is right, as for all other messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.fakes.stable_token import local_day
from tests.simulation.wechat import Fate, Window
from tests.simulation.world.faults import ANSWERS_LOST, DOWN
from tests.simulation.world.setting import MIDNIGHT, PATH

if TYPE_CHECKING:
    from tests.simulation.workload import Ask, Workload

SCENARIO_ACCOUNTS = tuple(
    f"story-{name}" for name in ("quiet", "refused", "forced", "restless", "unreachable", "slow", "twice")
)
"""One each for the faults of a whole account."""
QUIET, REFUSED, FORCED, RESTLESS, UNREACHABLE, SLOW, TWICE_REFUSED = SCENARIO_ACCOUNTS
_EVERY = 2000
"""Messages of the workload for one more of each scenario that there may be several of."""
_KINDS = ("subscription", "one_time_subscription", "mini_program_template", "mini_program_subscription")

Step = float | Callable[[Callable[[Any], None]], None]
Scenario = Generator[Step, Any, None]


class Scenarios:
    """Tells each scenario once in a small world, and some again in a large one."""

    def __init__(self, workload: Workload, until: float) -> None:
        self._workload = workload
        self._world = workload.world
        self._chance = workload._chance
        self._openids = 0
        self._names = 0
        if not workload.messages:
            return
        for _ in range(1 + workload.messages // _EVERY):
            for scenario in (
                self.killed_and_refused_since,
                self.killed_and_asked_about,
                self.lost_and_repeated_late,
                self.cancelled_in_doubt,
                self.too_often,
                self.two_clocks,
                self.never_heard,
            ):
                self._tell(scenario(), self._chance.uniform(5, until))
        for scenario in (
            self.kind_refused,
            self.two_circuits,
            self.forced_all_day,
            self.busy_when_forced,
            self.unreachable,
            self.waits_for_its_token,
            self.quota_used_up,
            self.unrecorded,
            self.unconfirmed,
        ):
            self._tell(scenario(), self._chance.uniform(5, until))

    def _tell(self, scenario: Scenario, after: float) -> None:
        scheduler, workload = self._world.scheduler, self._workload
        workload.outstanding += 1

        def go_on(answer: Any = None) -> None:
            try:
                step = scenario.send(answer)
            except StopIteration:
                workload.outstanding -= 1
                return
            if callable(step):
                step(go_on)
            else:
                scheduler.at(scheduler.now + step, go_on)

        scheduler.at(self._world.start + after, go_on)

    # ------------------------------------------------------------ what happens

    def killed_and_refused_since(self) -> Scenario:
        """WeChat has it, the process died, and when it is sent again its reader has had enough."""
        ask = self._ask(QUIET, self._chance.choice((*_KINDS, "template")), at_least_once=True)
        self._fate(ask, Fate(killed=True, then=partial(self._unsubscribe, ask)))
        self._queue(ask)
        yield 1.0

    def killed_and_asked_about(self) -> Scenario:
        """WeChat has it, the process died, and its caller asks and repeats when that does harm."""
        ask = self._ask(QUIET, "template")
        self._fate(ask, Fate(killed=True))
        yield self._post(ask)
        yield self._chance.uniform(700, 3000)
        yield self._get(ask)
        yield self._chance.uniform(1, 20)
        yield self._post(ask)

    def lost_and_repeated_late(self) -> Scenario:
        """WeChat has it, the answer is lost, and its caller repeats when WeChat knows it no more."""
        ask = self._ask(QUIET, "template")
        self._fate(ask, Fate(lost=True))
        yield self._post(ask)
        yield self._chance.uniform(620, 3400)
        yield self._post(ask)

    def cancelled_in_doubt(self) -> Scenario:
        """WeChat may have it, it waits to be repeated, and is cancelled."""
        ask = self._ask(QUIET, self._chance.choice(_KINDS), at_least_once=True)
        self._fate(ask, Fate(lost=True))
        self._queue(ask)
        yield self._chance.uniform(2, 7)
        yield self._delete(ask)

    def too_often(self) -> Scenario:
        """Several for one reader, of whom WeChat says that it is too many."""
        asks = [self._ask(QUIET, self._chance.choice(_KINDS)) for _ in range(4)]
        for ask in asks:
            ask.openid = asks[0].openid
            self._fate(ask, Fate(errcode=43117))
            self._queue(ask)
        yield 1.0

    def two_clocks(self) -> Scenario:
        """A slow refusal of one copy, while a process whose clock is far off sends another."""
        ask = self._ask(QUIET, self._chance.choice(_KINDS), at_least_once=True)
        self._fate(ask, Fate(errcode=43101, seconds=4.5), Fate(lost=True))
        ask.doors += 1
        self._queue(ask)
        yield 1.0
        yield self._post(ask, skew=400.0)

    def never_heard(self) -> Scenario:
        """WeChat takes every copy, and no answer comes."""
        ask = self._ask(QUIET, self._chance.choice(_KINDS), at_least_once=True)
        self._fate(ask, *[Fate(lost=True)] * 12)
        self._queue(ask)
        yield 1.0

    def unrecorded(self) -> Scenario:
        """WeChat answers, and the table is out of reach for longer than anybody waits."""
        ask = self._ask(QUIET, self._chance.choice(_KINDS))
        self._fate(ask, Fate(then=lambda: self._outage(15.0, DOWN)))
        self._queue(ask)
        yield 1.0

    def unconfirmed(self) -> Scenario:
        """The claim is stored, and nobody hears of it."""
        self._outage(5.0, ANSWERS_LOST)
        yield 0.1
        for _ in range(3):
            self._queue(self._ask(QUIET, self._chance.choice(_KINDS)))
        for _ in range(10):
            yield 5.0
            self._queue(self._ask(QUIET, self._chance.choice(_KINDS)))

    def kind_refused(self) -> Scenario:
        """A kind is refused, the probe is told that WeChat is busy, and a finished id is replayed."""
        world, now = self._world, self._world.scheduler.now
        kind = "subscription"
        done = self._ask(REFUSED, kind)
        yield self._post(done)
        path = self._workload.path(kind)
        world.wechat.windows.append(Window(REFUSED, "*", now + 290, now + 480, -1))
        refused = Window(REFUSED, path, now + 5, now + 700, 48001)
        world.wechat.windows.append(refused)
        yield 5.0
        waiting = [self._ask(REFUSED, kind)]
        self._queue(waiting[0])
        yield 3.0
        world.bad_parks.append((world.scheduler.now, world.scheduler.now + 5))
        for _ in range(12):
            waiting.append(self._ask(REFUSED, kind))
            self._queue(waiting[-1])
        self._workload.held.append((refused, waiting))
        yield 270.0
        for _ in range(75):
            yield self._chance.uniform(40, 50)
            # Its clock is fast, so that a probe is due to it before anybody else.
            yield self._post(done, skew=55.0)

    def quota_used_up(self) -> Scenario:
        """Enough of a kind to use up its quota in the smallest world."""
        for _ in range(8):
            self._queue(self._ask("shop-a", "subscription"))
        yield 1.0

    def two_circuits(self) -> Scenario:
        """Four kinds are refused, then the whole account, and both holds end before anybody comes."""
        world, now = self._world, self._world.scheduler.now
        windows = world.wechat.windows
        windows += [Window(TWICE_REFUSED, self._workload.path(k), now, now + 100, 48001) for k in _KINDS]
        windows.append(Window(TWICE_REFUSED, "*", now, now + 900, 50004))
        for kind in (*_KINDS, "template"):
            # Each from a process of its own, whose clock is right, and not repeated.
            yield self._post(self._ask(TWICE_REFUSED, kind), skew=0.0)
        yield 450.0
        for kind in _KINDS:
            self._queue(self._ask(TWICE_REFUSED, kind))

    def forced_all_day(self) -> Scenario:
        """All but one of the day's forced refreshes are used up; tokens go on being revoked."""
        app = self._world.wechat.app_of(FORCED)
        for pause in (60.0, 120.0):
            self._revoke(app.account)
            self._queue(self._ask(FORCED, "subscription"))
            yield pause
        yield max(0.0, MIDNIGHT + 100 - self._world.scheduler.now)
        self._world.wechat.replace_token(app)  # so that the next one does not end by itself
        yield 50.0
        self._revoke(app.account)
        self._queue(self._ask(FORCED, "subscription"))

    def busy_when_forced(self) -> Scenario:
        """A forced refresh is counted and in vain, and others ask for one before everybody can read that."""
        yield 5.0
        for _ in range(3):
            self._revoke(RESTLESS)
            self._world.wechat.busy_when_forced[RESTLESS] = 1
            for _ in range(6):
                self._queue(self._ask(RESTLESS, "subscription"))
                yield 0.6
            yield 100.0

    def unreachable(self) -> Scenario:
        """WeChat is out of reach for ten minutes, and a caller does as it is told."""
        now = self._world.scheduler.now
        self._world.wechat.unreachable.append(Window(UNREACHABLE, "*", now, now + 600, 0))
        ask = self._ask(UNREACHABLE, "subscription")
        self._workload.obedient.append(ask)
        for _ in range(100):
            answer = yield self._post(ask)
            if answer is not None and '"retryable": true' not in answer["body"]:
                break
            after = answer["headers"].get("Retry-After", 1) if answer else 1
            yield float(after) + self._chance.random()

    def waits_for_its_token(self) -> Scenario:
        """There is no token, or it is void, and what may be had takes longer than the message is worth."""
        world, now = self._world, self._world.scheduler.now
        if self._chance.random() < 0.5:
            world.parameters.values.pop(f"{PATH}/{SLOW}/access-token", None)
            world.parameters.stored_at.pop(f"{PATH}/{SLOW}/access-token", None)
            seconds = 4
        else:
            self._revoke(SLOW)
            seconds = 2
        world.wechat.slow_tokens.append(Window(SLOW, "*", now, now + 30, seconds))
        ask = self._ask(SLOW, self._chance.choice(_KINDS))
        ask.expires_at = now + 1.5
        # Its clock is right, so that the message expires while the token is waited for.
        yield self._post(ask, skew=0.0)

    # ------------------------------------------------------------ who does it

    def prepare(self) -> None:
        """What was so before the first message: 19 of a day's forced refreshes are gone."""
        world = self._world
        app = world.wechat.app_of(FORCED)
        app.forced += [world.start - 60.0 * number for number in range(20, 1, -1)]
        app.force_calls += app.forced
        app.forced_by += ["" for _ in app.forced]
        world.wechat.replace_token(app)
        token = {
            "value": app.token,
            "app_id": app.app_id,
            "expires_at": app.expires_at,
            "obtained_at": world.start,
            "forced_day": local_day(world.start),
            "forced_count": len(app.forced),
            "forced_at": app.forced[-1],
        }
        world.parameters.values[f"{PATH}/{FORCED}/access-token"] = json.dumps(token)
        world.parameters.stored_at[f"{PATH}/{FORCED}/access-token"] = world.start

    def _ask(self, account: str, kind: str, *, at_least_once: bool = False) -> Ask:
        workload = self._workload
        self._openids += 1
        number = len(workload.asks)
        openid = workload._openid(account, 10**9 + self._openids)
        ask = workload.ask(number, account, kind, openid, f"story-{number}", at_least_once=at_least_once)
        workload.asks.append(ask)
        return ask

    def _fate(self, ask: Ask, *fates: Fate) -> None:
        self._world.wechat.fates[ask.marker] = list(fates)

    def _unsubscribe(self, ask: Ask) -> None:
        self._world.wechat.refused_openids[ask.openid] = 43101

    def _revoke(self, account: str) -> None:
        wechat = self._world.wechat
        wechat.revoke_token(wechat.app_of(account))
        wechat.epochs.append((self._world.scheduler.now, account, "revoked"))

    def _outage(self, seconds: float, faults: Any) -> None:
        now = self._world.scheduler.now
        self._world.outages["dynamodb"].append((now, now + seconds, faults))

    def _queue(self, ask: Ask) -> None:
        self._workload._to_queue(ask, as_event=False, group=ask.account)

    def _post(self, ask: Ask, skew: float | None = None) -> Step:
        def read(answer: Any) -> None:
            if answer is not None:
                ask.told.append(answer["body"])
                self._workload.read(ask, answer)

        return self._request(self._workload.begin_post(ask, wait=True), ask, read, skew)

    def _get(self, ask: Ask) -> Step:
        return self._request(self._workload.event_about("GET", ask), "a GET", lambda _: None)

    def _delete(self, ask: Ask) -> Step:
        def read(answer: Any) -> None:
            ask.cancelled |= answer is not None and answer["statusCode"] == 200

        return self._request(self._workload.event_about("DELETE", ask), "a DELETE", read)

    def _request(
        self, event: dict[str, Any], subject: Any, read: Callable[[Any], None], skew: float | None = None
    ) -> Step:
        def begin(go_on: Callable[[Any], None]) -> None:
            def then(answer: Any) -> None:
                read(answer)
                go_on(answer)

            self._workload.request(event, subject, then, skew)

        return begin
