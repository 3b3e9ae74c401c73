"""What must be true when all receipts had their time, by WeChat's log, its pushes, the ledger and the bus."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final

from tests import fakes
from tests.fakes.aws.dynamodb import plain
from tests.simulation.oracle.evidence import Report
from tests.simulation.receipts.world import ACCOUNTS, ReceiptWorld
from tests.simulation.workload import key_of
from tests.simulation.world.faults import FAULTY, NO_FAULTS, OUTAGE, Mix
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.setting import CANARY, TABLE

MIX: Final = replace(FAULTY, killed=0.03, clock_skew=20.0)
"""More kills than elsewhere; a lost answer is matched by time, to a minute."""
KINDS: Final = ("template", "subscription", "mini_program_subscription", "one_time_subscription")
SPAN: Final = 60.0
FAULTS_GO_ON: Final = 300.0
DRAIN: Final = 2 * 3600.0
_TRIES: Final = 40
_OUTAGE: Final = 12.0
"""Seconds for which a service takes hardly any request: longer than anybody repeats one."""

COMES_TO_ITS_END = "everything comes to its end"
NONE_LOST = "no receipt is lost"
RIGHT_ONE = "a message has the state of its own receipt"
NONE_INVENTED = "a message without a receipt is not settled"
ONCE = "a receipt is told once"
CONDUCT = "nothing is said or done that may not be"


class Workload:
    """Messages of two accounts, over HTTP and the queue: each to a person of its own."""

    def __init__(self, world: ReceiptWorld, messages: int) -> None:
        self._world = world
        self._chance = Random(f"{world.seed}/messages")
        self._numbers = range(messages)
        self.callers = 0
        self.keys: dict[str, str] = {}
        """The ledger's key of each message, by its marker."""

    def begin(self) -> None:
        world, chance = self._world, self._chance
        world.keep_tokens_fresh(lambda: not self.over)
        for service in ("dynamodb", "sqs", "ssm") if world.mix != NO_FAULTS else ():
            since = world.start + 10 + chance.uniform(0, SPAN)
            world.outages[service].append((since, since + _OUTAGE, OUTAGE))
        for number in self._numbers:
            self.callers += 1
            world.scheduler.at(world.start + 10 + chance.uniform(0, SPAN), partial(self._send, number))

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.callers and self._world.at_rest

    def _send(self, number: int) -> None:
        chance, marker = self._chance, f"m{number}"
        account, kind = ACCOUNTS[number % 2], KINDS[number // 2 % len(KINDS)]
        self.keys[marker] = key_of(account, marker)
        message = fakes.body(kind, f"o{CANARY}{number:020d}", marker, template_id=f"template-{kind}")
        if chance.random() < 0.2:
            message["delivery"] = "at_least_once"
        if chance.random() < 0.6:
            self.callers -= 1
            body = {"account": account, "id": marker, "message": message}
            self._world.queue.put(json.dumps(body), group=account)
        else:
            self._post(fakes.api_event("POST", account, marker, message), _TRIES)

    def _post(self, event: dict[str, Any], tries: int) -> None:
        """Ask until there is an answer, as a caller does who keeps to one Idempotency-Key."""

        def ended(_: Invocation, answer: Any) -> None:
            status = 500 if answer is DEAD else int(answer["statusCode"])
            if tries and (status in {409, 429, 500, 502, 503}):
                self._world.scheduler.at(self._world.scheduler.now + 6, partial(self._post, event, tries - 1))
            else:
                self.callers -= 1

        if self._world.send_api.invoke(event, ended, "a POST") is None:
            self._world.scheduler.at(self._world.scheduler.now + 1, partial(self._post, event, tries))


def run(seed: int | str, messages: int = 60, mix: Mix = MIX) -> Report:
    """One run from its seed, judged."""
    world = ReceiptWorld(seed, mix)
    workload = Workload(world, messages)
    with world.standing():
        workload.begin()
        finish(world, workload)
    return judge(world, workload, mix)


def finish(world: ReceiptWorld, workload: Workload) -> None:
    """Let everything come to its end, without faults at last."""
    world.scheduler.run(world.start + SPAN + FAULTS_GO_ON, lambda: workload.over)
    world.mix = NO_FAULTS
    world.scheduler.run(world.start + SPAN + FAULTS_GO_ON + DRAIN, lambda: workload.over)


def judge(world: ReceiptWorld, workload: Workload, mix: Mix, *, killed: bool = False) -> Report:
    """Judge a run that is over."""
    report = Report()

    def breaks(promise: str, what: object) -> None:
        report.broken.append(f"{promise}: {what}")

    if not workload.over:
        breaks(COMES_TO_ITS_END, f"{len(world.callbacks.messages)} callbacks, {world.outstanding} pushes")
    if world.dead_callbacks.messages:
        breaks(NONE_LOST, f"{len(world.dead_callbacks.messages)} in the dead letter queue")
    table = world.table.tables.get(TABLE, {})
    statuses: Counter[str] = Counter()
    for marker, key in workload.keys.items():
        entry = plain(table[key], but="timeline") if key in table else {}
        status = str(entry.get("status"))
        statuses[status] += 1
        pushed = world.pushed.get(marker, [])
        told = {"success": "delivered"}
        possible = {(told.get(each.status, "undelivered"), each.accepted.msgid) for each in pushed}
        if status in {"delivered", "undelivered"}:
            # Beyond what a float holds.
            msgid = int(table[key]["outcome"]["M"]["msgid"]["N"])
            if not pushed:
                breaks(NONE_INVENTED, f"{marker} is {status}")
            elif (status, msgid) not in possible:
                breaks(RIGHT_ONE, f"{marker} is {status} {msgid}, not one of {possible}")
            reasons = {each.status.partition(":")[2].strip() for each in pushed}
            if entry.get("reason") not in ({None} if status == "delivered" else reasons):
                breaks(RIGHT_ONE, f"{marker} is {status} because of {entry.get('reason')}")
        # An answer over HTTP that could not be recorded: nobody has looked since, so that it is not in doubt.
        elif status != "sending" and any(each.taken for each in pushed):
            breaks(NONE_LOST, f"{marker} is {status}, and {[each.status for each in pushed]} was told")
    if mix == NO_FAULTS and not killed:
        events = Counter(_settlements(world))
        for what, count in events.items():
            if count > 1:
                breaks(ONCE, f"{what} {count} times")
    for what in (*world.leaks, *world.writes.illegal, *world.unexpected_calls):
        breaks(CONDUCT, what)
    report.counts |= {
        "history": world.history.digest,
        "kills": sum(function.kills for function in world.functions),
        "statuses": dict(statuses),
        "pushes": sum(len(each.pushes) for all_of_it in world.pushed.values() for each in all_of_it),
    }
    return report


def _settlements(world: ReceiptWorld) -> list[str]:
    """The messages of which the bus was told that their receipt has come."""
    told = [entry for entry in world.events.published if entry["DetailType"].endswith("delivered")]
    return [json.loads(entry["Detail"])["id"] for entry in told]
