"""What must be true when all broadcasts are over, by the file, WeChat's log, the ledger and the results."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from tests.fakes.aws.dynamodb import plain
from tests.simulation.broadcasts.workload import DUPLICATE, INVALID, VALID, Ask, Workload
from tests.simulation.broadcasts.world import ACCOUNT, CEILING, BroadcastWorld
from tests.simulation.oracle.evidence import Report
from tests.simulation.wechat import Accepted
from tests.simulation.world.faults import FAULTY, NO_FAULTS, Mix
from tests.simulation.world.setting import TABLE

MIX: Final = replace(FAULTY, killed=0.1, clock_skew=0.0)
"""More kills than elsewhere. A pace is kept by clocks: those are right here, as Lambda's are."""
FAULTS_GO_ON: Final = 600.0
"""Seconds from the last wish until the faults end."""
DRAIN: Final = 6 * 3600.0
"""Seconds from then until everything must have come to its end."""
_MINUTE: Final = 60.0
_SLACK, _SLACK_WITH_FAULTS = 4.0, 20.0
"""Seconds by which messages may be closer: SQS counts delays in whole ones, a late chunk makes up for two;
and a request that has to be repeated begins its delay later."""
_NOT_SENT: Final = frozenset({"failed", "expired", "cancelled", "unreleased", INVALID, DUPLICATE})
_STATUSES: Final = frozenset({"sent", "unknown"}) | _NOT_SENT

COMES_TO_ITS_END = "every broadcast comes to its end"
NONE_TWICE = "no row is sent twice"
NONE_LOST = "no row is lost"
EXACT = "counts are exact"
ONE_LINE = "the results have one line for each row"
LEFT_OUT = "the rows that are left out are the right ones"
PACE = "the pace is kept"
PAUSE = "a pause holds from the next chunk on"


def run(seed: int | str, broadcasts: int = 3, rows: int = 60, mix: Mix = MIX) -> Report:
    """One run from its seed, judged."""
    world = BroadcastWorld(seed, mix)
    puts = watch(world)
    with world.standing():
        workload = Workload(world, broadcasts, rows, troubled=mix != NO_FAULTS)
        workload.begin()
        finish(world, workload)
    return judge(world, workload, puts, mix)


def finish(world: BroadcastWorld, workload: Workload) -> None:
    """Let everything come to its end, without faults at last."""
    world.scheduler.run(workload.last_at + FAULTS_GO_ON, lambda: workload.over)
    world.mix = NO_FAULTS
    world.scheduler.run(workload.last_at + FAULTS_GO_ON + DRAIN, lambda: workload.over)


def judge(world: BroadcastWorld, workload: Workload, puts: Puts, mix: Mix) -> Report:
    """Judge a run that is over."""
    report = Report()
    judgement = _Judgement(world, puts, report, mix)
    if not workload.over:
        judgement.breaks(
            COMES_TO_ITS_END, f"{len(world.rows.messages)} rows, {len(world.steps.messages)} steps"
        )
    for ask in workload.asks:
        judgement.judge(ask)
    judgement.judge_conduct()
    judgement.judge_ceiling(workload.asks)
    report.counts |= {
        "events": world.history.events,
        "history": world.history.digest,
        "kills": sum(function.kills for function in world.functions),
        "steps": world.broadcast.invocations,
        "told": dict(workload.told),
        "rows": dict(judgement.rows),
    }
    return report


class Puts:
    """When each message was put on the queue first, and when it was due then; by its id."""

    def __init__(self) -> None:
        self.put_at: dict[str, float] = {}
        self.due: dict[str, float] = {}


def watch(world: BroadcastWorld) -> Puts:
    """Note what is put on the queue of rows."""
    puts, put = Puts(), world.rows.put

    def watched(body: str, **more: Any) -> str:
        message_id, now = json.loads(body)["id"], world.scheduler.now
        puts.put_at.setdefault(message_id, now)
        puts.due.setdefault(message_id, now + more["delay"])
        return put(body, **more)

    world.rows.put = watched  # type: ignore[method-assign] # an observer of one queue
    return puts


