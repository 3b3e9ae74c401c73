"""What must be true of consents, by WeChat's log, what people did, and the ledger."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

from local.simulator.consents import Consent
from tests import fakes
from tests.fakes.aws.dynamodb import plain
from tests.simulation.consents.world import POLICIES, ConsentWorld, Told
from tests.simulation.oracle.evidence import Report
from tests.simulation.receipts.oracle import MIX
from tests.simulation.wechat import Attempt
from tests.simulation.workload import key_of
from tests.simulation.world.faults import NO_FAULTS, OUTAGE, Mix
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.setting import CANARY, TABLE

KINDS: Final = ("subscription", "mini_program_subscription", "one_time_subscription")
SCENE: Final = "1000"
SPAN: Final = 60
FAULTS_GO_ON: Final = 300.0
DRAIN: Final = 2 * 3600.0
_OUTAGE: Final = 8.0
_TRIES: Final = 30
_REFUSED: Final = 0.25
"""Messages that WeChat refuses for what they say."""
_NOT_SUBSCRIBED: Final = 43101
_USED: Final = frozenset({0, _NOT_SUBSCRIBED, None})
"""Answers after which a consent counts as used; None is a lost one."""

COMES_TO_ITS_END = "everything comes to its end"
USED_ONCE = "a consent is used once"
NONE_LOST = "no consent is lost"
NONE_WITHOUT = "nothing is sent without a consent"
WITHDRAWN = "a withdrawal is honoured"
WARNED = "a warning stops no message"
CONDUCT = "nothing is said or done that may not be"


@dataclass
class Person:
    """One who has consents to one template, and what is sent to them."""

    consent: Consent
    kind: str
    grants: list[Told] = field(default_factory=list)
    withdrawal: Told | None = None
    erased: bool = False
    markers: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    """Messages that are sent when everything else has come to its end, more than there are consents."""

    @property
    def is_asked(self) -> bool:
        """The account sends nothing without a consent."""
        return POLICIES[self.consent.app_id] == "enforce"


class Workload:
    """People of two accounts, with their decisions and messages, over HTTP and the queue."""

    def __init__(self, world: ConsentWorld, people: int) -> None:
        self._world = world
        self._chance = Random(f"{world.seed}/people")
        self.callers = 0
        self.people = [self._person(number) for number in range(people)]

    def _person(self, number: int) -> Person:
        # Three of four belong to the account that asks for consents.
        account = list(POLICIES)[number % 4 // 3]
        kind = KINDS[number % len(KINDS)]
        scene = SCENE if kind == "one_time_subscription" else None
        return Person(Consent(account, f"o{CANARY}{number:020d}", f"template-{kind}", scene), kind)

    def begin(self) -> None:
        world, chance = self._world, self._chance
        world.keep_tokens_fresh(lambda: not self.over)
        for service in ("dynamodb", "sqs") if world.mix != NO_FAULTS else ():
            since = world.start + 10 + chance.uniform(0, SPAN)
            world.outages[service].append((since, since + _OUTAGE, OUTAGE))
        for person in self.people:
            self._live(person)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.callers and self._world.at_rest

    def _live(self, person: Person) -> None:
        """Plan what a person does: each thing in a second of its own, as events are told apart by it."""
        world, chance = self._world, self._chance
        one_time = person.consent.scene is not None
        grants = 1 if one_time else chance.randint(1, 4)
        seconds = chance.sample(range(SPAN), grants + 2)
        for second in seconds[:grants]:
            self._at(second, partial(self._grant, person))
        if not one_time and chance.random() < 0.3:
            self._at(seconds[grants], partial(world.reject, person.consent))
        draw = chance.random()
        if draw < 0.35:
            self._at(seconds[grants + 1], partial(self._withdraw, person, erased=draw < 0.08))
        for _ in range(grants + chance.randint(0, 2)):
            self._at(chance.uniform(0, SPAN + 30), partial(self._send, person, person.markers))

    def _at(self, second: float, what: Any) -> None:
        self.callers += 1

        def done() -> None:
            what()
            self.callers -= 1

        self._world.scheduler.at(self._world.start + 10 + second, done)

    def _grant(self, person: Person) -> None:
        world = self._world
        give = world.confirm if person.consent.scene is not None else world.accept
        person.grants.append(give(person.consent))

    def _withdraw(self, person: Person, *, erased: bool) -> None:
        world, consent = self._world, person.consent
        person.erased = erased
        withdraw = world.revoke if erased else self._chance.choice([world.refuse, world.leave])
        person.withdrawal = withdraw(consent)

    def send_the_last(self) -> None:
        """Send more than there are consents to each."""
        since = self._world.scheduler.now - self._world.start
        for person in self.people:
            for _ in range(len(person.grants) + 1):
                self._at(since, partial(self._send, person, person.last))

    def _send(self, person: Person, markers: list[str]) -> None:
        chance = self._chance
        marker = f"m{person.consent.openid[-3:]}-{len(person.markers) + len(person.last)}"
        markers.append(marker)
        if markers is person.markers and chance.random() < _REFUSED:
            self._world.wechat.refused_markers[marker] = 47003
        more = {"scene": SCENE} if person.consent.scene else {}
        template_id = person.consent.template_id
        message = fakes.body(person.kind, person.consent.openid, marker, template_id=template_id, **more)
        account = person.consent.app_id
        if chance.random() < 0.6:
            body = {"account": account, "id": marker, "message": message}
            self._world.queue.put(json.dumps(body), group=account)
        else:
            self.callers += 1
            self._post(fakes.api_event("POST", account, marker, message), _TRIES)

    def _post(self, event: dict[str, Any], tries: int) -> None:
        def ended(_: Invocation, answer: Any) -> None:
            status = 500 if answer is DEAD else int(answer["statusCode"])
            if tries and status in {409, 429, 500, 502, 503}:
                self._world.scheduler.at(self._world.scheduler.now + 6, partial(self._post, event, tries - 1))
            else:
                self.callers -= 1

        if self._world.send_api.invoke(event, ended, "a POST") is None:
            self._world.scheduler.at(self._world.scheduler.now + 1, partial(self._post, event, tries))


def run(seed: int | str, people: int = 9, mix: Mix = MIX) -> Report:
    """One run from its seed, judged."""
    world = ConsentWorld(seed, mix)
    workload = Workload(world, people)
    with world.standing():
        workload.begin()
        finish(world, workload)
    return judge(world, workload)


def finish(world: ConsentWorld, workload: Workload) -> None:
    """Let everything come to its end, without faults at last, and use up what is left."""
    world.scheduler.run(world.start + SPAN + FAULTS_GO_ON, lambda: workload.over)
    world.mix = NO_FAULTS
    until = world.start + SPAN + FAULTS_GO_ON + DRAIN
    world.scheduler.run(until, lambda: workload.over)
    workload.send_the_last()
    world.scheduler.run(until + DRAIN, lambda: workload.over)


def judge(world: ConsentWorld, workload: Workload) -> Report:
    """Judge a run that is over."""
    report = Report()

    def breaks(promise: str, what: object) -> None:
        report.broken.append(f"{promise}: {what}")

    if not workload.over:
        breaks(COMES_TO_ITS_END, f"{len(world.callbacks.messages)} callbacks, {world.outstanding} pushes")
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in world.wechat.attempts:
        attempts[attempt.marker].append(attempt)
    entries = {
        marker: _entry(world, person, marker)
        for person in workload.people
        for marker in (*person.markers, *person.last)
    }
    for person in workload.people:
        made = sorted(
            (attempt for marker in (*person.markers, *person.last) for attempt in attempts[marker]),
            key=lambda attempt: attempt.at,
        )
        if not person.is_asked:
            for marker in (*person.markers, *person.last):
                if entries[marker].get("status") == "failed" and not attempts[marker]:
                    breaks(WARNED, f"{marker} was not sent")
            continue
        # An older event that comes again after an erasure is news: nothing is left that knows the person.
        for what in () if person.erased else _without(person, made):
            breaks(NONE_WITHOUT, what)
        if person.withdrawal is None:
            if refused := [each.marker for each in made if each.errcode == _NOT_SUBSCRIBED]:
                breaks(USED_ONCE, f"WeChat has none for {refused}, {len(person.grants)} were given")
            for what in _lost(world, person, entries):
                breaks(NONE_LOST, what)
        elif person.withdrawal.taken and not person.erased:
            since = person.withdrawal.at
            # A confirmation has the time of the service's clock.
            wrong = MIX.clock_skew if person.consent.scene is not None else 0.0
            later = [grant for grant in person.grants if grant.at + wrong > since]
            used = {each.marker for each in made if each.errcode in _USED}
            if len(found := used & {*person.last}) > len(later):
                breaks(WITHDRAWN, f"{sorted(found)} were sent, {len(later)} consents were given since")
    for what in (*world.leaks, *world.writes.illegal, *world.unexpected_calls):
        breaks(CONDUCT, what)
    report.counts |= {
        "history": world.history.digest,
        "kills": sum(function.kills for function in world.functions),
        "statuses": dict(Counter(str(entry.get("status")) for entry in entries.values())),
        "answers": dict(Counter(str(each.errcode) for each in world.wechat.attempts)),
    }
    return report


def _entry(world: ConsentWorld, person: Person, marker: str) -> dict[str, Any]:
    key, table = key_of(person.consent.app_id, marker), world.table.tables.get(TABLE, {})
    return plain(table[key], but="timeline") if key in table else {}


def _without(person: Person, made: list[Attempt]) -> Iterator[str]:
    """Messages that used a consent, or tried to, before as many had been told to the service."""
    used: set[str] = set()
    for attempt in made:
        if attempt.errcode in _USED:
            used.add(attempt.marker)
        told = [grant for grant in person.grants if grant.pushes and grant.pushes[0] <= attempt.at]
        if not told or len(used) > len(told):
            yield f"{attempt.marker} at {attempt.at:.3f}, the service knew of {len(told)}"


def _lost(world: ConsentWorld, person: Person, entries: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Consents of which nothing was sent, though more messages than these were handed over at last."""
    markers = (*person.markers, *person.last)
    accepted = {each.marker for each in world.wechat.accepted if each.openid == person.consent.openid}
    doubtful = [
        marker
        for marker in markers
        if marker not in accepted
        and (entries[marker].get("status") in {"unknown", "sending"} or world.wechat.lost[marker])
    ]
    told = [grant for grant in person.grants if grant.taken]
    if len(accepted) + len(doubtful) < len(told):
        yield f"{person.consent.openid[-3:]} gave {len(told)}, {sorted(accepted)} were sent"