class _Judgement:
    def __init__(self, world: BroadcastWorld, puts: Puts, report: Report, mix: Mix) -> None:
        self._world = world
        self._puts = puts
        self._report = report
        self.rows: Counter[str] = Counter()
        """By what became of them."""
        self._slack = _SLACK if mix == NO_FAULTS else _SLACK_WITH_FAULTS
        self._table = world.table.tables.get(TABLE, {})
        self._accepted: dict[str, list[Accepted]] = defaultdict(list)
        for accepted in world.wechat.accepted:
            self._accepted[accepted.marker].append(accepted)

    def breaks(self, promise: str, what: object) -> None:
        self._report.broken.append(f"{promise}: {what}")

    def judge(self, ask: Ask) -> None:
        """Judge one broadcast."""
        item = self._table.get(f"broadcast#{ACCOUNT}#{ask.id}")
        if item is None:
            if ask.created:
                self.breaks(COMES_TO_ITS_END, f"{ask.id} is not there")
            return
        self._judge_rows(ask)
        self._judge_pace(ask)
        self._judge_pauses(ask)
        record = plain(item)
        if record["state"] == "refused" and ask.expires_at and record["reason"] == "expires_too_early":
            return
        if record["state"] not in {"finished", "cancelled"} or "finished_at" not in record:
            self.breaks(COMES_TO_ITS_END, f"{ask.id} is {record['state']}")
            return
        if "results" in record:
            self._judge_results(ask, record)
        elif any(self._accepted[ask.marker(row)] for row in range(1, len(ask.rows) + 1)):
            self.breaks(ONE_LINE, f"{ask.id} has no results")

    def _judge_rows(self, ask: Ask) -> None:
        for row, what in enumerate(ask.rows, 1):
            accepted = self._accepted[ask.marker(row)]
            if len(accepted) > 1:
                self.breaks(NONE_TWICE, f"{ask.id} row {row}: {len(accepted)} times")
            if accepted and what != VALID:
                self.breaks(LEFT_OUT, f"{ask.id} row {row} is {what}, and was sent")

    def _judge_results(self, ask: Ask, record: dict[str, Any]) -> None:
        text = self._world.bucket.objects[record["results"]].decode("utf-8-sig")
        lines = list(csv.DictReader(text.splitlines()))
        if [line["row"] for line in lines] != [str(row) for row in range(1, len(ask.rows) + 1)]:
            self.breaks(ONE_LINE, f"{ask.id}: {len(lines)} lines for {len(ask.rows)} rows")
            return
        for row, (line, what) in enumerate(zip(lines, ask.rows, strict=True), 1):
            self._judge_line(ask, row, what, line)
        counts = {name: int(n) for name, n in record["totals"].items() if name != "errcodes" and n}
        wanted = Counter(line["status"] for line in lines)
        self.rows.update(wanted)
        if counts != wanted:
            self.breaks(EXACT, f"{ask.id} counts {counts}, its results {dict(wanted)}")
        refused = sum(line["errcode"] == "43101" for line in lines)
        told = {int(each["errcode"]): int(each["rows"]) for each in record["totals"].get("errcodes", ())}
        if told.get(43101, 0) != refused:
            self.breaks(EXACT, f"{ask.id} counts {told}, its results {refused} times 43101")

    def _judge_line(self, ask: Ask, row: int, what: str, line: dict[str, str]) -> None:
        status, accepted = line["status"], len(self._accepted[ask.marker(row)])
        where = f"{ask.id} row {row} ({what}): {status}, accepted {accepted} times"
        if status not in _STATUSES:
            self.breaks(EXACT, where)
        if (status == "sent" and accepted != 1) or (status in _NOT_SENT and accepted):
            self.breaks(EXACT, where)
        if (what in {INVALID, DUPLICATE}) != (status in {INVALID, DUPLICATE}) or (
            status in {INVALID, DUPLICATE} and status != what
        ):
            self.breaks(LEFT_OUT, where)
        if status == "failed" and not line["errcode"]:
            self.breaks(NONE_LOST, f"{where} {line['reason']}")
        entry = self._table.get(f"message#{ACCOUNT}#{ask.message_id(row)}")
        stated = entry["status"]["S"] if entry else None
        if what == VALID and status not in {"unreleased", stated} and not (status == "expired" and not entry):
            self.breaks(EXACT, f"{where}, the ledger says {stated}")

    def _judge_pace(self, ask: Ask) -> None:
        dues = sorted(
            self._puts.due[message_id]
            for row, what in enumerate(ask.rows, 1)
            if what == VALID and (message_id := ask.message_id(row)) in self._puts.due
        )
        self._judge_rate(ask.id, dues, ask.rate, 1)

    def judge_ceiling(self, asks: list[Ask]) -> None:
        """Judge what all broadcasts released together."""
        if len(asks) > 1:
            self._judge_rate("all", sorted(self._puts.due.values()), CEILING, len(asks))

    def _judge_rate(self, whose: str, dues: list[float], rate: float, broadcasts: int) -> None:
        """Within any minute there is what the rate allows: a twentieth more, and one for each end."""
        most = 1.05 * rate * (_MINUTE + self._slack) + 2 * broadcasts
        first = 0
        for last, due in enumerate(dues):
            while dues[first] <= due - _MINUTE:
                first += 1
            if last - first + 1 > most:
                self.breaks(PACE, f"{whose}: {last - first + 1} of at most {most:.0f} in the minute to {due}")
                return

    def _judge_pauses(self, ask: Ask) -> None:
        """After a pause, or a cancellation, come no rows but those of a chunk that was begun before."""
        begun_at = self._begun_at(ask)
        for (change, since), (_, until) in pairwise([*ask.changes, ("", math.inf)]):
            if change == "resume":
                continue
            late = [
                each for each, at in begun_at.items() if at > since and self._put_between(each, since, until)
            ]
            if late:
                self.breaks(PAUSE, f"{ask.id} released {late[:3]} after its {change} at {since}")

    def _put_between(self, message_id: str, since: float, until: float) -> bool:
        return since < self._puts.put_at.get(message_id, -math.inf) < until

    def _begun_at(self, ask: Ask) -> dict[str, float]:
        """When each message's chunk was begun first: its rows are listed in an object of their own."""
        found: dict[str, float] = {}
        prefix = f"{ACCOUNT}/broadcasts/{ask.id}/rows/"
        for key, data in self._world.bucket.objects.items():
            if key.startswith(prefix):
                at = self._world.bucket.modified[key]
                for line in data.splitlines():
                    message_id = json.loads(line)[1]
                    found[message_id] = min(at, found.get(message_id, math.inf))
        return found

    def judge_conduct(self) -> None:
        """Judge what the fakes and the logs noted."""
        world = self._world
        noted: dict[str, list[str]] = {
            "the ledger's rules are kept": world.writes.illegal,
            "a call to AWS ends with its answer or after all its attempts": world.unexpected_calls,
            "no secret leaves the service": world.leaks,
            "no invocation fails": [each for each in world.raised if "StorageError" not in each],
            "nothing unforeseen happens": [
                each for each in world.sink.problems if "StorageError" not in each
            ],
            "no message is without a reader": [each.body for each in world.dead_letters.messages.values()],
        }
        for promise, cases in noted.items():
            for case in cases[:5]:
                self.breaks(promise, case)
        known = {ask for ask in self._accepted if ask.partition("-")[0] in "abcdefgh"}
        if odd := self._accepted.keys() - known:
            self.breaks(LEFT_OUT, f"nobody asked for {sorted(odd)[:3]}")
